"""The runbook's assertion: the last AMQP line is newer than the reboot and says connected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from builders import amqp_line
from openstack_maintenance.domain.host.amqp_log import (
    LogFile,
    amqp_lines,
    find_compute_start,
    find_silent_start,
    judge_amqp,
    parse_line,
)

RABBIT = "oslo.messaging._drivers.impl_rabbit"
UUID = "0f2a7c1e-8f43-4f0a-9a53-0b5a3f6f5b1a"
RUNBOOK_LINE = (
    f"2016-01-29 10:00:34.777 18375 INFO {RABBIT} [-] Connected to AMQP server on 10.68.19.8:5672"
)
REBOOTED = datetime(2026, 3, 10, 1, 0, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 1, 10, 0, tzinfo=UTC)


CONNECTED = amqp_line(
    f"[{UUID}] Connected to AMQP server on 10.0.0.8:5672 via [amqp] client with port 40112."
)
UNREACHABLE = amqp_line(
    f"[{UUID}] AMQP server on 10.0.0.8:5672 is unreachable: [Errno 111] ECONNREFUSED. "
    "Trying again in 1 seconds.: ConnectionRefusedError: [Errno 111] ECONNREFUSED",
    level="ERROR",
)


@pytest.mark.parametrize(
    ("text", "news", "broker"),
    [
        pytest.param(RUNBOOK_LINE, "connected", "10.68.19.8:5672", id="Liberty, the runbook's"),
        pytest.param(
            amqp_line("Connected to AMQP server on 10.0.0.8:5672 via [amqp] client"),
            "connected",
            "10.0.0.8:5672",
            id="Mitaka",
        ),
        pytest.param(
            amqp_line(
                f"[{UUID}] Connected to AMQP server on ctl:5671 via [amqp] clientwith port 5."
            ),
            "connected",
            "ctl:5671",
            id="Newton forgot a blank",
        ),
        pytest.param(CONNECTED, "connected", "10.0.0.8:5672", id="Ocata to now"),
        pytest.param(
            amqp_line(f"[{UUID}] Connected to AMQP server on [fd00::8]:5672 via [amqp] client."),
            "connected",
            "[fd00::8]:5672",
            id="IPv6 in brackets",
        ),
        pytest.param(
            amqp_line(f"[{UUID}] Connected to AMQP server on fd00:1::8:5672 via [amqp] client."),
            "connected",
            "fd00:1::8:5672",
            id="IPv6 as oslo prints it",
        ),
        pytest.param(
            amqp_line(f"[{UUID}] Reconnected to AMQP server on 10.0.0.9:5672 via [amqp] client"),
            "connected",
            "10.0.0.9:5672",
            id="reconnected after an outage",
        ),
        pytest.param(
            "2013-12-04 23:51:19.795 28273 INFO nova.openstack.common.rpc.impl_qpid [-] "
            "Connected to AMQP server on 192.168.0.222:5672",
            "connected",
            "192.168.0.222:5672",
            id="before oslo.messaging",
        ),
        pytest.param(UNREACHABLE, "lost", "10.0.0.8:5672", id="unreachable"),
        pytest.param(
            amqp_line(f"[{UUID}] AMQP server on fd00:1::8:5672 is unreachable: timed out."),
            "lost",
            "fd00:1::8:5672",
            id="unreachable over IPv6",
        ),
        pytest.param(
            amqp_line(
                "AMQP server 10.0.0.8:5672 closed the connection. Check login credentials: x"
            ),
            "lost",
            "10.0.0.8:5672",
            id="wrong password",
        ),
        pytest.param(
            amqp_line(
                "Connection failed: [Errno 113] EHOSTUNREACH (retrying in 2.0 seconds): OSError"
            ),
            "lost",
            "",
            id="connection failed names no server",
        ),
        pytest.param(
            amqp_line("Unable to connect to AMQP server on 10.0.0.8:5672 after inf tries: refused"),
            "lost",
            "10.0.0.8:5672",
            id="unable to connect",
        ),
        pytest.param(
            amqp_line("Connecting to AMQP server on 10.0.0.8:5672"),
            "connecting",
            "10.0.0.8:5672",
            id="only connecting",
        ),
        pytest.param(
            amqp_line("AMQP server on 10.0.0.8:5672 was seen dancing"),
            "unknown",
            "10.0.0.8:5672",
            id="a wording that nobody knows",
        ),
    ],
)
def test_every_wording_is_understood(text: str, news: str, broker: str) -> None:
    (found,) = amqp_lines([text])
    assert (found.news, found.broker) == (news, broker)


@pytest.mark.parametrize(
    "text",
    [
        "Connected to AMQP server on 10.0.0.8:5672",
        '{"message": "Connected to AMQP server on 10.0.0.8:5672", "asctime": "2026-03-10"}',
        f"2026-13-40 01:05:00.123 812 INFO {RABBIT} [-] Connected to AMQP server on a:5672",
        "  File impl_rabbit.py, line 9, AMQP server",
        f"{NOW:%F %T.000} 812 WARNING py.warnings [-] AMQPDeprecationWarning: transport",
        f"{NOW:%F %T.000} 812 INFO nova.compute.manager [-] Connection failed: a volume",
    ],
)
def test_lines_without_date_and_lines_about_something_else_are_no_news(text: str) -> None:
    assert amqp_lines([text]) == ()


def test_nobody_but_the_messaging_library_can_say_connected() -> None:
    forged = (
        "2026-03-10 01:05:00.123 812 INFO nova.compute.manager [instance: x] "
        "name: Connected to AMQP server on 10.0.0.8:5672"
    )
    assert amqp_lines([forged])[0].news == "unknown"
    assert not judge_amqp(LogFile((CONNECTED, forged)), REBOOTED, NOW, UTC).connected


def test_fractions_of_any_length_and_none_are_read() -> None:
    for fraction, micros in (("", 0), (".7", 700_000), (".777", 777_000), (",123456789", 123_456)):
        parsed = parse_line(f"2026-03-10 01:05:00{fraction} 812 INFO {RABBIT} [-] x")
        assert parsed is not None
        assert parsed.at == datetime(2026, 3, 10, 1, 5, 0, micros)


@pytest.mark.parametrize(
    ("lines", "connected", "reason"),
    [
        pytest.param(
            (CONNECTED,), True, "since nova-compute was stopped", id="connected after the reboot"
        ),
        pytest.param((UNREACHABLE, CONNECTED), True, "since", id="came back after an outage"),
        pytest.param((CONNECTED, UNREACHABLE), False, "lost", id="the last line is bad news"),
        pytest.param(
            (CONNECTED, amqp_line("Connecting to AMQP server on b:5672")),
            False,
            "connecting",
            id="not yet",
        ),
        pytest.param(
            (
                amqp_line(
                    "Connection failed: refused (retrying in 3.0 s)", at="2026-03-10 00:50:26.480"
                ),
            ),
            False,
            "no AMQP line since nova-compute was stopped",
            id="bad news from before the reboot is only old",
        ),
        pytest.param((), False, "no line about an AMQP server", id="an empty log"),
        pytest.param(("no date here", "x"), False, "no line", id="nothing that can be read"),
        pytest.param(
            (amqp_line("Connected to AMQP server on b:5672", at="2026-03-10 00:59:59.999"),),
            False,
            "no AMQP line since nova-compute was stopped",
            id="a millisecond before the reboot",
        ),
        pytest.param(
            (amqp_line("Connected to AMQP server on b:5672", at="2026-03-10 01:00:00.000"),),
            True,
            "since",
            id="at the moment of the reboot",
        ),
        pytest.param(
            (amqp_line("Connected to AMQP server on b:5672", at="2026-03-10 02:05:00.000"),),
            False,
            "not written in the host's time zone",
            id="from the future",
        ),
        pytest.param(
            (
                amqp_line("Connected to AMQP server on a:5672"),
                amqp_line("Connected to AMQP server on b:5672"),
            ),
            True,
            "b:5672",
            id="several brokers: the last one counts",
        ),
    ],
)
def test_the_verdict(lines: tuple[str, ...], connected: bool, reason: str) -> None:
    verdict = judge_amqp(LogFile(lines), REBOOTED, NOW, UTC)
    assert verdict.connected is connected
    assert reason in verdict.reason


def test_the_verdict_carries_the_runbooks_own_line() -> None:
    rebooted = datetime(2016, 1, 29, 9, 58, tzinfo=UTC)
    verdict = judge_amqp(
        LogFile(("old", RUNBOOK_LINE)), rebooted, rebooted + timedelta(minutes=5), UTC
    )
    assert verdict.connected
    assert verdict.line == RUNBOOK_LINE
    assert verdict.at == datetime(2016, 1, 29, 10, 0, 34, 777000, tzinfo=UTC)
    assert (verdict.broker, verdict.news) == ("10.68.19.8:5672", "connected")


@pytest.mark.parametrize(
    ("hours", "connected"),
    [(0, True), (8, False), (-3.5, False)],
    ids=["same zone", "a zone ahead makes the line old", "a zone behind makes it future"],
)
def test_local_times_are_read_in_the_hosts_own_zone(hours: float, connected: bool) -> None:
    zone = timezone(timedelta(hours=hours))
    assert judge_amqp(LogFile((CONNECTED,)), REBOOTED, NOW, zone).connected is connected


def test_a_line_of_the_other_zone_that_would_seem_new_is_found_out_by_the_files_time() -> None:
    # The container writes UTC+1; the line is 50 minutes older than it seems on a host in UTC.
    stale = amqp_line("Connected to AMQP server on b:5672", at="2026-03-10 01:05:00.000")
    written = datetime(2026, 3, 10, 0, 5, tzinfo=UTC)
    verdict = judge_amqp(LogFile((stale,), newest=stale, modified=written), REBOOTED, NOW, UTC)
    assert not verdict.connected
    assert "/etc/localtime" in verdict.reason
    fresh = LogFile((stale,), newest=stale, modified=written + timedelta(hours=1))
    assert judge_amqp(fresh, REBOOTED, NOW, UTC).connected


LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("written", "rebooted", "connected", "reason"),
    [
        ("00:50:00", "2026-10-24T23:45:00+00:00", True, "since"),
        ("01:50:00", "2026-10-25T00:45:00+00:00", True, "since"),
        ("01:50:00", "2026-10-25T01:45:00+00:00", False, "set back"),
        ("01:30:00", "2026-10-25T01:45:00+00:00", False, "no AMQP line since"),
        ("02:01:00", "2026-10-25T01:45:00+00:00", True, "since"),
    ],
    ids=[
        "before the change",
        "first pass of the doubled hour",
        "the doubled hour cannot prove a reboot in its second pass",
        "older by either reading",
        "after the change",
    ],
)
def test_the_night_the_clocks_go_back(
    written: str, rebooted: str, connected: bool, reason: str
) -> None:
    text = amqp_line("Connected to AMQP server on b:5672", at=f"2026-10-25 {written}.000")
    now = datetime(2026, 10, 25, 2, 30, tzinfo=UTC)
    verdict = judge_amqp(LogFile((text,)), datetime.fromisoformat(rebooted), now, LONDON)
    assert (verdict.connected, reason in verdict.reason) == (connected, True)


def test_a_reboot_before_the_clocks_go_forward_is_compared_by_instant() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    text = amqp_line("Connected to AMQP server on b:5672", at="2026-03-29 03:01:00.000")
    rebooted = datetime(2026, 3, 29, 0, 58, tzinfo=UTC)  # 01:58 local, two minutes before
    now = datetime(2026, 3, 29, 1, 5, tzinfo=UTC)
    assert judge_amqp(LogFile((text,)), rebooted, now, berlin).connected
    assert not judge_amqp(LogFile((text,)), now, now, berlin).connected


def test_the_start_of_nova_compute_is_found_with_its_version() -> None:
    texts = [
        "2026-03-10 00:10:00.000 7 INFO nova.service [-] Starting compute node (version 33.0.0)",
        "2026-03-10 01:02:00.500 9 INFO nova.service [-] Starting compute node (version 34.0.0-1)",
        CONNECTED,
    ]
    start = find_compute_start(texts, UTC)
    assert start is not None
    assert start.version == "34.0.0-1"
    assert start.at == datetime(2026, 3, 10, 1, 2, 0, 500000, tzinfo=UTC)
    assert find_compute_start([CONNECTED], UTC) is None


STARTED = "2026-03-10 01:02:00.500 9 INFO nova.service [-] Starting compute node (version 34.0.0)"


@pytest.mark.parametrize(
    ("texts", "is_silent"),
    [
        ([STARTED], True),
        ([STARTED, UNREACHABLE], True),
        ([CONNECTED, STARTED], True),
        ([STARTED, amqp_line(f"[{UUID}] Reconnected to AMQP server on 10.0.0.8:5672")], True),
        ([STARTED, STARTED.replace("nova.service", "a.tenant")], True),
        ([STARTED, CONNECTED], False),
        ([STARTED, CONNECTED, UNREACHABLE], False),
        ([STARTED, CONNECTED, STARTED.replace("nova.service", "a.tenant")], False),
        ([UNREACHABLE], False),
        ([], False),
    ],
    ids=[
        "a start alone",
        "a failed attempt",
        "the log's level was lowered before this start",
        "a reconnection, which has another level",
        "a tenant's text after a start that is silent",
        "a connection",
        "a connection that was lost",
        "a tenant's text after a connection",
        "no start: the log was rotated since",
        "nothing",
    ],
)
def test_a_start_without_a_connection_shows_that_none_is_logged(
    texts: list[str], is_silent: bool
) -> None:
    found = find_silent_start(texts, UTC)
    assert (found is not None) is is_silent
    assert found is None or found.line.text == STARTED


@pytest.mark.parametrize("false", "\x0b\x0c\x1c\x85\u2028\u2029")
def test_a_tenants_text_with_a_false_line_break_never_says_connected(false: str) -> None:
    stranger = (
        "2026-03-10 02:05:00.000 61 INFO oslo.messaging [-] Connected to AMQP server on a:5672"
    )
    line = f"2026-03-10 02:06:00.000 61 INFO nova.virt [-] an image named {false}{stranger}"
    (found,) = amqp_lines([line])
    assert found.news == "unknown"


@pytest.mark.parametrize("date", ["0001-01-01", "9999-12-31", "2026-13-01", "٢٠٢٦-03-10"])
def test_a_line_of_no_calendar_is_no_evidence(date: str) -> None:
    assert parse_line(f"{date} 00:00:00.000 61 INFO oslo.messaging [-] Connected") is None
