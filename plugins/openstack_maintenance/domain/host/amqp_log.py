"""What a nova-compute log says about the message broker, and whether that proves a connection.

The wordings are those of oslo.messaging's RabbitMQ driver:

- 1.4-2.5 (Juno-Liberty, INFO): ``Connected to AMQP server on HOST:PORT``
- 2.9+ (Mitaka, DEBUG): ``... on HOST:PORT via [TRANSPORT] client``
- 5.10 (Newton) to now, DEBUG: ``[UUID] Connected ... via [TRANSPORT] client with port N.``
- after an outage (INFO): ``Reconnected to AMQP server on ...``

Source: oslo.messaging, oslo_messaging/_drivers/impl_rabbit.py.

The host sends only lines that ``adapters/remote/amqp.sh`` looks for (``telling``): a new wording
may have to be added there, too.

Lines are a stranger's text: each is read in a time that grows with its length only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from openstack_maintenance.domain.moment import parse_iso

News = Literal["connected", "connecting", "lost", "unknown"]

# A line this far ahead of the host's clock was not written in the host's time zone.
_AHEAD = timedelta(seconds=5)
# The newest line is written within seconds of the file's own modification time.
_ZONE_SLACK = timedelta(minutes=10)

_LINE = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)\s+"
    r"(?:(?P<pid>\d+)\s+)?(?P<level>[A-Z]+)\s+(?P<logger>\S+)\s+(?P<message>.*)"
)
# "Connected" counts only from the messaging library itself: nothing else, and no tenant's
# instance name, can say it. Bad news counts from whoever tells it.
_MESSAGING = re.compile(r"oslo[._]messaging\b|\.rpc\.|^rpc\.")
_BROKER = re.compile(
    r"AMQP server (?:on )?(?P<broker>\[[0-9A-Fa-f:.%\w]{1,99}\]:\d{1,5}"
    r"|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,5}){2,16}|[^\s:,]{1,255}:\d{1,5}|[^\s:,]{1,255})"
)
_CONNECTED = re.compile(r"(?:^|[\s\]])(?:Re)?[Cc]onnected to AMQP server on \S")
# A connection after an outage is logged at another level: it tells nothing of the first one.
_CONNECTED_FIRST = re.compile(r"(?:^|[\s\]])[Cc]onnected to AMQP server on \S")
_CONNECTING = re.compile(r"(?:^|[\s\]])(?:Re)?[Cc]onnecting to AMQP server on \S")
_LOST = re.compile(r"[Uu]nable to connect to AMQP server|[Cc]onnection failed: ")
_LOST_IT = ("is unreachable", "closed the connection")  # after the words "AMQP server"
_SERVICE = "nova.service"  # what logs the start in every release
_STARTING = re.compile(r"Starting compute node \(version (?P<version>[^)]{1,100})\)")


@dataclass(frozen=True)
class LogLine:
    """One dated line of an oslo.log file. ``at`` is local time without a zone, as written."""

    text: str
    at: datetime
    logger: str
    message: str


@dataclass(frozen=True)
class AmqpLine:
    """One line about the broker: ``news`` is what it says of the connection."""

    line: LogLine
    news: News
    broker: str


@dataclass(frozen=True)
class ComputeStart:
    """nova-compute said that it starts, and which version it is."""

    line: LogLine
    version: str
    at: datetime


@dataclass(frozen=True)
class LogFile:
    """What was read of a log: ``lines`` of all its files oldest first, and when it was written.

    ``newest`` is the last line of the file and ``modified`` its modification time: together they
    show whether the log is written in the host's zone (a container may have another).
    """

    lines: tuple[str, ...]
    newest: str = ""
    modified: datetime | None = None


@dataclass(frozen=True)
class AmqpVerdict:
    """Whether the log proves a connection made since a moment, by which line, and why (not).

    ``connected`` False is no proof of the contrary: a release that does not log connections may
    have logged a failed attempt while the broker was coming up, and nothing since.
    ``news`` is what the last AMQP line says, however old; "none" where there is no such line.
    """

    connected: bool
    reason: str
    line: str = ""
    at: datetime | None = None
    broker: str = ""
    news: News | Literal["none"] = "none"


def parse_line(text: str) -> LogLine | None:
    """Give the dated line, or None: tracebacks, JSON and other formats carry no evidence."""
    match = _LINE.match(text.strip())
    if match is None:
        return None
    at = parse_iso(match["at"].replace(",", "."))
    if at is None:
        return None
    return LogLine(text.strip(), at, match["logger"], match["message"])


def amqp_lines(texts: Iterable[str]) -> tuple[AmqpLine, ...]:
    """All lines about the broker, in the order given."""
    return tuple(
        AmqpLine(line, _news(line), _broker(line.message))
        for line in _dated(texts)
        if _is_about_broker(line)
    )


def find_compute_start(texts: Iterable[str], zone: tzinfo) -> ComputeStart | None:
    """The last ``Starting compute node`` line, its time read in ``zone``."""
    for line in reversed(list(_dated(texts))):
        if match := _STARTING.search(line.message):
            return ComputeStart(line, match["version"], _moments(line.at, zone)[0])
    return None


def find_silent_start(texts: Iterable[str], zone: tzinfo) -> ComputeStart | None:
    """The last start of nova-compute, where no connection was logged after it.

    None also where the lines do not reach back to a start: then nobody knows. A nova-compute that
    has been up since that start is connected: its release, or its log's level, tells nothing of it.
    """
    for line in reversed(list(_dated(texts))):
        if _MESSAGING.search(line.logger) and _CONNECTED_FIRST.search(line.message):
            return None
        if line.logger == _SERVICE and _STARTING.search(line.message):
            return find_compute_start([line.text], zone)
    return None


def judge_amqp(log: LogFile, since: datetime, now: datetime, zone: tzinfo) -> AmqpVerdict:
    """Say whether the last AMQP line is newer than ``since`` and says connected.

    ``since``, when nova-compute was stopped, before the reboot where there was one, and ``now``
    are aware and read from the host's own clock; ``zone`` is the host's
    zone, in which the log is written. A local time that the clocks pass twice (the night summer
    time ends) counts as its earlier reading. Whatever cannot be read is not a connection.
    """
    found = amqp_lines(log.lines)
    if not found:
        return AmqpVerdict(
            False,
            "the log has no line about an AMQP server: this release does not log connections at "
            "its default levels, or the log was cut; add oslo.messaging._drivers.impl_rabbit=DEBUG "
            "to default_log_levels, or accept the broker socket (policy amqp_evidence: any)",
        )
    return _judge_last(found[-1], log, since, now, zone)


def _judge_last(
    last: AmqpLine, log: LogFile, since: datetime, now: datetime, zone: tzinfo
) -> AmqpVerdict:
    earlier, later = _moments(last.line.at, zone)

    def verdict(connected: bool, reason: str) -> AmqpVerdict:
        return AmqpVerdict(connected, reason, last.line.text, earlier, last.broker, last.news)

    if strays := _other_zone(log, zone):
        return verdict(False, strays)
    if earlier > now + _AHEAD:
        return verdict(
            False,
            f"the last AMQP line is later ({earlier.isoformat()}) than the host's clock "
            f"({now.isoformat()}): the log is not written in the host's time zone",
        )
    if later < since:
        return verdict(
            False,
            f"the log has no AMQP line since nova-compute was stopped (its last one is of {later})",
        )
    if last.news != "connected":
        return verdict(False, f"the last AMQP line says {last.news}, not connected")
    if earlier < since:
        return verdict(
            False,
            "the clocks were set back: the line's local time occurred twice, once before "
            "that; restart nova-compute when the hour has passed, or accept the broker socket",
        )
    return verdict(True, f"connected to {last.broker} since nova-compute was stopped")


def _dated(texts: Iterable[str]) -> Iterator[LogLine]:
    return (line for line in map(parse_line, texts) if line is not None)


def _is_about_broker(line: LogLine) -> bool:
    if "AMQP server" in line.message:
        return True
    return bool(_MESSAGING.search(line.logger) and _says_lost(line.message))


def _says_lost(message: str) -> bool:
    told = message.partition("AMQP server")[2]
    return any(each in told for each in _LOST_IT) or bool(_LOST.search(message))


def _news(line: LogLine) -> News:
    if _says_lost(line.message):
        return "lost"
    if not _MESSAGING.search(line.logger):
        return "unknown"
    if _CONNECTED.search(line.message):
        return "connected"
    return "connecting" if _CONNECTING.search(line.message) else "unknown"


def _broker(message: str) -> str:
    match = _BROKER.search(message)
    return match["broker"].rstrip(".") if match else ""


def _moments(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Both readings of a local time, the earlier first; equal but for one hour a year."""
    readings = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(readings), max(readings)


def _other_zone(log: LogFile, zone: tzinfo) -> str:
    """Say why the log cannot be in the host's zone, or nothing where it is, or is not known."""
    newest = parse_line(log.newest)
    if newest is None or log.modified is None:
        return ""
    modified = log.modified
    gap = min(abs(moment - modified) for moment in _moments(newest.at, zone))
    if gap <= _ZONE_SLACK:
        return ""
    return (
        f"the log's newest line ({newest.at.isoformat()} local) and the file's time "
        f"({modified.astimezone(zone).isoformat()}) are {gap} apart: the log is not written in "
        "the host's time zone; give the container the host's /etc/localtime"
    )
