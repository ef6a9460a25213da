"""Whoever holds the key chooses the arguments of the scripts: what is no name is refused at once.

The real scripts run under dash and bash, on a host whose every program is a trap.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from openstack_maintenance.adapters.shell import script_texts

BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
UNIT, CONTAINER, ENGINES = "nova-compute.service", "nova_compute", "docker podman"
LOGS = "/var/log/nova/nova-compute.log:/var/log/kolla/nova/nova-compute.log"
SCRIPT_UNIT = "openstack-maintenance-0123456789ab.service"
SPEC = "nova-api.service|nova_api|"
DIGEST = "a" * 64
# What each script is given by this release.
GIVEN: dict[str, list[str]] = {
    "amqp": [UNIT, CONTAINER, ENGINES, LOGS, "5671"],
    "control": ["stop", UNIT, CONTAINER, ENGINES],
    "controller": [
        ENGINES,
        "chronyd.service ntpd.service",
        SPEC,
        "rabbitmq-server.service||broker",
    ],
    "controller_past": ["1790000000", ENGINES, SPEC],
    "facts": [UNIT, CONTAINER, ENGINES, LOGS, SCRIPT_UNIT, DIGEST, "qemu-system*"],
    "guests": ["qemu-system*"],
    "journal": [UNIT, "5"],
    "reboot": [BOOT, "qemu-system*"],
    "rights": ["restart", ENGINES, SPEC],
    "script_start": [SCRIPT_UNIT, "100", "no"],
    "script_state": [SCRIPT_UNIT, "100"],
    "state": [UNIT, CONTAINER, ENGINES],
}
# An option that runs a command, words of a shell, paths, patterns, lines that would be an answer.
HOSTILE = (
    "-H-oProxyCommand=touch hacked",
    "--host=root@c02",
    "-h",
    "; touch hacked",
    "$(touch hacked)",
    "a b",
    "../../etc/cron.d/x",
    "x\nend=ok",
    "x/*",
    "ünit",
    "x" * 300,
)
# Guests' patterns are compared and never run; "no" and "yes" are compared, too.
COMPARED = {("facts", 6), ("guests", 0), ("reboot", 1), ("script_start", 2)}
# A list of units: two of them, and nothing wrong.
LISTED = ("controller", 1, "a b")
CASES = [
    (script, place, hostile)
    for script, arguments in GIVEN.items()
    for place in range(len(arguments))
    if (script, place) not in COMPARED
    for hostile in HOSTILE
    if (script, place, hostile) != LISTED
]


def run(shell: str, trap: Path, script: str, arguments: list[str]) -> str:
    """The answer of a script on a host where every program notes that it was started."""
    done = subprocess.run(
        [shell, "-c", script_texts()[script], script, *arguments],
        env={"PATH": str(trap), "TRAP": str(trap)},
        cwd=trap,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert done.stderr == b"", done.stderr
    return done.stdout.decode()


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    programs = (
        "bash cat date docker fold grep gzip head hostname id install journalctl ls podman ps "
        "readlink sed sh ss ssh stat sudo systemctl systemd-run tail timedatectl timeout tr uname"
    )
    for name in programs.split():
        (tmp_path / name).write_text('#!/bin/sh\n: >>"$TRAP/started"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
@pytest.mark.parametrize("script", GIVEN)
def test_a_hostile_argument_is_refused_before_any_program_is_started(
    trap: Path, script: str, shell: str
) -> None:
    for name, place, hostile in CASES:
        if name != script:
            continue
        arguments = list(GIVEN[script])
        arguments[place] = hostile
        answer = run(shell, trap, script, arguments)
        assert answer.startswith("error=refused: "), (place, hostile, answer)
        assert answer.count("\n") == 2 and answer.endswith("\nend=ok\n"), (place, hostile, answer)
    assert not (trap / "started").exists()
    assert not (trap / "hacked").exists()


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
@pytest.mark.parametrize(
    "spec",
    [
        "nova-api.service||id",
        "nova-api.service||/tmp/x",
        "nova-api.service||probe",
        "nova-api.service|nova_api|look",
        "nova-api.service|-v|",
        "-Hx||cache",
        "|x|",
        "",
    ],
)
def test_a_role_is_broker_database_or_cache_and_never_a_command(
    trap: Path, shell: str, spec: str
) -> None:
    for script in ("controller", "controller_past", "rights"):
        arguments = [*GIVEN[script][:2], SPEC, spec]
        assert run(shell, trap, script, arguments).startswith("error=refused: "), script
    assert not (trap / "started").exists()


@pytest.mark.parametrize("order", ["-Hroot@c02", "kexec", "disable", "isolate", ""])
def test_nothing_but_the_known_orders_reaches_systemctl(trap: Path, order: str) -> None:
    assert run("/bin/sh", trap, "control", [order, UNIT, "", ""]).startswith("error=refused: ")
    assert run("/bin/sh", trap, "rights", [order, "", SPEC]).startswith("error=refused: ")
    assert not (trap / "started").exists()


@pytest.mark.parametrize("engines", ["bash", "docker sh", "docker docker", "/usr/bin/docker", "*"])
def test_no_other_program_is_taken_for_a_container_engine(trap: Path, engines: str) -> None:
    assert run("/bin/sh", trap, "state", [UNIT, CONTAINER, engines]).startswith("error=refused: ")
    assert not (trap / "started").exists()


@pytest.mark.parametrize("pattern", ["nothing-has-this-name", "", "[", "-x"])
def test_a_host_with_a_guest_is_not_rebooted_whatever_patterns_are_sent(
    tmp_path: Path, pattern: str
) -> None:
    """With none that matches, a key alone could have rebooted a host under its guests."""
    programs = {
        "cat": f"echo {BOOT}",
        "ps": "printf '1 systemd /sbin/init\\n77 qemu-system-x86 /usr/bin/qemu-system-x86_64\\n'",
        "systemctl": ': >"$TRAP/started"',
        "id": "echo 0",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            script_texts()["reboot"],
            "reboot",
            BOOT,
            *([pattern] if pattern else []),
        ],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "TRAP": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert "guest=77 qemu-system-x86 " in done.stdout
    assert "refused=guests\n" in done.stdout
    assert not (tmp_path / "started").exists()
