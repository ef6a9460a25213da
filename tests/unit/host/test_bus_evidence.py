"""Which evidence proves that nova-compute is on the message bus, and which does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from builders import amqp_line, unit_state
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.bus_evidence import judge_bus
from openstack_maintenance.domain.host.facts import AmqpEvidence, BrokerSocket

REBOOTED = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
NOW = REBOOTED + timedelta(minutes=10)


def line(message: str, at: str = "01:05:00.1", **given: str) -> str:
    return amqp_line(message, f"2026-03-10 {at}", context="[-] [u]", **given)


CONNECTED = line("Connected to AMQP server on ctl:5672 via")
OLD = line("Connected to AMQP server on ctl:5672 via", at="00:05:00.1")
LOST = line("AMQP server on ctl:5672 is unreachable: x", at="01:06:00.1", level="ERROR")
STARTED = "2026-03-10 01:04:00.1 812 INFO nova.service [-] Starting compute node (version 34.0.0)"
SOCKET = BrokerSocket(pid=812, local="10.0.0.21:40112", peer="10.0.0.8:5672")
BEATS = (NOW - timedelta(seconds=20), NOW - timedelta(seconds=10))


def evidence(*lines: str, sockets: tuple[BrokerSocket, ...] = (SOCKET,), **given: Any) -> Any:
    base = AmqpEvidence(
        boot_id="b2",
        clock=NOW,
        zone_name="UTC",
        nova_compute=unit_state(),
        log_path="/var/log/nova/nova-compute.log",
        log_error="",
        log=LogFile(lines),
        sockets=sockets,
        sockets_error="",
    )
    return replace(base, **given)


UNREAD: dict[str, Any] = {"log_error": "/var/log/nova/nova-compute.log: Permission denied"}
UNSEEN: dict[str, Any] = {"sockets_error": "ss: command not found"}
TWO, NONE = BEATS, ()

# Rows: evidence, heartbeats, what any accepts, what log_line accepts, part of any's reason.
TABLE: list[tuple[Any, ...]] = [
    (
        "the line",
        evidence(CONNECTED),
        TWO,
        "log_line",
        "log_line",
        "since nova-compute was stopped",
    ),
    ("the line, nothing else", evidence(CONNECTED, sockets=()), NONE, *["log_line"] * 2, "ctl"),
    ("no line", evidence(STARTED), TWO, "socket_and_heartbeat", "", "connection to 10.0.0.8:5672"),
    (
        "an old line",
        evidence(OLD),
        TWO,
        "socket_and_heartbeat",
        "",
        "no AMQP line since nova-compute was stopped",
    ),
    ("no log", evidence(**UNREAD), TWO, "socket_and_heartbeat", "", "Permission denied"),
    ("bad news since", evidence(CONNECTED, LOST), TWO, "", "", "says lost, not connected"),
    (
        "bad news of before the reboot",
        evidence(LOST.replace("01:06", "00:06")),
        *(TWO, "socket_and_heartbeat", "", "no AMQP line since nova-compute was stopped"),
    ),
    (
        "good news after bad",
        evidence(LOST.replace("06", "02"), CONNECTED),
        TWO,
        "log_line",
        "log_line",
        "connected to ctl:5672 since nova-compute was stopped",
    ),
    ("no socket", evidence(STARTED, sockets=()), TWO, "", "", "no connection to a broker port"),
    ("sockets cannot be read", evidence(sockets=(), **UNSEEN), TWO, "", "", "ss: command not"),
    ("one heartbeat", evidence(STARTED), BEATS[:1], "", "", "no heartbeat advanced"),
    ("the same heartbeat twice", evidence(), BEATS[:1] * 2, "", "", "no heartbeat advanced"),
    ("no heartbeat", evidence(), NONE, "", "", "no heartbeat advanced"),
    ("nothing", evidence(sockets=(), **UNREAD), NONE, "", "", "Permission denied"),
]


@pytest.mark.parametrize(
    ("found", "beats", "kind_any", "kind_line", "reason"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_each_evidence_is_weighed(
    found: AmqpEvidence, beats: tuple[datetime, ...], kind_any: str, kind_line: str, reason: str
) -> None:
    def judge(wanted: Literal["any", "log_line"]) -> Any:
        return judge_bus(found, since=REBOOTED, zone=UTC, wanted=wanted, heartbeats=beats)

    verdict = judge("any")
    assert (verdict.kind, verdict.is_connected) == (kind_any, bool(kind_any))
    assert reason in verdict.reason
    strict = judge("log_line")
    assert (strict.kind, strict.is_connected) == (kind_line, bool(kind_line))
    assert strict.reason


@pytest.mark.parametrize(("seen", "kind"), [(1, ""), (2, ""), (3, "socket_and_heartbeat")])
def test_after_bad_news_two_more_heartbeats_and_a_socket_are_needed(seen: int, kind: str) -> None:
    beats = tuple(NOW + timedelta(seconds=10 * beat) for beat in range(seen))
    verdict = judge_bus(
        evidence(CONNECTED, LOST),
        since=REBOOTED,
        zone=UTC,
        wanted="any",
        heartbeats=BEATS,
        heartbeats_since_last_line=beats,
    )
    assert verdict.kind == kind


@pytest.mark.parametrize("lines", [(CONNECTED,), (OLD,), (STARTED,), (CONNECTED, LOST)])
def test_no_reboot_is_spoken_of_that_may_not_have_been(lines: tuple[str, ...]) -> None:
    """A run with reboot=false asks for the same evidence."""
    verdict = judge_bus(evidence(*lines), since=REBOOTED, zone=UTC, wanted="any", heartbeats=BEATS)
    assert "reboot" not in verdict.reason


def test_the_record_gets_the_line_the_log_the_broker_and_the_sockets() -> None:
    verdict = judge_bus(
        evidence(STARTED, CONNECTED), since=REBOOTED, zone=UTC, wanted="any", heartbeats=BEATS
    )
    assert verdict.line == CONNECTED
    assert verdict.log_path == "/var/log/nova/nova-compute.log"
    assert verdict.broker == "ctl:5672"
    assert verdict.sockets == ("10.0.0.21:40112 -> 10.0.0.8:5672",)
    assert verdict.started == STARTED


def test_where_the_line_alone_counts_the_policys_field_is_named() -> None:
    verdict = judge_bus(
        evidence(STARTED), since=REBOOTED, zone=UTC, wanted="log_line", heartbeats=BEATS
    )
    assert "policy amqp_evidence: log_line" in verdict.reason


@pytest.mark.parametrize(
    ("beats", "is_connected"),
    [(0, False), (2, False), (3, True)],
    ids=["none since", "too few since", "the heartbeat advanced twice since"],
)
def test_after_bad_news_only_heartbeats_seen_since_then_count(
    beats: int, is_connected: bool
) -> None:
    """A release that does not log connections leaves an old failure as its last line for ever."""
    since_then = [NOW + timedelta(seconds=10 * number) for number in range(beats)]
    verdict = judge_bus(
        evidence(CONNECTED, LOST),
        since=REBOOTED,
        zone=UTC,
        wanted="any",
        heartbeats=BEATS,
        heartbeats_since_last_line=since_then,
    )
    assert verdict.is_connected is is_connected
    again = judge_bus(
        evidence(CONNECTED, LOST),
        since=REBOOTED,
        zone=UTC,
        wanted="any",
        heartbeats=BEATS,
        heartbeats_since_last_line=[NOW] * 5,
    )
    assert not again.is_connected  # one heartbeat seen five times


def test_in_the_doubled_hour_the_way_out_of_it_is_told() -> None:
    london, at = ZoneInfo("Europe/London"), datetime(2026, 10, 25, 1, 45, tzinfo=UTC)
    text = CONNECTED.replace("2026-03-10 01:05:00.1", "2026-10-25 01:50:00.000")
    found = replace(evidence(text), clock=at + timedelta(minutes=10))
    verdict = judge_bus(found, since=at, zone=london, wanted="log_line", heartbeats=BEATS)
    assert not verdict.is_connected
    assert "restart nova-compute when the hour has passed, or accept the broker" in verdict.reason
