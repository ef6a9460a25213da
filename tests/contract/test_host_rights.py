"""The rights that host-rights writes: the sudo rules are those of the scripts, no more and no less,
and the forced command runs this release's scripts and nothing else.

The scripts run as they are, with stand-ins for what they ask; sudo writes down what it is asked.
That the real sudo reads the rules in the same way is tested on the lab.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from host_rights import __main__ as host_rights_command
from host_rights.rules import Rule
from host_rights.sudoers import sudoers
from openstack_maintenance.adapters import controller as controllers
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.adapters.shell import Answer, Shell, script_command
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.errors import HostError

PROJECT = Path(__file__).parents[2]
FIXTURES = PROJECT / "tests/fixtures"
DEPLOYMENTS = PROJECT / "include/deployments"
SCRIPT_UNIT = "openstack-maintenance-0123456789ab.service"
BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
NIGHT = (datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC))
RECORDER = """#!/bin/sh
shift # -n
list=no
[ "$1" = -l ] && list=yes && shift
printf '%s\\n' "$*" >>"$ASKED"
[ $list = yes ] && exit
FAKE_UID=0 exec "$@"
"""
# Rules for what a host may have instead: another folder, client or engine, a log that was rotated.
INSTEAD = re.compile(r"^/usr/sbin/ss |^/usr/bin/mysql |^/usr/bin/podman |\.log(\.1|-\[0-9\].*)$")


@pytest.fixture(scope="module")
def rights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What host-rights writes, by deployment."""
    folder = tmp_path_factory.mktemp("rights")
    names = [path.stem for path in DEPLOYMENTS.glob("*.yaml")]
    for name in names:
        assert write_host_rights(name, "--output", str(folder / name)) == 0
    return {name: folder / name for name in names}


def write_host_rights(*arguments: str) -> int:
    """The command without a process of its own."""
    with patch.object(sys, "argv", ["host-rights", *arguments]):
        return host_rights_command.main()


def host_rights(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "host_rights", *arguments],
        env={**os.environ, "PYTHONPATH": f"{PROJECT}/plugins:{PROJECT}/include/rights"}
        | environment,
        capture_output=True,
        text=True,
    )


class Rules:
    """The rules of sudoers files, matched as sudo does: fnmatch of all arguments in one."""

    def __init__(self, *files: Path) -> None:
        lines = [line for file in files for line in file.read_text().splitlines()]
        kept = [line.partition(" NOPASSWD: ")[2] for line in lines if " NOPASSWD: " in line]
        self.rules = {rule: _regex(rule) for rule in kept}

    def of(self, commands: set[str]) -> set[str]:
        """The rules by which these commands may be run; each must have one."""
        found = {command: self.matching(command) for command in commands}
        assert [command for command, rules in found.items() if not rules] == []
        return set().union(*found.values())

    def matching(self, command: str) -> set[str]:
        path, _, arguments = command.partition(" ")
        program = path.rpartition("/")[2]
        return {
            rule
            for rule, regex in self.rules.items()
            if rule.partition(" ")[0].endswith(f"/{program}") and regex.fullmatch(arguments)
        }


def _regex(rule: str) -> re.Pattern[str]:
    arguments = rule.partition(" ")[2]
    parts = re.findall(r"\\.|\[[^]]*\]|.", arguments)
    assert not {"*", "?"} & set(parts), f"a wildcard without a length: {rule}"
    return re.compile(
        "".join(
            part if part[0] == "[" else re.escape(part[1] if part[0] == "\\" else part)
            for part in parts
        )
    )


class Machine(Shell):
    """A host or controller whose programs are stand-ins; its sudo writes down what it is asked."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.name, self.folder, self.kind = "c01", folder, kind
        (folder / "bin").mkdir()
        (folder / "bin/sudo").write_text(RECORDER)
        (folder / "bin/sudo").chmod(0o755)
        empty = (
            "readlink ss cgroups journal database memcached listening boots events on_systemd_run"
        )
        for name, text in {
            **dict.fromkeys(empty.split(), ""),
            "rabbitmq_is_old": "",
            "rabbitmq": "no JSON",
            "calls": "",
            "asked": "",
            "boot_id": BOOT,
            "hostname": "c01",
            "fqdn": "c01",
            "kernel": "6.1",
            "groups": "maintenance",
            "ps": "1 systemd /sbin/init\n",
            "unit.unknown": "LoadState=not-found\n",
        }.items():
            (folder / name).write_text(text)

    def unit(self, name: str, state: str) -> None:
        file = self.folder / f"unit.{name}"
        file.write_text(f"Id={name}\nLoadState=loaded\nActiveState={state}\nNRestarts=1\n")
        if state == "absent":
            file.unlink()

    def containers(self, *names: str) -> None:
        shown = "".join(f"f00d{name}|/{name}|exited|0|0|always|\n" for name in names)
        for file in ("docker", "containers"):
            (self.folder / file).write_text(shown)

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        done = await asyncio.to_thread(
            subprocess.run,
            ["/bin/sh", "-c", command],
            env={
                "PATH": f"{self.folder}/bin:{FIXTURES / self.kind / 'bin'}:/usr/bin:/bin",
                "FAKE_HOST": str(self.folder),
                "FAKE": str(self.folder),
                "ASKED": str(self.folder / "asked"),
            },
            input=stdin,
            capture_output=True,
        )
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def commands(self) -> set[str]:
        return set((self.folder / "asked").read_text().splitlines())


def deployment(name: str) -> Deployment:
    return load_deployment(name, DEPLOYMENTS)


async def maintain_a_host(machine: Machine, which: Deployment) -> None:
    """Every step of a maintenance, whatever it finds: a unit that runs or failed, a container."""
    compute = which.nova_compute
    host = Host(machine, compute)
    for state in ("active", "failed", "absent"):
        machine.unit(f"{compute.unit}.service", state)
        if compute.container:
            machine.containers(compute.container)
        await host.read_facts(SCRIPT_UNIT, b"#!/bin/sh")
        for order in (host.stop_nova_compute, host.start_nova_compute):
            with suppress(HostError):  # of which there is none
                await order()
    (machine.folder / "docker").unlink(missing_ok=True)
    await host.nova_compute_state()
    machine.unit(f"{compute.unit}.service", "active")
    for log in compute.log_paths:  # any of them may be the one that is written
        await Host(machine, replace(compute, log_paths=(log,))).amqp_evidence()
    await host.reboot(BOOT)
    await host.journal_tail()
    for state in ("absent", "failed"):
        machine.unit(SCRIPT_UNIT, "failed")
        machine.unit(SCRIPT_UNIT, state)
        await host.start_script("x.sh", b"#!/bin/sh", SCRIPT_UNIT, again=True)
    machine.unit(SCRIPT_UNIT, "active")
    await host.script_state(SCRIPT_UNIT)


async def maintain_a_controller(machine: Machine, which: Deployment) -> None:
    """Look, look back, restart everything and reboot: units, failed ones, then containers."""
    services = tuple(which)
    databases = controllers.other_databases(which)
    restarted = [each for each in services if each.stage != "never"]
    for state in ("active", "failed", "absent"):
        for each in [*services, *databases]:
            if each.unit:
                machine.unit(f"{each.unit}.service", "failed")
                machine.unit(f"{each.unit}.service", state)
        machine.containers(*(each.container for each in services if each.container))
        with suppress(HostError):  # systemd's times are left out here
            await controllers.read_controller(machine, which)
        await controllers.missing_rights(machine, which, "restart", restarted)
        for each in restarted:
            if state == "failed" or (state == "absent" and each.container):
                with suppress(HostError):  # of which there is none
                    await controllers.restart_service(machine, which, each)
    running = (machine.folder / "containers").read_text().replace("exited", "running")
    (machine.folder / "containers").write_text(running)
    with suppress(HostError):
        await controllers.read_controller(machine, which)
    (machine.folder / "containers").write_text("")
    with suppress(HostError):  # it is not there
        await controllers.restart_service(machine, which, restarted[0])
    await controllers.read_history(machine, which, NIGHT)
    await controllers.missing_rights(machine, which, "reboot", ())
    await Host(machine, which.nova_compute).reboot(BOOT)


NAMES = ("lab", "debian", "kolla", "rdo", "rdo-liberty")


@pytest.mark.thorough  # it starts some thousand programs
@pytest.mark.parametrize("name", NAMES)
async def test_a_host_may_run_what_its_maintenance_runs_and_nothing_else(
    rights: dict[str, Path], tmp_path: Path, name: str
) -> None:
    machine = Machine(tmp_path, "host")
    await maintain_a_host(machine, deployment(name))
    rules = Rules(rights[name] / "sudoers-compute", rights[name] / "sudoers-scripts")
    used = rules.of(machine.commands())
    assert {rule for rule in rules.rules.keys() - used if not INSTEAD.search(rule)} == set()


@pytest.mark.thorough  # so does this
@pytest.mark.parametrize("name", NAMES)
async def test_a_controller_may_run_what_its_maintenance_runs_and_nothing_else(
    rights: dict[str, Path], tmp_path: Path, name: str
) -> None:
    machine = Machine(tmp_path, "controller")
    await maintain_a_controller(machine, deployment(name))
    rules = Rules(rights[name] / "sudoers-controller")
    # The journal is not sudo's there: its questions cannot be limited (systemd-journal).
    commands = {each for each in machine.commands() if not each.startswith("journalctl ")}
    used = rules.of(commands)
    assert {rule for rule in rules.rules.keys() - used if not INSTEAD.search(rule)} == set()


async def test_the_rules_hold_no_wildcard_that_matches_whatever_follows(
    rights: dict[str, Path],
) -> None:
    rules = Rules(*(file for folder in rights.values() for file in folder.glob("sudoers-*")))
    unit = "openstack-maintenance-0123456789ab.service"
    run = (
        f"systemd-run --unit={unit} --description=maintenance script "
        f"--property=RemainAfterExit=yes -- /var/lib/openstack-maintenance/{unit}"
    )
    assert rules.matching(run)
    for refused in (
        f"{run} -x",
        run.replace("=yes", "=yes --property=User=root"),
        run.replace("-maintenance/openstack", "-maintenance/../openstack"),
        run.replace("0123", "/../"),
        "systemctl stop --no-block -- sshd.service",
        "systemctl stop --no-block -Hroot@c02 nova-compute.service",
        "systemctl reboot --force",
        "systemctl stop nova-compute.service",
        "tail -c 16777216 -- /etc/shadow",
        "tail -c 16777216 -- /var/log/nova/nova-compute.log /etc/shadow",
        "tail -c 16777216 -- /var/log/nova/nova-compute.log-../shadow",
        "journalctl --no-pager -o short-iso -n 5 -u nova-compute.service --cursor-file=/etc/x",
        "docker exec -- nova_compute sh",
        "docker exec -- mariadb sh -c id",
        "docker run -v /:/host x",
        "mariadb -N -B --connect-timeout=5 -e drop database nova",
        "rabbitmqctl eval x.",
    ):
        assert rules.matching(refused) == set(), refused


EVERYTHING = "ALL ALL=(ALL) NOPASSWD: ALL"


@pytest.mark.parametrize(
    "name",
    [
        f"nova-api\n{EVERYTHING}",
        f"nova-api\r\n{EVERYTHING}",
        f"nova-api\x0b{EVERYTHING}",
        f"nova-api\u2028{EVERYTHING}",
        "nova-api \\",  # it would go on in the next line
        "\x00",
    ],
)
def test_no_name_makes_a_rule_of_its_own(name: str) -> None:
    rule = Rule(f"restart {name}", "systemctl", ("restart", "--no-block", "--", "x.service"))
    text = sudoers(f"deployment {name}", "maintenance", [rule])
    lines = text.split("\n")
    assert [line[:2] for line in lines if not line.startswith("maintenance ALL=(root)")] == [
        "# ",
        "De",
        "# ",
        "",
    ]
    assert not any(line.endswith("\\") for line in lines)
    assert text.isascii() and text.replace("\n", "").isprintable()


@pytest.mark.parametrize("argument", ["", "a\nb", "a\\", "a  b", " a", "a\x00", "^a$", "a\x85b"])
def test_what_sudoers_cannot_hold_is_refused_in_one_sentence(argument: str) -> None:
    with pytest.raises(HostError, match="cannot be written into a sudoers file"):
        sudoers("x", "maintenance", [Rule("why", "tail", (argument,))])


@pytest.mark.parametrize("login", ["root", "ALL", "%wheel", "a b", "-x", "x;y", ""])
def test_what_is_no_login_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], login: str
) -> None:
    status = write_host_rights("lab", f"--login={login}", "--output", str(tmp_path / "x"))
    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    assert "it cannot be used as the SSH login" in err
    assert not (tmp_path / "x").exists()


def test_a_deployment_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = host_rights("debain", "--output", str(tmp_path / "x"))
    assert done.returncode == 1
    assert done.stderr.startswith("deployment 'debain': there is no such file in ")
    assert "Choose one of: debian, kolla, lab, rdo, rdo-liberty." in done.stderr


NOBODY = 65534


@pytest.fixture
def shell(rights: dict[str, Path]) -> Iterator[Path]:
    """A forced command as it is installed, with the list beside it, and the stand-ins.

    In a folder that the login may see: pytest's own are for the user alone that runs the tests.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        for file in ("maintenance-shell", "maintenance-shell.allowed"):
            shutil.copy(rights["lab"] / file, folder)
        shutil.copytree(FIXTURES / "host/bin", folder / "programs")
        yield folder / "maintenance-shell"


def asked_for(
    shell: Path,
    command: str | None,
    stdin: bytes = b"",
    uid: int = NOBODY,
    **environment: str,
) -> tuple[int, str, str]:
    """What sshd runs for a command that a client asks for; None: for a login."""
    asked = {} if command is None else {"SSH_ORIGINAL_COMMAND": command}
    done = subprocess.run(
        ["/bin/sh", "-c", str(shell)],  # through the login's shell, as sshd does
        env={"PATH": os.environ["PATH"], **asked, **environment},
        cwd=shell.parent,
        input=stdin,
        capture_output=True,
        user=uid if os.getuid() == 0 else None,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def echoes(shell: Path) -> str:
    """Allow a script that prints its arguments, and give its text."""
    text = "for each; do printf '<%s>' \"$each\"; done"
    with (shell.parent / "maintenance-shell.allowed").open("a") as allowed:
        allowed.write(f"{hashlib.sha256(text.encode()).hexdigest()} echoes\n")
    return text


HOSTILE = (
    "'; touch hacked; '",
    "$(touch hacked)",
    "`touch hacked`",
    "a\nb\n; touch hacked",
    '"',
    "'",
    "\\",
    "",
    "*",
    "~ # &",
    "\u00fc\u4e2d",
    "-c",
)


def test_arguments_reach_an_allowed_script_as_they_were_and_are_never_run(shell: Path) -> None:
    command = shlex.join(["/bin/sh", "-c", echoes(shell), "echoes", *HOSTILE])
    for locale in ("C", "C.UTF-8"):
        status, out, err = asked_for(shell, command, LC_ALL=locale)
        assert (status, err) == (0, "")
        assert out == "".join(f"<{each}>" for each in HOSTILE)
    assert not (shell.parent / "hacked").exists()


def test_every_script_of_this_release_is_allowed(shell: Path) -> None:
    status, out, _ = asked_for(shell, script_command("boot_id"))
    assert (status, out.splitlines()[-1]) == (0, "end=ok")
    lines = (shell.parent / "maintenance-shell.allowed").read_text().splitlines()
    named = {line.split()[1] for line in lines}
    scripts = {path.stem for path in (PROJECT / "plugins").glob("*/adapters/remote/*.sh")}
    assert {name for name in named if "/" not in name} == scripts - {"common"}
    assert {name for name in named if "/" in name} == {"scripts/collect-facts.sh"}


BOOT_ID = script_command("boot_id")


@pytest.mark.parametrize(
    "command",
    [
        None,
        "",
        "id",
        "scp -t /tmp",
        "internal-sftp",
        "/usr/lib/openssh/sftp-server",
        "/bin/sh",
        "/bin/sh -c",
        "/bin/sh -c id boot_id",
        BOOT_ID.replace("host_clock", "host_clock;id"),
        BOOT_ID.replace("/bin/sh", "/bin/bash", 1),
        BOOT_ID.replace("/bin/sh -c", "/bin/sh -i -c", 1),
        BOOT_ID.removesuffix("boot_id") + "reboot",
        f"id; {BOOT_ID}",
        f"env BASH_ENV=x {BOOT_ID}",
        "'",
        "\\",
    ],
)
def test_anything_else_is_refused_with_one_sentence_and_a_remedy(
    shell: Path, command: str | None
) -> None:
    status, out, err = asked_for(shell, command)
    assert (status, out) == (126, "")
    assert err.startswith("maintenance-shell: ")
    assert err.count("\n") == 1
    assert "after an upgrade write the rights with include/rights/host-rights" in err


def test_a_second_command_behind_an_allowed_one_is_an_argument_of_it(shell: Path) -> None:
    text = echoes(shell)
    command = f"{shlex.join(['/bin/sh', '-c', text, 'echoes'])} x; touch hacked && id"
    assert asked_for(shell, command)[1] == "<x;><touch><hacked><&&><id>"
    assert not (shell.parent / "hacked").exists()


def test_only_the_maintenance_scripts_that_were_installed_reach_script_start(
    shell: Path,
) -> None:
    text = "cat"
    with (shell.parent / "maintenance-shell.allowed").open("a") as allowed:
        allowed.write(f"{hashlib.sha256(text.encode()).hexdigest()} script_start\n")
    command = shlex.join(["/bin/sh", "-c", text, "script_start"])
    content = (PROJECT / "include/scripts/collect-facts.sh").read_bytes()
    assert asked_for(shell, command, content) == (0, content.decode(), "")
    # A script of the project's own is none of them, nor is one with something behind it.
    for other in (b"", b"#!/bin/sh\nid\n", content + b"id\n", text.encode()):
        status, out, err = asked_for(shell, command, other)
        assert (status, out) == (126, "")
        assert "not one of include/scripts as they were installed" in err


# No user but root can run it as root. CI is root: there it is never skipped.
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be root")
def test_root_is_refused_whatever_it_asks(shell: Path) -> None:
    status, out, err = asked_for(shell, BOOT_ID, uid=0)
    assert (status, out) == (126, "")
    assert "this login is root, and a forced command cannot limit root" in err


def test_a_maintenance_script_is_not_run_as_the_login_itself(shell: Path) -> None:
    """It stands in the list, for script_start alone; without a name it passed for a script."""
    script = (PROJECT / "include/scripts/collect-facts.sh").read_text()
    for name in ("", "scripts/collect-facts.sh", "script_start", "facts"):
        status, out, err = asked_for(shell, shlex.join(["/bin/sh", "-c", script, name]))
        assert (status, out) == (126, ""), name
        assert "is not one of those that are allowed" in err or "not one of the scripts" in err


async def test_what_the_forced_command_refuses_names_the_host_and_the_remedy(
    tmp_path: Path, shell: Path
) -> None:
    class Refusing(Machine):
        async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
            return Answer(*asked_for(shell, command.replace("host_clock", "other_clock")))

    folder = tmp_path / "host"
    folder.mkdir()
    host = Host(Refusing(folder, "host"), deployment("lab").nova_compute)
    with pytest.raises(HostError) as caught:
        await host.boot_id()
    assert str(caught.value) == (
        "host c01: its maintenance-shell refused 'boot_id': the script 'boot_id' is not one of "
        "those that are allowed. Install the rights on it again: run include/rights/host-rights, "
        "then install-host-rights on the host."
    )


async def test_a_script_that_the_forced_command_would_refuse_shows_in_the_facts(
    shell: Path,
) -> None:
    class Forced(Machine):
        async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
            programs = f"{self.folder}/bin:{shell.parent / 'programs'}:/usr/bin:/bin"
            folders = {"FAKE_HOST": str(self.folder), "ASKED": str(self.folder / "asked")}
            return Answer(*asked_for(shell, command, PATH=programs, **folders))

    folder = shell.parent / "host"
    folder.mkdir()
    machine = Forced(folder, "host")
    (folder / "asked").touch(mode=0o666)
    (folder / "asked").chmod(0o666)
    host = Host(machine, deployment("lab").nova_compute)
    content = (PROJECT / "include/scripts/collect-facts.sh").read_bytes()
    assert not (await host.read_facts()).script_refused
    assert not (await host.read_facts(SCRIPT_UNIT, content)).script_refused
    assert (await host.read_facts(SCRIPT_UNIT, content + b"\n")).script_refused
