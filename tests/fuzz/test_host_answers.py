"""What a compute host answers: read, or refused in one sentence; nothing in it forges a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_answers import (
    BOOT,
    FALSE_BREAKS,
    FIXTURES,
    Loop,
    ToldShell,
    as_bytes,
    mutated,
    odd_texts,
)
from judged import assert_grows_linearly, judged
from openstack_maintenance.adapters.host import Host
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.host.answers import (
    parse_answers,
    parse_clock,
    parse_container_time,
    parse_guests,
    parse_sockets,
    parse_systemd_time,
    parse_unit,
)
from openstack_maintenance.domain.host.facts import BrokerSocket, GuestProcess, find_wrong_host
from openstack_maintenance.domain.host.zone import local_zone

KOLLA = NovaCompute(
    "nova-compute", ("/var/log/nova.log",), container="nova_compute", engines=("docker", "podman")
)
LOG = (FIXTURES / "host/nova-compute.log").read_text().splitlines()
UNIT = [
    f"unit.{line}"
    for line in (FIXTURES / "host/systemctl_show_running.txt").read_text().split("\n")
]
CONTAINER = "container=f00d|/nova_compute|running|4242|3|unless-stopped|2026-03-10T01:00:05.1Z"
STATE = [*UNIT, "pid=61", "pid=62", "engine=docker", CONTAINER, "look_alike=openstack-nova"]
FACTS = [
    f"boot_id={BOOT}",
    "clock=2026-11-22T12:56:00.123456789+0000",
    "zone=/usr/share/zoneinfo/Etc/UTC",
    "hostname=c01",
    "fqdn=c01.example.com",
    "UserspaceTimestamp=Sun 2026-11-22 12:53:26 UTC",
    "kernel=6.1.0-13-amd64",
    "file=1795351816 /run/reboot-required",
    "file=1795351816 /boot/vmlinuz-6.1.0-31-amd64",
    "reboot_package=linux-image-6.1.0-31-amd64",
    "needs_restarting=1",
    "needs_restarting_line=  * kernel",
    "needs_restarting_line=Reboot is required to fully utilize these updates.",
    *STATE,
    "guest=2211 qemu-system-x86 /usr/bin/qemu-system-x86_64 -name guest=instance-0000002a,debug",
    "log=/var/log/nova/nova-compute.log",
    "log_error=No such file",
    "sudo_missing=systemctl reboot",
]
AMQP = [
    *FACTS[:3],
    *STATE,
    "log=/var/log/nova/nova-compute.log",
    *(f"line={line}" for line in LOG if "AMQP" in line),
    f"newest={LOG[-1]}",
    "modified=2026-11-22T12:55:00+0000",
    *(f"socket={line}" for line in (FIXTURES / "host/ss.txt").read_text().splitlines()),
    "sockets_error=sudo: a password is required",
]
ORDER = [*FACTS[:2], *STATE, "status=1", "message=refused", "refused=guests", *FACTS[-4:-3]]
SCRIPT = [*UNIT, "unit.ExecMainStatus=3", "unit.Result=exit-code", "output=one", "output=two"]

loop = Loop()


def host(text: str, status: int | None = 0) -> Host:
    return Host(ToldShell(as_bytes(text), status, b"sh: not found \xff\0"), KOLLA)


def plain(found: Any) -> None:
    """What becomes an XCom, a record and a line of a log must be storable."""
    if hasattr(found, "__dataclass_fields__"):
        found = asdict(found)
    if isinstance(found, dict):
        found = [*found, *found.values()]
    if isinstance(found, list | tuple):
        for each in found:
            plain(each)
    elif isinstance(found, str):
        found.encode("utf-8")
        assert "\0" not in found


ASKED: dict[str, tuple[list[str], Callable[[Host], Any]]] = {
    "facts": (FACTS, lambda host: host.read_facts("openstack-maintenance-1", b"#!/bin/sh")),
    "boot_id": (FACTS[:2], lambda host: host.boot_id()),
    "state": (STATE, lambda host: host.nova_compute_state()),
    "stop": (ORDER, lambda host: host.stop_nova_compute()),
    "start": (ORDER, lambda host: host.start_nova_compute()),
    "reboot": (ORDER, lambda host: host.reboot(BOOT)),
    "amqp": (AMQP, lambda host: host.amqp_evidence()),
    "journal": (SCRIPT, lambda host: host.journal_tail()),
    "script": (SCRIPT, lambda host: host.script_state("openstack-maintenance-1")),
}


@pytest.mark.parametrize("asked", ASKED)
@given(data=st.data())
def test_any_answer_to_a_question(asked: str, data: st.DataObject) -> None:
    lines, ask = ASKED[asked]
    text = data.draw(mutated(lines))
    status = data.draw(st.sampled_from([0, 0, 0, 0, 1, 126, None]))
    plain(judged(lambda: loop.run(ask(host(text, status)))))


@given(data=st.binary(max_size=300), end=st.booleans())
def test_any_bytes(data: bytes, end: bool) -> None:
    shell = ToldShell(data + b"\nend=ok\n" if end else data)
    plain(judged(lambda: loop.run(Host(shell, KOLLA).read_facts())))


# Bypasses: what a stranger's text must not be able to say.


@given(stranger=odd_texts(), breaks=st.sampled_from(list(FALSE_BREAKS)), data=st.data())
def test_a_strangers_text_in_a_line_changes_nothing_but_that_line(
    stranger: str, breaks: str, data: st.DataObject
) -> None:
    forged = f"{stranger[:500]}{breaks}pid=1{breaks}socket=x{breaks}guest={breaks}end=ok{breaks}x"
    place = data.draw(st.integers(0, len(AMQP)))
    answers = parse_answers("\n".join([*AMQP[:place], f"line={forged}", *AMQP[place:], "end=ok"]))
    honest = parse_answers("\n".join([*AMQP, "end=ok"]))
    assert answers is not None
    assert honest is not None
    assert len(answers["line"]) == len(honest["line"]) + 1
    assert {**answers, "line": ()} == {**honest, "line": ()}


@given(stranger=odd_texts(), breaks=st.sampled_from(list(FALSE_BREAKS)), data=st.data())
def test_an_answer_that_was_cut_off_is_none_whatever_stands_in_it(
    stranger: str, breaks: str, data: st.DataObject
) -> None:
    lines = [*AMQP, f"line={stranger[:500]}{breaks}end=ok", "socket=x"]
    text = "\n".join([*lines, "end=ok\n"])
    cut = data.draw(st.integers(0, len(text) - len("end=ok\n") + 5))
    assert parse_answers(text[:cut]) is None


@given(lines=st.lists(odd_texts().map(lambda text: text[:2_000]), max_size=5))
def test_every_line_of_a_guest_is_a_guest(lines: list[str]) -> None:
    guests = judged(parse_guests, lines)
    assert guests is not None
    assert len(guests) == len(lines)
    assert all(isinstance(each, GuestProcess) and str(each) for each in guests)


@given(pid=odd_texts(), main=odd_texts(), container=odd_texts(), kind=st.booleans())
def test_a_process_that_is_told_of_is_there_however_it_is_written(
    pid: str, main: str, container: str, kind: bool
) -> None:
    stopped = {"unit.LoadState": ("loaded",), "unit.ActiveState": ("inactive",)}
    unit = {**stopped, "unit.MainPID": (main,)} if kind else {"container": (container or "x",)}
    state = judged(parse_unit, {**unit, "pid": (pid,)}, "nova-compute.service")
    assert state is not None
    assert not state.is_gone
    str(state)
    state = judged(parse_unit, unit, "nova-compute.service")
    is_none = main[:1000].strip() in ("", "0") or set(main) == {"0"}
    assert not (kind and state and state.is_gone and not is_none)


@given(boot_id=odd_texts())
def test_a_boot_id_that_cannot_be_read_is_never_another_boot(boot_id: str) -> None:
    answer = f"boot_id={boot_id}\nrefused=already_rebooted\nclock=2026-11-22T12:56:00+0000\nend=ok"
    assert judged(lambda: loop.run(host(answer).reboot(BOOT))) is None
    assert judged(lambda: loop.run(host(answer).boot_id())) is None


@given(
    # The kernel keeps 15 bytes of a process's name.
    name=st.lists(st.sampled_from(['"', ",", "pid=8", "fd=1", ")", "(", "a"]), max_size=9)
    .map("".join)
    .filter(lambda name: len(name) <= 15)
)
def test_a_processs_name_is_no_evidence_of_a_socket(name: str) -> None:
    row = f'ESTAB 0 0 10.0.0.1:40112 10.0.0.8:5672 users:(("{name}",pid=700,fd=9))'
    assert judged(parse_sockets, [row], (8,)) == ()


@given(row=mutated([line.removeprefix("socket=") for line in AMQP if line.startswith("socket")]))
def test_any_sockets(row: str) -> None:
    found = judged(parse_sockets, row.split("\n"), (61, 0))
    assert all(isinstance(each, BrokerSocket) for each in found or ())


@pytest.mark.parametrize("parse", [parse_systemd_time, parse_container_time])
@given(text=odd_texts())
def test_any_time(parse: Callable[[str], Any], text: str) -> None:
    judged(parse, text)


@given(zone=odd_texts(), clock=st.sampled_from(["2026-07-01T03:00:00+0200", "0002-01-01T00Z"]))
def test_any_zone(zone: str, clock: str) -> None:
    judged(local_zone, zone, parse_clock(clock))


@given(names=st.lists(odd_texts().map(lambda text: text[:1_000]), min_size=4, max_size=4))
def test_any_names_of_a_host(names: list[str]) -> None:
    answer = "\n".join([*FACTS, f"hostname={names[0]}x", f"fqdn={names[1]}", "end=ok"])
    facts = judged(lambda: loop.run(host(answer).read_facts()))
    if facts is not None:
        blocker = judged(find_wrong_host, facts, names[2], names[3])
        assert blocker is None or len(blocker.reason) < 20_000


# Time grows with the length of an answer, not with its square.


def full(unit: str) -> Callable[[int], str]:
    """An answer of a size made of the same lines."""
    return lambda size: unit * (size // len(unit)) + "\nend=ok"


HUGE = {
    "short lines of one key": "line=\n" * 3,
    "guests": f"guest=1 qemu {'guest=' * 40}\n",
    "processes": "pid=77\n",
    "a line of a log": f"line={'AMQP server ' * 80}\n",
    "sockets": "socket=ESTAB 0 0 a:1 b:5672 users:(" + '("a",pid=61,fd=1),' * 20 + ")\n",
    "kernels": f"file=1795351816 /boot/vmlinuz-{'1.' * 90}\n",
    "false line breaks": "line=\u2028",
    "one long line": "guest=guest=",
    "what is no UTF-8": "\ud800",
}


@pytest.mark.parametrize("unit", HUGE.values(), ids=list(HUGE))
def test_a_huge_answer_is_read_in_a_time_that_grows_with_its_length(unit: str) -> None:
    def read(text: str) -> None:
        loop.run(host("\n".join(FACTS) + "\n" + text).read_facts())
        loop.run(host("\n".join(AMQP) + "\n" + text).amqp_evidence())

    assert_grows_linearly(read, full(unit))


PARSERS: dict[str, Callable[[str], Any]] = {
    "guests": lambda text: parse_guests([text]),
    "sockets": lambda text: parse_sockets([text], (1,)),
    "systemd's time": parse_systemd_time,
    "a container's time": parse_container_time,
    "a container": lambda text: parse_unit({"container": (text,)}, "x"),
}
PIECES = [
    "1 a guest=",
    "ESTAB 1 1 a a users:(",
    'ESTAB 0 0 a:1 b:5672 users:(("',
    '("a",pid=1',
    "2026-11-22 12:53:26 UT",
    " ",
    "1",
    "|",
    "guest=",
]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("parse", PARSERS.values(), ids=list(PARSERS))
def test_a_long_line_is_read_in_a_time_that_grows_with_its_length(
    parse: Callable[[str], Any], piece: str
) -> None:
    assert_grows_linearly(parse, lambda size: PIECES[2] + piece * (size // len(piece)))
