"""What a simulated host's programs print has the form that real ones printed, as recorded."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openstack_maintenance.domain.host.amqp_log import amqp_lines
from openstack_maintenance.domain.host.answers import parse_sockets
from simulator.hosts.look import SHOWN
from simulator.hosts.state import FAILED, STARTED, Entry, Process, Socket, Unit

FIXTURES = Path(__file__).parents[1] / "fixtures"
HOST = FIXTURES / "host"


def recorded(path: Path, prefix: str = "") -> dict[str, str]:
    lines = path.read_text().splitlines()
    mine = (line.removeprefix(prefix) for line in lines if line.startswith(prefix))
    return dict(line.split("=", 1) for line in mine)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("file", "unit"),
    [
        (
            "running",
            Unit(
                "nova-compute.service",
                active="active",
                sub="running",
                main_pid=61,
                active_enter=at("2026-11-22 12:53:27"),
                exec_start=at("2026-11-22 12:53:27"),
            ),
        ),
        (
            "stopped",
            Unit(
                "nova-compute.service",
                active_enter=at("2026-11-22 13:03:55"),
                exec_start=at("2026-11-22 13:03:55"),
                exec_exit=at("2026-11-22 13:04:48"),
            ),
        ),
    ],
)
def test_a_unit_is_shown_as_systemctl_showed_it(file: str, unit: Unit) -> None:
    shown = unit.shown()
    asked = {key: shown[key] for key in SHOWN}
    assert asked == recorded(HOST / f"systemctl_show_{file}.txt")
    assert list(asked) == list(recorded(HOST / f"systemctl_show_{file}.txt"))


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        (10, Unit("chronyd.service", load="not-found", file_state="")),
        (16, Unit("systemd-timesyncd.service", load="masked", file_state="masked")),
    ],
)
def test_a_unit_that_is_not_there_is_shown_as_it_was(number: int, unit: Unit) -> None:
    shown = recorded(FIXTURES / "controller/no-database.txt", f"s{number}.unit.")
    assert {key: unit.shown()[key] for key in shown} == shown


def test_a_socket_reads_as_that_of_ss() -> None:
    lines = (HOST / "ss.txt").read_text().splitlines()
    ours = Socket("172.31.240.11:34640", "172.31.240.10:5672", "nova-compute", 61)
    assert parse_sockets([str(ours)], [61]) == parse_sockets(lines, [61])[:1]
    assert str(ours).split() in [line.split() for line in lines]


def test_a_process_reads_as_that_of_ps() -> None:
    line = next(
        line for line in (HOST / "ps_with_guests.txt").read_text().splitlines() if "2a" in line
    )
    args = "/usr/bin/qemu-system-x86_64 -name guest=instance-0000002a,debug-threads=on -S"
    ours = Process(2211, "qemu-system-x86_64", args)
    assert f"{ours.pid:7} {ours.comm[:15]:15} {ours.args}" == line


def test_the_journals_lines_have_its_form() -> None:
    lines = [
        line.partition("=")[2]
        for line in (FIXTURES / "controller/no-database.txt").read_text().splitlines()
        if ".journal=" in line
    ]
    text = "placement-api.service: Failed with result 'exit-code'."
    entry = Entry(at("2026-11-22 13:41:53"), "b", "placement-api.service", text, id=FAILED)
    assert entry.short_iso("ctl01") in lines


def test_the_journals_json_has_the_fields_that_systemd_wrote() -> None:
    lines = (FIXTURES / "controller/history.txt").read_text().splitlines()
    rows = [json.loads(line.removeprefix("event=")) for line in lines if line.startswith("event=")]
    theirs = next(row for row in rows if row["MESSAGE_ID"] == STARTED)
    boot = re.sub("(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", theirs["_BOOT_ID"])
    moment = datetime.fromtimestamp(int(theirs["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    ours = Entry(moment, boot, theirs["UNIT"], theirs["MESSAGE"], id=STARTED, job="start").plain()
    assert {key: theirs[key] for key in ours} == ours


def test_the_recorded_log_has_the_words_that_ours_has() -> None:
    line = amqp_lines((HOST / "nova-compute.log").read_text().splitlines())[-1].line
    message = re.sub(r"^\[.*?\] (?=\[)", "", line.message)
    connection, words = message.split("] ", 1)
    assert len(connection) == 37
    assert words.startswith(
        "Connected to AMQP server on 172.31.240.10:5672 via [amqp] client with port"
    )
