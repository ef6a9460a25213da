"""The witness that looks at every reboot of every test: it can see, and it can fail a test."""

from __future__ import annotations

from harness import Stage
from openstack_lab import LabError


def test_a_reboot_of_a_host_that_holds_an_instance_is_noticed(stage: Stage) -> None:
    stage.place("c04", "ACTIVE", "SHUTOFF")
    guests = frozenset(instance.id for instance in stage.cloud.instances("c04"))
    boot = stage.lab.boot_id("c04")

    stage.lab.ssh("c04", "sudo systemd-run --on-active=1s systemctl reboot")

    def new_boot() -> str | None:
        try:
            found = stage.lab.boot_id("c04")
        except LabError:  # it is rebooting
            return None
        return found if found != boot else None

    rebooted = stage.until(new_boot, "c04 in another boot")
    (loaded,) = stage.until(stage.witness.loaded_reboots, "a word of the witness")
    assert (loaded.host, loaded.boot_id, loaded.guests) == ("c04", rebooted, guests)
