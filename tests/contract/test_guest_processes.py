"""What runs in QEMU on a host: guests close every gate, the host's own probes close none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from openstack_maintenance.adapters.shell import script_texts

FIXTURES = Path(__file__).parents[1] / "fixtures/host"
INIT = "      1 systemd         /sbin/init\n"
CAPABILITIES = (
    "/usr/bin/qemu-system-x86_64 -S -no-user-config -nodefaults -nographic -machine "
    "none,accel=kvm:tcg -qmp unix:/var/lib/libvirt/qemu/qmp-1/qmp.monitor,server=on,wait=off "
    "-pidfile /var/lib/libvirt/qemu/qmp-1/qmp.pid -daemonize"
)
OLD_CAPABILITIES = (
    "/usr/libexec/qemu-kvm -S -no-user-config -nodefaults -nographic -M none -qmp "
    "unix:/var/lib/libvirt/qemu/capabilities.monitor.sock,server,nowait -daemonize"
)
APPLIANCE = (
    "/usr/bin/qemu-system-x86_64 -global virtio-blk-pci.scsi=off -no-user-config -enable-fips "
    "-nodefaults -display none -machine accel=kvm:tcg -m 500 -no-reboot -rtc driftfix=slew "
    "-kernel /var/tmp/.guestfs-0/appliance.d/kernel -initrd "
    "/var/tmp/.guestfs-0/appliance.d/initrd -append panic=1 console=ttyS0"
)
LIBVIRT_APPLIANCE = "/usr/bin/qemu-system-x86_64 -name guest=guestfs-4kq2,debug-threads=on -S"
GUEST = "/usr/bin/qemu-system-x86_64 -name guest=instance-0000002a,debug-threads=on -S"
# What its owner may choose of a guest's arguments.
DISGUISED = f"{GUEST} -append x -S -no-user-config -nodefaults -nographic -machine none,accel"
DISGUISED_TOO = f"{GUEST} -append -kernel /var/tmp/.guestfs-0/appliance.d/kernel"


def seen(tmp_path: Path, *commands: str) -> list[str]:
    """The processes that the host's script takes for guests."""
    rows = [f"   22{n:02} qemu-system-x86 {each}\n" for n, each in enumerate(commands)]
    (tmp_path / "ps").write_text(INIT + "".join(rows))
    (tmp_path / "boot_id").write_text("6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001\n")
    done = subprocess.run(
        ["/bin/sh", "-c", script_texts()["guests"], "guests", "qemu-system*", "qemu-kvm"],
        env={"PATH": f"{FIXTURES / 'bin'}:{os.environ['PATH']}", "FAKE_HOST": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "end=ok", done
    return [each for each in lines if each.startswith("guest=")]


@pytest.mark.parametrize("probe", [CAPABILITIES, OLD_CAPABILITIES, APPLIANCE, LIBVIRT_APPLIANCE])
def test_what_qemu_runs_for_the_host_itself_is_no_guest(tmp_path: Path, probe: str) -> None:
    assert seen(tmp_path, probe) == []


@pytest.mark.parametrize("guest", [GUEST, DISGUISED, DISGUISED_TOO])
def test_a_guest_is_one_whatever_its_owner_wrote_into_its_arguments(
    tmp_path: Path, guest: str
) -> None:
    assert len(seen(tmp_path, CAPABILITIES, guest, APPLIANCE)) == 1
