"""What a host's logs and package tools say: evidence, or none; never an error, never slow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import unit_state
from hostile_answers import FALSE_BREAKS, FIXTURES, odd_texts
from judged import assert_grows_linearly, judged
from openstack_maintenance.domain.host.amqp_log import (
    LogFile,
    amqp_lines,
    find_compute_start,
    judge_amqp,
    parse_line,
)
from openstack_maintenance.domain.host.bus_evidence import judge_bus
from openstack_maintenance.domain.host.facts import AmqpEvidence, BrokerSocket
from openstack_maintenance.domain.host.reboot_reasons import (
    debian_marker,
    needs_restarting,
    newer_kernel,
)

LOG = (FIXTURES / "host/nova-compute.log").read_text().splitlines()
NOW = datetime(2026, 11, 22, 12, 56, tzinfo=UTC)
STOPPED = NOW - timedelta(minutes=5)
ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Kiritimati")]
COMPUTE = unit_state("nova-compute.service", main_pid=61, pids=(61,))
SOCKET = BrokerSocket(pid=61, local="10.0.0.1:4", peer="10.0.0.8:5672")
EVIDENCE = AmqpEvidence(
    boot_id="b",
    clock=NOW,
    zone_name="UTC",
    nova_compute=COMPUTE,
    log_path="log",
    log_error="",
    log=LogFile(()),
    sockets=(SOCKET,),
    sockets_error="",
)
CONNECTED = (
    "2026-11-22 12:55:00.000 61 INFO oslo.messaging._drivers.impl_rabbit [-] "
    "Connected to AMQP server on 10.0.0.8:5672"
)


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Real lines, each with something odd in some place."""
    found = []
    for line in draw(st.lists(st.sampled_from([*LOG, CONNECTED]), max_size=4)):
        at = draw(st.integers(0, len(line)))
        odd = draw(st.one_of(st.just(""), odd_texts().map(lambda text: text[:900])))
        found.append(f"{line[:at]}{odd}{line[at + draw(st.integers(0, 4)) :]}")
    return found


MOMENTS = st.one_of(
    st.just(None),
    st.datetimes(datetime(2, 1, 2), datetime(9990, 12, 31), timezones=st.just(UTC)),
)


@given(texts=lines(), newest=odd_texts(), modified=MOMENTS, zone=st.sampled_from(ZONES))
def test_any_log(texts: list[str], newest: str, modified: Any, zone: Any) -> None:
    log = LogFile(
        lines=tuple(texts), newest=newest if len(newest) % 2 else LOG[-1], modified=modified
    )
    judged(judge_amqp, log, STOPPED, NOW, zone)
    judged(find_compute_start, texts, zone)
    for wanted in ("any", "log_line"):
        verdict = judged(
            judge_bus,
            replace(EVIDENCE, log=log),
            since=STOPPED,
            zone=zone,
            wanted=wanted,
            heartbeats=(NOW, STOPPED),
        )
        assert verdict is not None
        assert len(json.dumps(asdict(verdict))) < 40_000


@given(at=st.datetimes(), zone=st.sampled_from(ZONES))
def test_any_date_in_a_log(at: datetime, zone: Any) -> None:
    line = CONNECTED.replace("2026-11-22 12:55:00.000", f"{at:%Y-%m-%d %H:%M:%S.%f}".zfill(26))
    judged(judge_amqp, LogFile(lines=(line,), newest=line, modified=NOW), STOPPED, NOW, zone)
    judged(
        find_compute_start, [line.replace("Connected", "Starting compute node (version 1)")], zone
    )


@given(
    stranger=st.one_of(odd_texts(), st.just(CONNECTED)).map(lambda text: text[:900]),
    breaks=st.sampled_from(list(FALSE_BREAKS)),
)
def test_a_strangers_text_in_a_log_line_never_says_connected(stranger: str, breaks: str) -> None:
    told = f"{stranger}{breaks}{CONNECTED}{breaks}{stranger}"
    line = f"2026-11-22 12:55:30.000 61 INFO nova.virt.libvirt [-] image named {told}"
    found = judged(judge_amqp, LogFile(lines=(line,), newest=line, modified=NOW), STOPPED, NOW, UTC)
    assert found is not None
    assert not found.connected


@given(
    lost=st.sampled_from(["is unreachable: timed out", "closed the connection."]),
    middle=odd_texts().map(lambda text: text[:900]),
)
def test_bad_news_is_bad_news_whatever_stands_in_it(lost: str, middle: str) -> None:
    line = (
        "2026-11-22 12:55:30.000 61 ERROR oslo.messaging._drivers.impl_rabbit [-] "
        f"AMQP server on 10.0.0.8:5672 {middle} {lost}"
    )
    assert [each.news for each in amqp_lines([line])] == ["lost"]


FILES = st.builds(
    "{} {}".format,
    st.one_of(st.sampled_from(["1795351816", "999999999999", "٣", "²"]), odd_texts()),
    st.one_of(
        odd_texts().map(lambda text: f"/boot/vmlinuz-6.{text}"),
        st.sampled_from(["/boot/vmlinuz-6.1.0-31-amd64", "/run/reboot-required"]),
    ),
)


@given(
    running=st.one_of(st.just("6.1.0-13-amd64"), odd_texts()),
    files=st.lists(FILES, max_size=4),
    booted=MOMENTS,
    status=odd_texts(),
    said=st.lists(
        st.one_of(odd_texts(), st.just("Reboot is required"), st.just("  * kernel")), max_size=4
    ),
)
def test_any_reason_for_a_reboot(
    running: str, files: list[str], booted: Any, status: str, said: list[str]
) -> None:
    judged(newer_kernel, running[:1_000], files, booted)
    for told in (judged(needs_restarting, status, said), judged(debian_marker, True, said)):
        assert len(str(told)) < 5_000


PREFIX = "2026-11-22 12:55:30.000 61 INFO oslo.messaging._drivers.impl_rabbit [-] "
# Each reader with the words that it looks for: what is found again and again is where a pattern
# may look again and again.
BROKER = [
    "AMQP server ",
    "AMQP server on [",
    "AMQP server on :",
    "AMQP server on a",
    "a:",
    "]",
    " ",
]
NEWS = [
    "Connecting to AMQP server on ",
    "Unable to connect to AMQP",
    "Connection failed:",
    "\u2028",
]
READERS: dict[str, tuple[list[str], Callable[[str], Any]]] = {
    "a message": (
        [*BROKER, *NEWS],
        lambda text: judge_amqp(LogFile((PREFIX + text,)), STOPPED, NOW, UTC),
    ),
    "a start": (
        ["Starting compute node (version ", "1"],
        lambda text: find_compute_start([PREFIX + text], UTC),
    ),
    "a logger": (
        ["rpc.", ".rpc", "oslo"],
        lambda text: amqp_lines([f"2026-11-22 12:55:30 61 INFO {text} AMQP server {text}"]),
    ),
    "a line": (["1", "A", "A ", " ", "2026-11-22 "], parse_line),
    "a date": (["1", " ", " 1", " A"], lambda text: parse_line("2026-11-22 12:55:30" + text)),
    "a kernel": (
        ["/vmlinuz-1", "1a", "1"],
        lambda text: newer_kernel("6.1", [f"1 /boot/vmlinuz-1{text}", text], STOPPED),
    ),
    "a release": (
        ["1a", "1", "a"],
        lambda text: newer_kernel(text, ["1795351816 /boot/vmlinuz-6.1"], STOPPED),
    ),
    "a package": (
        ["-> ", " ", "a"],
        lambda text: needs_restarting("1", ["Reboot is required", f"  {text}", text]),
    ),
}
LONG = [(name, piece) for name, (pieces, _) in READERS.items() for piece in pieces]


@pytest.mark.parametrize(("name", "piece"), LONG)
def test_a_long_line_is_read_in_a_time_that_grows_with_its_length(name: str, piece: str) -> None:
    assert_grows_linearly(READERS[name][1], lambda size: piece * (size // len(piece)))


def test_a_long_log_is_read_in_a_time_that_grows_with_its_length() -> None:
    line = PREFIX + "AMQP server on a" * 50

    def read(texts: list[str]) -> None:
        judge_amqp(LogFile(tuple(texts)), STOPPED, NOW, UTC)

    assert_grows_linearly(read, lambda size: [line] * (size // len(line)))
