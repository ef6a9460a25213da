"""The SSH adapter against a real SSH server: what it reads of a host, and does there."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from host_over_ssh import BOOT, CONNECTED, FIXTURES, RUNNING, STOPPED, UNIT, FakeHost, opened
from openstack_maintenance.adapters import host as host_adapter
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CheckFailed, HostError
from openstack_maintenance.domain.host.amqp_log import judge_amqp
from openstack_maintenance.domain.host.zone import local_zone


async def test_one_look_tells_everything_about_a_healthy_host(fake: FakeHost) -> None:
    async with opened(fake) as host:
        facts = await host.read_facts()
    assert (facts.hostname, facts.fqdn, facts.boot_id) == ("c01", "c01.example.com", BOOT)
    assert facts.booted == datetime(2026, 11, 22, 12, 53, 26, tzinfo=UTC)
    assert abs(facts.clock - datetime.now(UTC)) < timedelta(seconds=10)
    assert facts.zone_name == "Etc/UTC"
    assert facts.nova_compute.is_active
    assert facts.nova_compute.pids == (61,)
    assert facts.nova_compute.is_back_after_boot
    assert (facts.log_path, facts.log_error) == (str(fake.log), "")
    assert facts.sudo_missing == ()
    assert facts.guests == ()
    assert (facts.reboot_required, facts.reboot_reasons, facts.reboot_unread) == (False, (), "")
    assert fake.calls() == []


async def test_a_debian_host_says_which_packages_and_which_kernel_want_a_reboot(
    fake: FakeHost,
) -> None:
    came = int(datetime(2026, 11, 22, 13, 0, tzinfo=UTC).timestamp())
    files = ("/run/reboot-required", "/boot/vmlinuz-6.1.0-31-amd64")
    fake.write("stat", "".join(f"file={came} {each}\n" for each in files))
    fake.write("reboot_packages", "linux-image-6.1.0-31-amd64\n")
    async with opened(fake) as host:
        facts = await host.read_facts()
    assert facts.reboot_required
    assert facts.reboot_reasons == (
        "/run/reboot-required exists (because of linux-image-6.1.0-31-amd64)",
        "kernel 6.1.0-31-amd64 is installed, 6.1.0-13-amd64 runs",
    )
    assert fake.calls() == []


RHEL = """Core libraries or services have been updated since boot-up:
  * kernel

Reboot is required to fully utilize these updates."""


@pytest.mark.parametrize(
    ("script", "reasons", "unread"),
    [
        (
            f"cat <<'END'\n{RHEL}\nEND\nexit 1",
            ("needs-restarting wants a reboot (because of kernel)",),
            "",
        ),
        ("echo 'Reboot should not be necessary.'", (), ""),
        (
            "echo 'Error: rpmdb open failed' >&2; exit 1",
            (),
            "needs-restarting ended with status 1 and said: Error: rpmdb open failed",
        ),
        ("exit 124", (), "needs-restarting did not end in time"),
    ],
)
async def test_needs_restarting_is_asked_where_a_host_has_it(
    fake: FakeHost, script: str, reasons: tuple[str, ...], unread: str
) -> None:
    fake.install("needs-restarting", f'test "$*" = -r || exit 9\n{script}')
    async with opened(fake) as host:
        facts = await host.read_facts()
    assert (facts.reboot_reasons, facts.reboot_unread) == (reasons, unread)
    assert facts.boot_id == BOOT


async def test_guests_are_seen_and_what_only_looks_like_one_is_not(fake: FakeHost) -> None:
    fake.write("ps", (FIXTURES / "ps_with_guests.txt").read_text())
    async with opened(fake) as host:
        facts = await host.read_facts()
    assert [(guest.pid, guest.guest) for guest in facts.guests] == [
        (2211, "instance-0000002a"),
        (2290, "instance-0000002b"),
    ]


@pytest.mark.parametrize("hidden", ["  812 nova-compute /usr/bin/python3 nova-compute\n", ""])
async def test_a_host_that_hides_processes_is_not_taken_for_empty(
    fake: FakeHost, hidden: str
) -> None:
    fake.write("ps", hidden)
    async with opened(fake) as host:
        with pytest.raises(HostError, match="hidepid"):
            await host.read_facts()
        with pytest.raises(HostError, match="hidepid"):
            await host.reboot(BOOT)
    assert fake.calls() == []


async def test_what_sudo_refuses_is_named_before_anything_is_done(fake: FakeHost) -> None:
    fake.write("sudo_denied", "systemctl reboot\nss *\n")
    async with opened(fake) as host:
        facts = await host.read_facts()
    assert facts.sudo_missing == ("systemctl reboot", "ss -tnp")


async def test_every_right_that_the_run_will_use_is_asked_for(
    fake: FakeHost, tmp_path: Path
) -> None:
    log = tmp_path / "hidden/nova-compute.log"  # in a folder that cannot be looked into
    compute = NovaCompute(unit=UNIT, log_paths=(str(log),))
    fake.write("sudo_denied", "*\n")
    manage = [f"systemctl {order} --no-block -- {UNIT}" for order in ("stop", "start")]
    needed = [*manage, f"systemctl reset-failed -- {UNIT}", "systemctl reboot", "ss -tnp"]
    needed.append(f"tail -c 16777216 -- {log}")
    stored = f"/var/lib/openstack-maintenance/{SCRIPT_UNIT}"
    scripts = [
        f"install -D -m 0700 -o root -g root -- /dev/stdin {stored}",
        f"systemd-run --unit={SCRIPT_UNIT} --description=maintenance script "
        f"--property=RemainAfterExit=yes -- {stored}",
        f"systemctl reset-failed -- {SCRIPT_UNIT}",
    ]
    async with opened(fake, compute) as host:
        assert (await host.read_facts()).sudo_missing == tuple(needed)
        facts = await host.read_facts(SCRIPT_UNIT, b"#!/bin/sh\n")
        assert facts.sudo_missing == (*needed, *scripts)
        assert not facts.script_refused  # no forced command decides here
    async with opened(fake) as host:  # a log that it can read itself needs no right
        assert f"tail -c 16777216 -- {fake.log}" not in (await host.read_facts()).sudo_missing
    assert fake.calls() == []


async def test_a_member_of_the_journals_group_reads_it_without_sudo(fake: FakeHost) -> None:
    fake.install("id", 'case $1 in -u) echo 1000 ;; *) echo "maintenance systemd-journal" ;; esac')
    async with opened(fake) as host:
        assert await host.journal_tail(lines=2) == ("line one", "line two")
    assert not any(call.startswith("sudo") for call in fake.calls())


async def test_of_two_logs_the_one_written_last_counts(fake: FakeHost, tmp_path: Path) -> None:
    newer = tmp_path / "compute.log"
    newer.write_text("x\n")
    os.utime(fake.log, (1_000_000, 1_000_000))
    compute = NovaCompute(unit=UNIT, log_paths=(str(fake.log), str(newer)))
    async with opened(fake, compute) as host:
        assert (await host.read_facts()).log_path == str(newer)


async def test_a_missing_log_is_said(fake: FakeHost) -> None:
    fake.log.unlink()
    async with opened(fake) as host:
        facts = await host.read_facts()
        evidence = await host.amqp_evidence()
    assert "No such file" in facts.log_error
    assert "No such file" in evidence.log_error
    assert evidence.log.lines == ()


async def test_a_stop_is_asked_for_and_judged_by_the_process(fake: FakeHost) -> None:
    async with opened(fake) as host:
        state = await host.stop_nova_compute()
        assert fake.calls() == [
            f"sudo systemctl stop --no-block -- {UNIT}",
            f"systemctl stop --no-block -- {UNIT}",
        ]
        assert not state.is_gone
        fake.write(f"unit.{UNIT}", STOPPED.replace("inactive", "failed").replace("dead", "failed"))
        assert not (await host.nova_compute_state()).is_gone  # its process lives on
        fake.write("cgroups", "1 0::/init.scope\n")
        assert (await host.nova_compute_state()).is_gone


async def test_a_stop_that_sudo_refuses_is_an_error(fake: FakeHost) -> None:
    fake.write("sudo_denied", "systemctl stop *\n")
    async with opened(fake) as host:
        with pytest.raises(HostError, match="stop was refused: sudo: a password is required"):
            await host.stop_nova_compute()


async def test_a_refusal_does_not_matter_where_it_is_stopped_already(fake: FakeHost) -> None:
    fake.write("sudo_denied", "systemctl stop *\n")
    fake.write(f"unit.{UNIT}", STOPPED)
    fake.write("cgroups", "1 0::/init.scope\n")
    async with opened(fake) as host:
        assert (await host.stop_nova_compute()).is_gone


async def test_a_missing_unit_is_an_error_that_names_similar_ones(fake: FakeHost) -> None:
    (fake.folder / f"unit.{UNIT}").unlink()
    fake.write("unit_files", "openstack-nova-compute.service enabled enabled\n")
    async with opened(fake) as host:
        with pytest.raises(HostError, match=r"similar: openstack-nova-compute\.service"):
            await host.stop_nova_compute()
        assert (await host.read_facts()).nova_compute.kind == "absent"


async def test_a_failed_unit_is_reset_before_its_start(fake: FakeHost) -> None:
    fake.write(f"unit.{UNIT}", STOPPED.replace("inactive", "failed"))
    fake.write("on_start", f'cp "$FAKE_HOST/running" "$FAKE_HOST/unit.{UNIT}"')
    fake.write("running", RUNNING)
    async with opened(fake) as host:
        assert (await host.start_nova_compute()).is_active
    assert [call for call in fake.calls() if not call.startswith("sudo")] == [
        f"systemctl reset-failed -- {UNIT}",
        f"systemctl start --no-block -- {UNIT}",
    ]


async def test_systemd_that_does_not_answer_yet_is_asked_again_later(fake: FakeHost) -> None:
    fake.write("systemd_is_silent", "")
    async with opened(fake) as host:
        with pytest.raises(HostUnreachable, match="systemd does not answer"):
            await host.nova_compute_state()


DOCKER = "f00dcafe|/nova_compute|{}|{}|0|unless-stopped|2026-11-22T11:00:05.1Z\n"


async def test_a_container_without_unit_is_stopped_by_its_engine(fake: FakeHost) -> None:
    fake.write("docker", DOCKER.format("running", 500))
    fake.write("cgroups", "500 0::/system.slice/docker-f00dcafe.scope\n501 0::/docker/f00dcafe\n")
    fake.write("stopped", DOCKER.format("exited", 0))
    fake.write(
        "on_docker_stop", 'cp "$FAKE_HOST/stopped" "$FAKE_HOST/docker"; : >"$FAKE_HOST/cgroups"'
    )
    async with opened(fake, fake.kolla) as host:
        state = await host.nova_compute_state()
        assert (state.kind, state.pids, state.is_active) == ("docker", (500, 501), True)
        assert (await host.stop_nova_compute()).is_gone
    assert "docker stop --time 60 -- nova_compute" in fake.calls()


async def test_a_kolla_unit_stops_by_systemd_and_is_gone_with_the_container(fake: FakeHost) -> None:
    unit = "kolla-nova_compute-container.service"
    fake.write(f"unit.{unit}", STOPPED.replace(UNIT, unit))
    fake.write("docker", DOCKER.format("running", 500))
    fake.write("cgroups", "500 0::/system.slice/docker-f00dcafe.scope\n")
    async with opened(fake, fake.kolla) as host:
        state = await host.stop_nova_compute()
    assert (state.kind, state.pids, state.is_gone) == ("systemd", (500,), False)
    assert f"systemctl stop --no-block -- {unit}" in fake.calls()
    assert not any(call.startswith("docker") for call in fake.calls())


# What sudo and podman's docker shim say on the side, before they do what they were asked.
ASIDE = """echo 'sudo: unable to resolve host c01: Name or service not known' >&2
echo 'Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.' >&2
shift
[ "$1" = -l ] && exit 0
FAKE_UID=0 exec "$@"
"""


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
async def test_what_sudo_or_the_engine_says_on_the_side_is_no_part_of_the_container(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """With it in the answer a raw ValueError ended the wait."""
    monkeypatch.setattr(fake, "shell", shell)
    fake.install("sudo", ASIDE)
    fake.write("docker", DOCKER.format("running", 500))
    fake.write("cgroups", "500 0::/system.slice/docker-f00dcafe.scope\n")
    async with opened(fake, fake.kolla) as host:
        state = await host.nova_compute_state()
        evidence = await host.amqp_evidence()
    assert (state.kind, state.name, state.pids) == ("docker", "nova_compute", (500,))
    assert evidence.sockets_error == ""


async def test_a_docker_that_does_not_answer_is_not_an_absent_container(fake: FakeHost) -> None:
    fake.write("docker_is_broken", "")
    async with opened(fake, fake.kolla) as host:
        with pytest.raises(HostError, match="Cannot connect to the Docker daemon"):
            await host.nova_compute_state()


async def test_no_unit_and_no_container_is_absent(fake: FakeHost) -> None:
    async with opened(fake, fake.kolla) as host:
        state = await host.nova_compute_state()
    assert state.kind == "absent"
    assert "docker container nova_libvirt" in state.look_alikes


async def test_a_reboot_is_asked_for_once_per_boot(fake: FakeHost) -> None:
    async with opened(fake) as host:
        answer = await host.reboot(BOOT)
        assert (answer.outcome, answer.boot_id) == ("asked", BOOT)
        assert answer.clock is not None
        fake.write("boot_id", BOOT.replace("6f1f", "7a2b") + "\n")
        assert (await host.reboot(BOOT)).outcome == "already_rebooted"
    assert fake.calls().count("systemctl reboot ") == 1


async def test_a_host_with_a_guest_is_never_rebooted(fake: FakeHost) -> None:
    fake.write("ps", (FIXTURES / "ps_with_guests.txt").read_text())
    async with opened(fake) as host:
        with pytest.raises(CheckFailed, match=r"instance-0000002a \(process 2211\)"):
            await host.reboot(BOOT)
    assert fake.calls() == []


async def test_a_host_that_cannot_say_its_boot_is_not_rebooted(fake: FakeHost) -> None:
    fake.write("boot_id", "")
    async with opened(fake) as host:
        with pytest.raises(HostError, match="boot_id"):
            await host.reboot("")
    assert fake.calls() == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("sudo_denied", "systemctl reboot\n", "a password is required"),
        ("on_reboot", "echo Operation inhibited by dpkg >&2; exit 1", "inhibited by dpkg"),
    ],
)
async def test_a_refused_reboot_is_an_error(
    fake: FakeHost, name: str, text: str, found: str
) -> None:
    fake.write(name, text)
    async with opened(fake) as host:
        with pytest.raises(HostError, match=found):
            await host.reboot(BOOT)


async def test_a_connection_that_drops_at_the_reboot_proves_nothing(fake: FakeHost) -> None:
    fake.write("on_reboot", 'touch "$FAKE_HOST/drop"; sleep 5')
    async with opened(fake) as host:
        assert (await host.reboot(BOOT)).outcome == "unknown"


async def test_a_dropped_connection_is_never_a_success(fake: FakeHost) -> None:
    fake.write("on_stop", 'touch "$FAKE_HOST/drop"; sleep 5')
    async with opened(fake) as host:
        with pytest.raises(HostUnreachable, match="the connection broke"):
            await host.stop_nova_compute()


async def test_evidence_holds_the_last_lines_of_both_logs_oldest_first(fake: FakeHost) -> None:
    old = CONNECTED.replace("2026-11-22 12:5", "2026-11-21 12:5")
    (fake.folder / "nova-compute.log.1").write_text(old)
    async with opened(fake) as host:
        evidence = await host.amqp_evidence()
    dates = [line[:10] for line in evidence.log.lines]
    assert dates == sorted(dates)
    assert {"2026-11-21", "2026-11-22"} == set(dates)
    assert evidence.log.newest.startswith("2026-11-22")
    assert evidence.log.modified is not None
    assert abs(evidence.log.modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert evidence.boot_id == BOOT
    assert len(evidence.sockets) == 3
    assert {(socket.pid, socket.peer) for socket in evidence.sockets} == {
        (61, "172.31.240.10:5672")
    }
    assert not evidence.log_error
    assert not evidence.sockets_error


async def test_evidence_survives_a_rotation_right_after_the_connection(fake: FakeHost) -> None:
    fake.log.rename(fake.folder / "nova-compute.log-20261122")
    fake.log.write_text("")
    async with opened(fake) as host:
        evidence = await host.amqp_evidence()
    assert any("Connected to AMQP server" in line for line in evidence.log.lines)


async def test_a_compressed_predecessor_is_read_too(fake: FakeHost) -> None:
    packed = fake.folder / "nova-compute.log.1.gz"
    packed.write_bytes(gzip.compress(CONNECTED.encode()))
    fake.log.write_text("")
    async with opened(fake) as host:
        evidence = await host.amqp_evidence()
    assert any("Connected to AMQP server" in line for line in evidence.log.lines)


async def test_evidence_makes_the_verdict(fake: FakeHost) -> None:
    now = datetime.now(UTC)
    written = f"{now:%Y-%m-%d %H:%M:%S}.000"
    fake.log.write_text(
        f"\xff\x00 noise\n{written} 61 INFO oslo.messaging._drivers.impl_rabbit [-] "
        "Connected to AMQP server on 10.68.19.8:5672\n",
        encoding="latin-1",
    )
    async with opened(fake) as host:
        evidence = await host.amqp_evidence()
    zone = local_zone(evidence.zone_name, evidence.clock)
    rebooted = now - timedelta(minutes=1)
    assert judge_amqp(evidence.log, rebooted, evidence.clock, zone).connected
    late = now + timedelta(minutes=1)
    assert not judge_amqp(evidence.log, late, evidence.clock, zone).connected


async def test_sockets_that_may_not_be_read_are_said_and_are_no_evidence(fake: FakeHost) -> None:
    fake.write("sudo_denied", "ss *\n")
    async with opened(fake) as host:
        evidence = await host.amqp_evidence()
    assert evidence.sockets == ()
    assert "a password is required" in evidence.sockets_error


async def test_the_journals_end_is_given_for_messages(fake: FakeHost) -> None:
    async with opened(fake) as host:
        assert await host.journal_tail(lines=2) == ("line one", "line two")
    assert f"journalctl --no-pager -o short-iso -n 2 -u {UNIT}" in fake.calls()


async def test_the_journal_is_read_without_sudo_where_the_login_may(fake: FakeHost) -> None:
    fake.write("sudo_denied", "journalctl *\n")
    async with opened(fake) as host:
        assert await host.journal_tail(lines=2) == ("line one", "line two")


SCRIPT = b"#!/bin/sh\necho 'it''s; $(done)'\n"
SCRIPT_UNIT = "openstack-maintenance-run1.service"
TRANSIENT = "LoadState=loaded\nActiveState={}\nSubState={}\nResult={}\nExecMainStatus={}\n"


def script_runs(fake: FakeHost, active: str, sub: str, result: str, code: int) -> None:
    fake.write("transient", TRANSIENT.format(active, sub, result, code))
    fake.write("on_systemd_run", f'cp "$FAKE_HOST/transient" "$FAKE_HOST/unit.{SCRIPT_UNIT}"')


async def test_a_script_is_uploaded_as_root_and_started_as_a_unit(fake: FakeHost) -> None:
    script_runs(fake, "active", "running", "success", 0)
    async with opened(fake) as host:
        state = await host.start_script("firmware", SCRIPT, "openstack-maintenance-run1")
        assert (state.unit, state.status) == (SCRIPT_UNIT, "running")
        assert (fake.folder / "uploaded").read_bytes() == SCRIPT
        fake.write(f"unit.{SCRIPT_UNIT}", TRANSIENT.format("active", "exited", "success", 0))
        state = await host.script_state("openstack-maintenance-run1")
    assert (state.status, state.exit_code) == ("succeeded", 0)
    assert state.output == ("line one", "line two")
    stored = f"/var/lib/openstack-maintenance/{SCRIPT_UNIT}"
    assert f"sudo install -D -m 0700 -o root -g root -- /dev/stdin {stored}" in fake.calls()


@pytest.mark.parametrize(
    ("active", "again", "runs", "status"),
    [
        (("active", "exited", "success", 0), False, 0, "succeeded"),
        (("active", "exited", "success", 0), True, 0, "succeeded"),
        (("active", "running", "success", 0), True, 0, "running"),
        (("failed", "failed", "exit-code", 3), False, 0, "failed"),
        (("failed", "failed", "exit-code", 3), True, 1, "running"),
    ],
    ids=[
        "one that succeeded is not run twice",
        "not even when asked to run a failed one again",
        "one that runs is attached to",
        "one that failed is told",
        "one that failed runs again when asked",
    ],
)
async def test_a_script_that_exists(
    fake: FakeHost, active: tuple[str, str, str, int], again: bool, runs: int, status: str
) -> None:
    script_runs(fake, "active", "running", "success", 0)
    fake.write(f"unit.{SCRIPT_UNIT}", TRANSIENT.format(*active))
    async with opened(fake) as host:
        state = await host.start_script("firmware", SCRIPT, SCRIPT_UNIT, again=again)
    assert state.status == status
    assert sum(call.startswith("systemd-run") for call in fake.calls()) == runs


async def test_a_script_that_cannot_start_is_an_error(fake: FakeHost) -> None:
    fake.write("on_systemd_run", "echo Failed to start transient unit >&2; exit 1")
    async with opened(fake) as host:
        with pytest.raises(HostError, match="systemd-run refused: Failed to start"):
            await host.start_script("firmware", SCRIPT, SCRIPT_UNIT)
        fake.write("sudo_denied", "install *\n")
        with pytest.raises(HostError, match=r"cannot be stored .*password is required"):
            await host.start_script("firmware", SCRIPT, SCRIPT_UNIT)
        with pytest.raises(HostError, match="first line"):
            await host.start_script("firmware", b"echo hi", SCRIPT_UNIT)


async def test_a_script_unit_is_absent_after_a_reboot(fake: FakeHost) -> None:
    async with opened(fake) as host:
        assert (await host.script_state(SCRIPT_UNIT)).status == "absent"


async def test_no_answer_in_time_is_an_error(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_adapter, "_QUICK", timedelta(seconds=0.3))
    async with opened(fake) as host:
        (fake.folder / "cgroups").unlink()
        os.mkfifo(fake.folder / "cgroups")  # reading it blocks
        with pytest.raises(HostUnreachable, match=r"no answer within 0\.3 s"):
            await host.nova_compute_state()
