"""What the commands on a host answer, and what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import host_facts
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.host.answers import (
    LONGEST_LINE,
    MOST_LINES,
    parse_answers,
    parse_clock,
    parse_container_time,
    parse_guests,
    parse_script,
    parse_sockets,
    parse_systemd_time,
    parse_unit,
)
from openstack_maintenance.domain.host.facts import (
    BrokerSocket,
    GuestProcess,
    HostFacts,
    UnitState,
    find_wrong_host,
)
from openstack_maintenance.domain.host.unit_name import service_unit
from openstack_maintenance.domain.host.zone import local_zone

FIXTURES = Path(__file__).parents[2] / "fixtures" / "host"
CLOCK = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


def unit(**values: str) -> dict[str, tuple[str, ...]]:
    loaded = {"unit.LoadState": ("loaded",), "unit.Id": ("nova-compute.service",)}
    return loaded | {f"unit.{key}": (value,) for key, value in values.items()}


def facts(hostname: str, fqdn: str) -> HostFacts:
    return host_facts(hostname, fqdn=fqdn)


def test_an_answer_that_was_cut_off_is_no_answer() -> None:
    assert parse_answers("boot_id=a\nguest=1 kvm") is None
    assert parse_answers("") is None
    assert parse_answers("guest=1 a\nguest=2 b\nend=ok") == {
        "guest": ("1 a", "2 b"),
        "end": ("ok",),
    }


@pytest.mark.parametrize("end", ["end=ok", "end=ok\n", "end=ok\r\n"])
def test_the_last_line_completes_an_answer(end: str) -> None:
    assert parse_answers(f"a=1\r\nb=x\ry\n{end}") == {"a": ("1",), "b": ("x\ry",), "end": ("ok",)}


@pytest.mark.parametrize(
    "text",
    [
        "line=an image named end=ok",
        "line=an image\nend=ok\nsocket=ESTAB 0 0 10.0.0.1:40112 10.0",
        "line=an image\nend=ok ",
        "line=an image\n end=ok\n",
        *(f"line=an image{each}end=ok" for each in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"),
        *(f"end=ok{each}line=an image" for each in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"),
    ],
)
def test_the_end_of_an_answer_cannot_be_said_by_a_line_of_it(text: str) -> None:
    assert parse_answers(text) is None


@pytest.mark.parametrize("false", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r")
def test_a_strangers_text_adds_no_line_to_an_answer(false: str) -> None:
    told = f"line=an image named {false}socket=x{false}pid=1{false}guest=x{false}boot_id=y"
    answers = parse_answers(f"boot_id=b\n{told}\nend=ok")
    assert answers == {"boot_id": ("b",), "line": (told[5:],), "end": ("ok",)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * (LONGEST_LINE + 1), f"longer than {LONGEST_LINE} characters"),
        ("\n" * (MOST_LINES + 1), f"more than {MOST_LINES} lines"),
    ],
)
def test_more_than_any_script_says_is_refused_with_the_limit(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_answers(f"{text}\nend=ok")
    assert parse_answers(f"{'x' * LONGEST_LINE}\nend=ok") == {"end": ("ok",)}


ODD_NUMBERS = ["²", "٣", "-1", "1.5", "0x1", "1e3", "9" * 5_000, "x", "1 2", "one"]


@pytest.mark.parametrize("pid", ["", *ODD_NUMBERS])
def test_a_process_whose_number_cannot_be_read_is_there_all_the_same(pid: str) -> None:
    stopped = unit(ActiveState="inactive", SubState="dead", MainPID="0")
    state = parse_unit(stopped | {"pid": (pid,)}, "x")
    assert not state.is_gone
    assert "with an unreadable number" in str(state)
    # It proves no life either.
    assert not parse_unit(unit(ActiveState="active") | {"pid": (pid,)}, "x").is_active


@pytest.mark.parametrize("pid", ODD_NUMBERS)
def test_a_main_process_whose_number_cannot_be_read_is_there_all_the_same(pid: str) -> None:
    assert not parse_unit(unit(ActiveState="inactive", MainPID=pid), "x").is_gone
    container = f"f00d|nova_compute|exited|{pid}|0||0001-01-01T00:00:00Z"
    assert not parse_unit({"container": (container,)}, "x").is_gone


@pytest.mark.parametrize(
    "container",
    ["x", "|", "f00d|nova_compute|exited|0|0|", "f00d|nova_compute|exited|0|0|no|never|more"],
)
def test_a_container_that_cannot_be_read_is_neither_gone_nor_active(container: str) -> None:
    state = parse_unit({"engine": ("docker",), "container": (container,)}, "x")
    assert (state.kind, state.is_gone, state.is_active) == ("docker", False, False)
    assert container in str(state)


@pytest.mark.parametrize("restarts", ODD_NUMBERS)
def test_a_number_of_restarts_that_cannot_be_read_is_none(restarts: str) -> None:
    assert parse_unit(unit(NRestarts=restarts), "x").n_restarts == 0


@pytest.mark.parametrize(
    "line", ["", "x", "² qemu-kvm -name guest=a", "9" * 5_000 + " qemu", "a b c", " \u2028 "]
)
def test_a_line_of_a_guest_that_cannot_be_read_is_a_guest(line: str) -> None:
    (guest,) = parse_guests([line])
    assert guest.pid == 0
    assert "process unreadable" in str(guest)
    assert len(str(guest)) < 200


@pytest.mark.parametrize(
    ("active", "sub", "main_pid", "pids", "is_gone", "is_active"),
    [
        ("active", "running", "12", ("12", "13"), False, True),
        ("inactive", "dead", "0", (), True, False),
        ("failed", "failed", "0", (), True, False),
        ("failed", "failed", "0", ("12",), False, False),
        ("deactivating", "stop-sigterm", "12", ("12",), False, False),
        ("deactivating", "stop-post", "0", (), False, False),
        ("activating", "auto-restart", "0", (), False, False),
        ("active", "exited", "0", (), False, False),
    ],
    ids=[
        "running",
        "stopped",
        "failed with no process left is a stop",
        "failed while a process lives on is none",
        "stopping",
        "stopping, between processes",
        "about to be restarted by systemd",
        "active without a process",
    ],
)
def test_a_stop_is_judged_by_the_processes(
    active: str, sub: str, main_pid: str, pids: tuple[str, ...], is_gone: bool, is_active: bool
) -> None:
    answers = unit(ActiveState=active, SubState=sub, MainPID=main_pid) | {"pid": pids}
    state = parse_unit(answers, "nova-compute.service")
    assert (state.is_gone, state.is_active) == (is_gone, is_active)


def test_what_nobody_knows_is_absent_and_neither_gone_nor_active() -> None:
    state = parse_unit({"look_alike": ("openstack-nova-compute.service",)}, "nova-compute.service")
    assert (state.kind, state.is_gone, state.is_active) == ("absent", False, False)
    assert state.look_alikes == ("openstack-nova-compute.service",)


def test_a_container_is_read_with_its_processes_and_its_restart_policy() -> None:
    docker = "f00d|/nova_compute|running|4242|3|unless-stopped|2026-03-10T01:00:05.123456789Z"
    answers = {"engine": ("docker",), "container": (docker,), "pid": ("4242", "4250")}
    state = parse_unit(answers, "kolla-nova_compute-container.service")
    assert state == UnitState(
        name="nova_compute",
        kind="docker",
        active_state="active",
        sub_state="running",
        main_pid=4242,
        pids=(4242, 4250),
        n_restarts=3,
        active_enter=datetime(2026, 3, 10, 1, 0, 5, tzinfo=UTC),
        starts_at_boot="unless-stopped",
    )
    assert not state.is_back_after_boot
    podman = "f00d|nova_compute|exited|0|0||2026-03-10 01:00:05.1 +0000 UTC"
    stopped = parse_unit({"engine": ("podman",), "container": (podman,)}, "x.service")
    assert (stopped.kind, stopped.is_gone) == ("podman", True)
    restarting = docker.replace("running|4242", "restarting|0")
    assert not parse_unit({"engine": ("docker",), "container": (restarting,)}, "x").is_gone


def test_a_kolla_unit_is_gone_only_with_the_containers_processes() -> None:
    stopped = unit(ActiveState="inactive", SubState="dead", MainPID="0", UnitFileState="enabled")
    assert parse_unit(stopped, "x").is_back_after_boot
    assert not parse_unit(stopped | {"pid": ("4242",)}, "x").is_gone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue 2026-03-10 01:00:05 UTC", datetime(2026, 3, 10, 1, 0, 5, tzinfo=UTC)),
        ("n/a", None),
        ("", None),
        ("Tue 2026-03-10 01:00:05 CET", None),
        ("Tue 2026-13-10 01:00:05 UTC", None),
        ("Tue 0000-03-10 01:00:05 UTC", None),
        ("Tue 0001-01-01 00:00:00 UTC", None),
        ("Fri 9999-12-31 23:59:59 UTC", None),
        ("Tue ٢٠٢٦-03-10 01:00:05 UTC", None),
    ],
)
def test_times_of_systemd(text: str, expected: datetime | None) -> None:
    assert parse_systemd_time(text) == expected


def test_a_container_that_never_started_has_no_time() -> None:
    assert parse_container_time("0001-01-01T00:00:00Z") is None
    assert parse_container_time("0001-01-01 00:00:00 +0000 UTC") is None


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-23:59", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+99:99", "x"]
)
def test_a_containers_time_beyond_the_calendar_is_none(text: str) -> None:
    assert parse_container_time(text) is None


def test_a_clock_without_offset_is_refused() -> None:
    assert parse_clock("2026-03-10T01:00:00.123456789+0530").utcoffset() == timedelta(hours=5.5)
    with pytest.raises(ValueError, match="has no UTC offset"):
        parse_clock("2026-03-10T01:00:00")


@pytest.mark.parametrize(
    "text",
    ["", "x", "9" * 900, "0001-01-01T00:00:00+2359", "9999-12-31T23:59:59-2359", "²026-03-10T01Z"],
)
def test_a_clock_that_cannot_be_reckoned_with_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="its clock cannot be read: it says ") as caught:
        parse_clock(text)
    assert len(str(caught.value)) < 200


def test_guests_are_named_as_libvirt_names_them() -> None:
    lines = [
        "2211 qemu-system-x86 /usr/bin/qemu-system-x86_64 -name guest=instance-0000002a,debug-t",
        " 99 qemu-kvm /usr/libexec/qemu-kvm -nographic",
    ]
    assert parse_guests(lines) == (
        GuestProcess(pid=2211, name="qemu-system-x86", guest="instance-0000002a"),
        GuestProcess(pid=99, name="qemu-kvm", guest=""),
    )
    assert str(parse_guests(lines)[0]) == "instance-0000002a (process 2211)"


def test_only_sockets_of_nova_compute_to_a_brokers_port_are_evidence() -> None:
    rows = [
        'ESTAB 0 0 10.0.0.1:40112 10.0.0.8:5672 users:(("nova-compute",pid=812,fd=9))',
        'ESTAB 0 0 [fd00::1]:40113 [fd00::8]:5671 users:(("nova-compute",pid=813,fd=9))',
        'ESTAB 0 0 10.0.0.1:40114 10.0.0.8:5672 users:(("neutron-openvsw",pid=700,fd=9))',
        'SYN-SENT 0 1 10.0.0.1:40115 10.0.0.9:5672 users:(("nova-compute",pid=812,fd=10))',
        'CLOSE-WAIT 1 0 10.0.0.1:40116 10.0.0.9:5672 users:(("nova-compute",pid=812,fd=11))',
        'ESTAB 0 0 10.0.0.1:5672 10.0.0.7:39000 users:(("nova-compute",pid=812,fd=12))',
        'ESTAB 0 0 10.0.0.1:40117 10.0.0.8:3306 users:(("nova-compute",pid=812,fd=13))',
        "ESTAB 0 0 10.0.0.1:40118 10.0.0.8:5672",
        "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process",
    ]
    assert parse_sockets(rows, (812, 813)) == (
        BrokerSocket(pid=812, local="10.0.0.1:40112", peer="10.0.0.8:5672"),
        BrokerSocket(pid=813, local="[fd00::1]:40113", peer="[fd00::8]:5671"),
    )


@pytest.mark.parametrize(
    "name",
    [
        'a",pid=812',
        'a",pid=812,fd=1',
        '",pid=812,fd=1)',
        '(("b",pid=812',
        "pid=812",
        'a",pid=8,fd=1)',
        '",pid=8,fd=1),(',
    ],
)
def test_a_socket_is_held_by_the_process_that_the_kernel_names(name: str) -> None:
    row = f'ESTAB 0 0 10.0.0.1:40112 10.0.0.8:5672 users:(("{name}",pid=700,fd=9))'
    assert len(name) <= 15  # the kernel keeps no more of a process's name
    assert parse_sockets([row], (8, 812)) == ()
    assert parse_sockets([row.replace("700", "0")], (0,)) == ()


def test_a_scripts_output_is_kept_to_its_last_lines_and_each_to_a_length() -> None:
    lines = tuple(f"{number} {'x' * 3_000}" for number in range(300))
    output = parse_script(unit(ActiveState="active") | {"output": lines}, "s").output
    assert len(output) == 100
    assert output[-1].startswith("299 ")
    assert all(len(line) < 1_100 for line in output)


@pytest.mark.parametrize(
    ("values", "status", "exit_code"),
    [
        ({"ActiveState": "active", "SubState": "running", "Result": "success"}, "running", None),
        ({"ActiveState": "active", "SubState": "exited", "Result": "success"}, "succeeded", 0),
        (
            {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}
            | {"ExecMainStatus": "7"},
            "failed",
            7,
        ),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "signal"}, "failed", 0),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "absent", None),
    ],
)
def test_a_scripts_state(values: dict[str, str], status: str, exit_code: int | None) -> None:
    state = parse_script(unit(**values), "s.service")
    assert (state.status, state.exit_code) == (status, exit_code)


@pytest.mark.parametrize(
    ("ours", "novas", "is_right"),
    [
        (("c01", "c01.example.com"), ("c01.example.com", "c01.example.com"), True),
        (("c01", "c01.example.com"), ("c01", "c01.example.com"), True),
        (("c01.example.com", ""), ("c01", "c01"), True),
        (("c01", "c01"), ("c01.example.com", "c01.example.com"), True),
        (("C01", "C01.Example.com."), ("c01.example.com", ""), True),
        (("c01", "localhost"), ("c01.example.com", "c01.example.com"), True),
        (("c01", "c01.internal"), ("c01.example.com", "c01.internal"), True),
        (("c02", "c02.example.com"), ("c01.example.com", "c01.example.com"), False),
        (("c01", "c01.west"), ("c01.east", "c01.east"), False),
        (("c011", "c011.east"), ("c01", "c01.east"), False),
        (("localhost", "localhost.localdomain"), ("c01", "c01"), False),
        (("localhost", "localhost"), ("localhost", "localhost"), False),
    ],
)
def test_the_ssh_target_must_be_the_nova_host(
    ours: tuple[str, str], novas: tuple[str, str], is_right: bool
) -> None:
    blocker = find_wrong_host(facts(*ours), *novas)
    assert (blocker is None) is is_right
    if blocker:
        assert f"addresses: {{{novas[0]}: ADDRESS}}" in blocker.remedy


def test_a_named_zone_that_contradicts_the_clock_gives_way_to_the_clocks_offset() -> None:
    berlin = parse_clock("2026-07-01T03:00:00+0200")
    assert str(local_zone("Europe/Berlin", berlin)) == "Europe/Berlin"
    names = (
        "Europe/London",
        "No/Where",
        "",
        "../etc/passwd",
        "\0",
        "Europe",
        "x" * 5_000,
        "\ud800",
    )
    for name in names:
        assert local_zone(name, berlin).utcoffset(berlin) == timedelta(hours=2)


def test_units_get_their_full_name_and_nothing_else_passes() -> None:
    assert service_unit("nova-compute") == "nova-compute.service"
    assert service_unit("nova-compute.service") == "nova-compute.service"
    bad: tuple[Any, ...] = ("", "-x", "a b", "a;reboot", "../x", "$(id)")
    for name in bad:
        with pytest.raises(HostError, match="not a valid unit name"):
            service_unit(name)
