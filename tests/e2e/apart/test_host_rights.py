"""Least rights on the hosts: what host-rights writes is enough for a maintenance, and no more."""

from __future__ import annotations

import asyncio
import base64
import json
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_local.home import PROJECT
from harness import Stage
from harness.host_rights import LIBRARY, RULES, HostRights, new_key, rules_of, write_rights
from harness.maintainer import Maintainer
from host_rights.rules import Rule
from host_rights.sudoers import sudoers
from openstack_lab import Lab
from openstack_maintenance.adapters.controller import (
    missing_rights,
    read_controller,
    read_history,
    restart_service,
)
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.adapters.shell import Shell
from openstack_maintenance.adapters.ssh_login import connect_shell
from openstack_maintenance.domain.checks.controller_facts import SeenController
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.domain.host.unit_name import service_unit

LAB = load_deployment("lab", PROJECT / "include/deployments")
SCRIPT = PROJECT / "include/scripts/collect-facts.sh"
SCRIPT_UNIT = f"openstack-maintenance-{'a' * 12}"
LOG = "/var/log/nova/nova-compute.log"
# What a run does without: the journal's lines in messages, and the log before the present one.
# ss is in one of two folders; the rule for the other one is not used.
SPARED = ("/usr/bin/journalctl ", f"{LOG}.1", f"{LOG}-", "/usr/sbin/ss ")
LOGIN = "restricted"
ALLOWED = f"{LIBRARY}/maintenance-shell.allowed"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The rights of deployment lab for the login `restricted`, and its key."""
    write_rights(tmp_path / "rights", "lab", LOGIN)
    new_key(tmp_path / "key")
    return tmp_path


@pytest.fixture
def restricted(lab: Lab, written: Path) -> Iterator[HostRights]:
    """The login `restricted` on c01, with the rights for a compute host and scripts."""
    rights = HostRights(lab, "c01", LOGIN)
    rights.add_user()
    rights.install(written / "rights", "compute", "--scripts", key=written / "key")
    yield rights
    rights.remove_user()


@pytest.fixture
def on_controller(lab: Lab, written: Path) -> Iterator[HostRights]:
    """The same on ctl01, with the rights for a controller."""
    rights = HostRights(lab, "ctl01", LOGIN)
    rights.add_user()
    rights.install(written / "rights", "controller", key=written / "key")
    yield rights
    rights.remove_user()


@asynccontextmanager
async def logged_in(rights: HostRights, key: Path, login: str = LOGIN) -> AsyncIterator[Shell]:
    extra = json.loads(rights.lab.airflow_environment()["AIRFLOW_CONN_OPENSTACK_SSH"])["extra"]
    options = {
        "host": rights.lab.status()["hosts"][rights.host]["address"],
        "username": login,
        "client_keys": [str(key)],
        "known_hosts": extra["known_hosts"],
        "config": None,
    }
    async with connect_shell(options, rights.host) as shell:
        yield shell


async def order(shell: Shell, script: str) -> str:
    """Run a shell script as root, by a login that may."""
    done = await shell.run(f"sudo sh -ec {shlex.quote(script)}", wait=timedelta(seconds=60))
    assert done.status == 0, done.stderr
    return done.stdout


def spoken(rule: str) -> str:
    """A line of sudoers as facts names the command."""
    command = rule.partition(" NOPASSWD: ")[2].rpartition("/usr/bin/")[2].replace("\\", "")
    return command.replace("[0-9a-f]", "a")


def test_each_rule_is_missed_by_name_when_it_is_taken_away(
    restricted: HostRights, written: Path
) -> None:
    async def take_each_away() -> dict[str, tuple[str, ...]]:
        missed = {}
        async with (
            logged_in(restricted, restricted.lab.key, "maintenance") as root,
            logged_in(restricted, written / "key") as shell,
        ):
            host = Host(shell, LAB.nova_compute)
            script = SCRIPT.read_bytes()
            await order(root, f"chmod o-r {LOG}")
            try:
                assert (await host.read_facts(SCRIPT_UNIT, script)).sudo_missing == ()
                for file in (f"{RULES}-compute", f"{RULES}-scripts"):
                    lines = (await order(root, f"cp {file} /run/rules; cat {file}")).splitlines()
                    for number, line in enumerate(lines, start=1):
                        if " NOPASSWD: " in line:
                            await order(root, f"sed {number}d /run/rules >{file}; visudo -cq")
                            facts = await host.read_facts(SCRIPT_UNIT, script)
                            missed[line] = facts.sudo_missing
                    await order(root, f"cat /run/rules >{file}")
                facts = await host.read_facts(SCRIPT_UNIT, script)
                assert (facts.sudo_missing, facts.log_error) == ((), "")
                # No script, no right for one: its rules need not be there.
                await order(root, f"rm {RULES}-scripts")
                assert (await host.read_facts()).sudo_missing == ()
                assert len((await host.read_facts(SCRIPT_UNIT, script)).sudo_missing) == 3
            finally:
                await order(root, f"chmod o+r {LOG}")
        return missed

    missed = asyncio.run(take_each_away())
    expected = {
        line: () if any(each in line for each in SPARED) else (spoken(line),) for line in missed
    }
    assert missed == expected
    assert sum(bool(names) for names in missed.values()) == 9


def test_what_the_key_is_not_for_is_refused_in_one_sentence(
    restricted: HostRights, written: Path
) -> None:
    async def ask() -> None:
        async with logged_in(restricted, written / "key") as shell:
            for command in (
                "",
                "id",
                "/bin/sh -c id facts",
                "scp -t /tmp",
                "sudo systemctl reboot",
            ):
                answer = await shell.run(command, wait=timedelta(seconds=20))
                assert (answer.status, answer.stdout) == (126, ""), command
                assert answer.stderr.startswith("maintenance-shell: ")
                assert " not one of " in answer.stderr
                assert answer.stderr.count("\n") == 1
            host = Host(shell, LAB.nova_compute)
            assert (await host.read_facts(SCRIPT_UNIT, b"#!/bin/sh\nid\n")).script_refused
            with pytest.raises(HostError, match="not one of include/scripts as they were"):
                await host.start_script("x.sh", b"#!/bin/sh\nid\n", SCRIPT_UNIT)
            # The rules hold where the forced command lets an argument through.
            with pytest.raises(HostError, match="password is required"):
                await Host(shell, replace(LAB.nova_compute, unit="ssh")).stop_nova_compute()
            # It is in no group that may read the journal: by the rule, and only this unit's.
            assert any("nova-compute.service" in line for line in await host.journal_tail())
            assert not any("sshd" in line for line in await host.journal_tail("ssh"))

    asyncio.run(ask())
    log = restricted.root("journalctl --no-pager -t maintenance-shell -n 50")
    assert log.count("refused uid") >= 6


def test_the_installer_can_be_run_again_and_changes_nothing_where_it_objects(
    restricted: HostRights, written: Path
) -> None:
    keys = f"/home/{LOGIN}/.ssh/authorized_keys"
    look = f"cat {RULES}-* {LIBRARY}/* {keys}; stat -c '%U %a %n' {RULES}-* {LIBRARY}/* {keys}"
    first = restricted.root(look)
    restricted.root(f"echo 'ssh-ed25519 AAAA another' >>{keys}; echo x >>{ALLOWED}")
    told = restricted.install(written / "rights", "compute", "--scripts", key=written / "key")
    assert "warning: 1 other key(s) in" in told
    restricted.root(f"sed -i /another/d {keys}")
    assert restricted.root(look) == first
    assert set(first.splitlines()[-5:]) == {
        f"root 440 {RULES}-compute",
        f"root 440 {RULES}-scripts",
        f"root 755 {LIBRARY}/maintenance-shell",
        f"root 644 {LIBRARY}/maintenance-shell.allowed",
        f"root 644 {keys}",
    }

    run = "cd /root/rights; sh install-host-rights"
    for arguments, said in {
        f"{LOGIN} compute --key sudoers-compute": "sudoers-compute is not a public key.",
        f"{LOGIN} compute --from '\"'": "--from needs addresses",
        f"{LOGIN}": "no role is named",
        "root compute": "root cannot be used as the login",
        "nobody-here compute": "there is no user nobody-here: create it: useradd --system",
        f"{LOGIN} everything": "everything is not understood",
    }.items():
        assert said in restricted.root(f"{run} {arguments} 2>&1 && echo no error || true")
    broken = f"echo 'ALL nonsense' >>sudoers-compute; sh install-host-rights {LOGIN} compute"
    said = restricted.root(f"cd /root/rights; {broken} 2>&1 && echo no error || true")
    assert "visudo does not accept /root/rights/sudoers-compute; nothing was changed." in said
    # Accepted alone, and not with what another package brought.
    other = "/etc/sudoers.d/broken"
    spoil = f"echo nonsense >{other}; sed -i '$d' sudoers-compute"
    said = restricted.root(f"cd /root/rights; {spoil}; {run} {LOGIN} compute 2>&1 || rm {other}")
    assert "its rules are as before" in said
    assert restricted.root(look) == first

    options = ("compute", "--from", "192.0.2.1,192.0.2.0/28")
    restricted.install(written / "rights", *options, key=written / "key")
    assert f'from="{options[2]}",restrict,command="{LIBRARY}/' in restricted.root(f"cat {keys}")
    assert restricted.root(f"ls {RULES}-*").split() == [f"{RULES}-compute"]


def test_the_key_goes_nowhere_that_the_login_could_lead_it_to(
    restricted: HostRights, written: Path
) -> None:
    home = f"/home/{LOGIN}"
    keys = "cat /root/.ssh/authorized_keys 2>/dev/null || true"
    look = f"cat {RULES}-*; {keys}; stat -c '%U %a %n' /root {home} || true"
    number = restricted.root(f"id -u {LOGIN}").strip()
    # usermod refuses to touch a login that seems to be process 1's.
    uid = f"sed -i 's/^{LOGIN}:x:[0-9]*:/{LOGIN}:x:{{}}:/' /etc/passwd"
    attacks = {
        f"rm -rf {home}/.ssh; ln -s /root/.ssh {home}/.ssh": f"{home}/.ssh is a link to /root/.ssh",
        f"rm -rf {home}/.ssh; mkdir {home}/.ssh; ln -s /etc/shadow {home}/.ssh/authorized_keys": (
            f"{home}/.ssh/authorized_keys is a link to /etc/shadow"
        ),
        f"rm -rf {home}/.ssh; mkdir {home}/.ssh; ln /etc/shadow {home}/.ssh/authorized_keys": (
            f"{home}/.ssh/authorized_keys is not a file of its own"
        ),
        f"rm -rf {home}/.ssh; mkfifo {home}/.ssh": f"{home}/.ssh is not a folder",
        f"rm -rf {home}/.ssh; usermod --home /root {LOGIN}": f"the home of {LOGIN} is /root: give",
        f"mkdir -m 1777 -p /srv/all; usermod --home /srv/all/x {LOGIN}": (
            f"/srv/all, above the home of {LOGIN}, can be changed by others than root"
        ),
        f"mkdir -p /srv/n; chown nobody /srv/n; usermod --home /srv/n {LOGIN}": (
            f"/srv/n belongs neither to {LOGIN} nor to root"
        ),
        f"rm -rf /srv/n; ln -s /root /srv/n; usermod --home /srv/n {LOGIN}": (
            "/srv/n is a link to /root"
        ),
        f"rm -f /srv/n; usermod --home {home} {LOGIN}; {uid.format(0)}": "has the user id of root",
    }
    for attack, said in attacks.items():
        restricted.root(attack)
        before = restricted.root(look)
        run = f"cd /root/rights; sh install-host-rights {LOGIN} compute --key key.pub"
        told = restricted.root(f"{run} 2>&1 && echo no error || true")
        assert said in told and "no error" not in told, (attack, told)
        assert restricted.root(look) == before, attack
    restricted.root(f"rm -rf /srv/n /srv/all {home}; {uid.format(number)}")

    # A home that the login made is taken from it first: then it can put no link there any more.
    restricted.root(f"install -d -o {LOGIN} -m 775 {home} {home}/.ssh; touch {home}/.ssh/x")
    restricted.install(written / "rights", "compute", key=written / "key")
    owners = restricted.root(f"stat -c '%U %a' {home} {home}/.ssh {home}/.ssh/authorized_keys")
    assert owners.split("\n")[:3] == ["root 755", "root 755", "root 644"]
    mine = f"su {LOGIN} -c 'mv {home}/.ssh {home}/old || echo it may not' 2>&1"
    assert "it may not" in restricted.root(mine)


def test_a_name_with_a_line_break_is_no_rule_to_the_real_sudo(
    restricted: HostRights, tmp_path: Path
) -> None:
    name = f"x\n{LOGIN} ALL=(ALL) NOPASSWD: ALL"
    rule = Rule(name, "systemctl", ("restart", "--no-block", "--", "x.service"))
    packed = base64.b64encode(sudoers(name, LOGIN, [rule]).encode()).decode()
    restricted.root(f"echo {packed} | base64 -d >{RULES}-compute; visudo -cq")
    told = restricted.root(f"sudo -l -U {LOGIN}")
    assert "systemctl restart --no-block -- x.service" in told
    assert "NOPASSWD: ALL" not in told


REFUSED = (
    "systemctl stop --no-block -- ssh.service",
    "systemctl stop nova-compute.service",
    "systemctl reboot --force",
    f"tail -c 16777216 -- {LOG} /etc/shadow",
    f"systemd-run --unit={SCRIPT_UNIT}.service -- id",
    "journalctl --no-pager -o short-iso -n 5 -u nova-compute.service --cursor-file=/etc/x",
    "docker exec -- mariadb sh -c id",
    "docker run -v /:/host x",
    "mariadb -N -B --connect-timeout=5 -e 'drop database nova'",
)


@pytest.mark.parametrize("deployment", ["lab", "kolla"])
def test_sudo_reads_the_rules_as_they_were_meant(
    restricted: HostRights, tmp_path: Path, deployment: str
) -> None:
    """Every command, quotes, brackets and templates included, against the real sudo."""
    write_rights(tmp_path / deployment, deployment, LOGIN)
    told = restricted.install(tmp_path / deployment, "compute", "controller", "--scripts")
    assert told.startswith("installed: compute controller with scripts for restricted")
    commands = [shlex.join(words) for each in rules_of(deployment).values() for words in each]
    engines = [f"/usr/bin/{name}" for name in ("docker", "podman")]
    asked = "\n".join(
        f"sudo -l -U {LOGIN} {command} >/dev/null 2>&1 && echo {number}"
        for number, command in enumerate([*commands, *REFUSED])
    )
    try:
        # sudo looks for the program first.
        restricted.root(f"install -m 755 /bin/true {engines[0]}; cp {engines[0]} {engines[1]}")
        allowed = {int(line) for line in restricted.root(f"set +e\n{asked}\ntrue").split()}
    finally:
        restricted.root(f"rm -f {' '.join(engines)}")
    assert [c for number, c in enumerate(commands) if number not in allowed] == []
    assert max(allowed) < len(commands), "more than the rules is allowed"


def test_a_controller_is_read_and_one_service_restarted(
    on_controller: HostRights, written: Path
) -> None:
    scheduler = LAB.find_service("nova-scheduler")
    assert scheduler is not None
    unit = service_unit(scheduler.unit)
    rules = f"{RULES}-controller"

    async def maintain() -> None:
        async with (
            logged_in(on_controller, on_controller.lab.key, "maintenance") as root,
            logged_in(on_controller, written / "key") as shell,
        ):
            before = await read_controller(shell, LAB)
            assert {each.name: each.state.active_state for each in before.services} == {
                service.name: "active" for service in LAB
            }
            assert before.broker is not None and before.broker.running
            assert before.database is not None and before.database.answers
            night = (before.clock_now - timedelta(hours=2), before.clock_now - timedelta(hours=1))
            assert not (await read_history(shell, LAB, night)).journal_error

            assert await missing_rights(shell, LAB, "restart", list(LAB)) == ()
            assert await missing_rights(shell, LAB, "reboot", ()) == ()
            await order(root, f"cp {rules} /run/rules")
            for right in (
                f"systemctl restart --no-block -- {unit}",
                f"systemctl reset-failed -- {unit}",
            ):
                await order(root, f"grep -v '{right}' /run/rules >{rules}; visudo -cq")
                assert await missing_rights(shell, LAB, "restart", [scheduler]) == (right,)
            await order(root, f"grep -v 'systemctl reboot' /run/rules >{rules}")
            assert await missing_rights(shell, LAB, "reboot", ()) == ("systemctl reboot",)
            await order(root, f"cat /run/rules >{rules}")

            await restart_service(shell, LAB, scheduler)
            show = f"systemctl show {unit} -p ActiveState -p ActiveEnterTimestampMonotonic"
            was = _state(before, "nova-scheduler")
            for _ in range(120):
                now = _state(await read_controller(shell, LAB), "nova-scheduler")
                if now.active_state == "active" and now.main_pid != was.main_pid:
                    break
                await asyncio.sleep(0.5)
            else:
                pytest.fail(await order(root, show))

    asyncio.run(maintain())


def _state(controller: SeenController, name: str) -> UnitState:
    return next(each.state for each in controller.services if each.name == name)


def test_a_host_is_maintained_with_the_least_rights_and_not_begun_with_less(
    stage: Stage, user: Maintainer, least: dict[str, HostRights]
) -> None:
    """With the least rights in OpenStack, too: role and application credential."""
    stage.place("c01", "ACTIVE", "PAUSED", "SHUTOFF")
    least["c02"].root(f"sed -i '/systemctl reboot/d' {RULES}-compute")
    least["c03"].root(f"sed -i 's/^[0-9a-f]* facts$/{'0' * 64} facts/' {ALLOWED}")
    for host in least.keys() - {"ctl01"}:
        stage.lab.fault(host, "sudo-refused")  # all that is left to sudo is what was installed
    before = stage.picture()

    without_a_rule, another_release = stage.airflow.maintain("c02"), stage.airflow.maintain("c03")

    assert stage.fail(without_a_rule, "check_host") == (
        "host c02: the SSH login may not run with sudo: systemctl reboot. Allow these without a "
        "password in sudoers. include/rights/host-rights writes it. Nothing was changed."
    )
    assert stage.fail(another_release, "check_host") == (
        "host c03: its maintenance-shell refused 'facts': the script 'facts' is not one of those "
        "that are allowed. Install the rights on it again: run include/rights/host-rights, "
        "then install-host-rights on the host. Nothing was changed."
    )
    assert stage.picture() == before

    run = stage.airflow.maintain("c01", script=SCRIPT.name)
    record = stage.finish(run)

    stage.assert_given_back("c01", before.boots["c01"])
    assert {move["method"] for move in record["moves"]} == {"live", "cold"}
    for name in before.instances:
        actions = stage.cloud.connection.compute.server_actions(stage.instance(name).id)
        assert {a.user_id for a in actions if "migrat" in a.action} == {user.user_id}
    assert record["evidence"]["script"]["exit_code"] == 0
    assert any(line.startswith("kernel: ") for line in record["evidence"]["script"]["output"])
    after = stage.picture().instances
    assert {name: status for name, (_, status) in after.items()} == {
        name: status for name, (_, status) in before.instances.items()
    }
    assert "c01" not in {host for host, _ in after.values()}
