"""Is nova-compute on the message bus? The log line where there is one, else socket and pulse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Literal

from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.domain.host.amqp_log import (
    AmqpVerdict,
    amqp_lines,
    find_compute_start,
    judge_amqp,
)
from openstack_maintenance.domain.host.facts import AmqpEvidence

# A host's line is at most 1,000 bytes: see adapters/remote/amqp.sh.
_LONGEST = 2_000

Wanted = Literal["any", "log_line"]


@dataclass(frozen=True)
class BusVerdict:
    """Whether the bus connection is proven, by which evidence, and the evidence itself.

    ``kind`` is "log_line", or "socket_and_heartbeat" where the release logs no such line.
    ``line`` is the last AMQP line as the log has it, also where it is not the proof.
    """

    is_connected: bool
    kind: str
    reason: str
    line: str = ""
    log_path: str = ""
    broker: str = ""
    sockets: tuple[str, ...] = ()
    started: str = ""


def judge_bus(
    evidence: AmqpEvidence,
    *,
    since: datetime,
    zone: tzinfo,
    wanted: Wanted,
    heartbeats: Sequence[datetime],
    heartbeats_since_last_line: Sequence[datetime] = (),
) -> BusVerdict:
    """Weigh what the host shows since ``since``: nova-compute's stop, on the host's own clock.

    Where the host was rebooted, that stop came before: all that is newer is of the new boot.

    ``heartbeats``: times of the Nova service's heartbeat, all seen after the boot;
    ``heartbeats_since_last_line``: those seen while the last AMQP line stayed the last one. A
    release that does not log connections leaves an old failure as its last line for ever: then
    the heartbeat must have advanced after it.
    """
    log = judge_amqp(evidence.log, since, evidence.clock, zone)
    if log.connected:
        return _verdict(evidence, log, zone, "log_line", log.reason)
    reason = evidence.log_error or log.reason
    if wanted == "log_line":
        return _verdict(evidence, log, zone, "", f"{reason} (policy amqp_evidence: log_line)")
    is_bad_news = _is_fresh_bad_news(evidence, log, since)
    seen = heartbeats_since_last_line if is_bad_news else heartbeats
    if missing := _missing(evidence, seen, is_bad_news):
        return _verdict(evidence, log, zone, "", f"{reason}; {missing}")
    proof = f"{_holds(evidence)} and its heartbeat advances; {reason}"
    return _verdict(evidence, log, zone, "socket_and_heartbeat", proof)


def _missing(evidence: AmqpEvidence, seen: Sequence[datetime], is_bad_news: bool) -> str:
    """What socket and heartbeat do not prove; nothing where they prove the connection."""
    if not evidence.sockets:
        return evidence.sockets_error or "nova-compute holds no connection to a broker port"
    if len(set(seen)) < (3 if is_bad_news else 2):
        return "its heartbeat did not advance since" if is_bad_news else "no heartbeat advanced"
    return ""


def _holds(evidence: AmqpEvidence) -> str:
    peers = ", ".join(brief_list(sorted({each.peer for each in evidence.sockets})))
    return f"nova-compute holds a connection to {peers}"


def _is_fresh_bad_news(evidence: AmqpEvidence, log: AmqpVerdict, since: datetime) -> bool:
    lines = amqp_lines(evidence.log.lines)
    return bool(lines) and lines[-1].news == "lost" and log.at is not None and log.at >= since


def _verdict(
    evidence: AmqpEvidence, log: AmqpVerdict, zone: tzinfo, kind: str, reason: str
) -> BusVerdict:
    started = find_compute_start(evidence.log.lines, zone)
    return BusVerdict(
        is_connected=bool(kind),
        kind=kind,
        reason=brief(reason, _LONGEST),
        line=brief(log.line, _LONGEST),
        log_path=evidence.log_path,
        broker=log.broker,
        sockets=brief_list([f"{each.local} -> {each.peer}" for each in evidence.sockets], 100),
        started=brief(started.line.text, _LONGEST) if started else "",
    )
