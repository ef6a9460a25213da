"""Which hosts are due tonight, and which are passed over although the policy names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.host.rules import forced_down_blocker
from openstack_maintenance.domain.ownership import disabled_in_words
from openstack_maintenance.domain.params import did_you_mean
from openstack_maintenance.domain.policy import Due

Kind = Literal["due", "not_due", "passed_over"]


@dataclass(frozen=True)
class Candidate:
    """A compute host as a night finds it.

    ``booted``: when its boot began, by its own clock; None where that is unknown.
    ``boot_id``: which boot that is.
    ``reboot_required``: why its packages want a reboot; ``reboot_unread``: why that is not known.
    ``unreadable``: why the host could not be asked; ``is_silent``: it may answer a little later.
    ``maintained``: when a run of ours last finished it; ``rebooted``: the same, if that run has
    rebooted it. ``is_bare_metal``: Ironic's, which has no guests of its own.
    ``unfit``: why its run would be refused, as far as this look shows.
    ``outside``: why this run leaves it alone, by its params; then nothing else is known of it.
    """

    service: ComputeService
    aggregates: frozenset[str] = frozenset()
    booted: datetime | None = None
    reboot_required: str | None = None
    unreadable: str | None = None
    maintained: datetime | None = None
    rebooted: datetime | None = None
    reboot_unread: str = ""
    boot_id: str | None = None
    is_silent: bool = False
    is_bare_metal: bool = False
    unfit: str | None = None
    outside: str | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a host is due, and why or why not, for people.

    ``is_open``: it was passed over, and whether it is due is not known, or a run of ours has it.
    """

    host: str
    kind: Kind
    reason: str
    is_open: bool = False


def judge_due(candidate: Candidate, due: Due, since: datetime, now: datetime) -> Verdict:
    """Judge one host. ``since``: when the night's window began; who rebooted later is done.

    A host that somebody else has taken out, or that cannot be asked, is never touched.
    """
    if candidate.outside:
        return _verdict(candidate, "not_due", candidate.outside)
    if settled := _settled(candidate):
        return _verdict(candidate, "passed_over", settled)
    if hindrance := _hindrance(candidate):
        return Verdict(candidate.service.host, "passed_over", hindrance, is_open=True)
    if candidate.booted is None:
        unread = "when it booted cannot be read"
        return Verdict(candidate.service.host, "passed_over", unread, is_open=True)
    if candidate.booted >= since:
        return _verdict(candidate, "not_due", "was rebooted since this night's window began")
    if candidate.rebooted is not None and candidate.rebooted >= since:
        # Whatever its clock said as it booted.
        return _verdict(candidate, "not_due", "was maintained since this night's window began")
    if (
        reason := _named(candidate, due, now)
        or _required(candidate, due)
        or _old(candidate, due, now)
    ):
        if candidate.unfit:
            why = f"{reason}, but {candidate.unfit}"
            return Verdict(candidate.service.host, "passed_over", why, is_open=True)
        return _verdict(candidate, "due", reason)
    unread = candidate.reboot_unread if due.reboot_required else ""
    unknown = f"; whether it needs a reboot is unknown: {unread}" if unread else ""
    return _verdict(candidate, "not_due", f"booted {_days(now - candidate.booted)} ago{unknown}")


def unknown_names(due: Due, candidates: Iterable[Candidate]) -> list[Verdict]:
    """What the policy names and Nova does not know. ``candidates``: all hosts that there are."""
    seen = list(candidates)
    hosts = {each.service.host for each in seen}
    zones = {each.service.zone for each in seen if each.service.zone}
    aggregates = frozenset[str]().union(*(each.aggregates for each in seen))
    found = [
        (host, f"is in due.hosts, but Nova has no such host{did_you_mean(host, hosts)}")
        for host in due.hosts
        if host not in hosts
    ]
    if due.zone and due.zone not in zones:
        why = f"is due.zone, but no compute host is in it{did_you_mean(due.zone, zones)}"
        found.append((f"zone {due.zone}", why))
    if due.aggregate and due.aggregate not in aggregates:
        near = did_you_mean(due.aggregate, aggregates)
        found.append(
            (f"aggregate {due.aggregate}", f"is due.aggregate, but no compute host is in it{near}")
        )
    return [Verdict(name, "passed_over", why, is_open=True) for name, why in found]


def unseen(candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """All that could not be looked at, where not one host could be: such a night knows nothing."""
    read = {each.service.host for each in candidates if each.unfit}
    outside = {each.service.host for each in candidates if each.outside}
    judged = {each.host for each in verdicts if each.kind != "passed_over"}
    if (judged | read) - outside:
        return []
    held = {each.service.host for each in candidates if each.service.out_by is not None}
    return [each for each in verdicts if each.is_open and each.host not in held]


def _settled(candidate: Candidate) -> str | None:
    """Why a host is none of this night's, whatever it is like."""
    service = candidate.service
    if candidate.is_bare_metal:
        return "is an Ironic host: its nodes are not maintained by nights"
    if service.is_unknown or service.out_by is not None:
        return None
    if not service.is_enabled and not service.is_closed:
        return disabled_in_words(service)
    return None


def _hindrance(candidate: Candidate) -> str | None:
    service = candidate.service
    if service.is_unknown:
        return "its cell does not answer (Nova shows its nova-compute as UNKNOWN)"
    if service.out_by is not None:
        return f"is out: run {service.out_by.run_id} disabled it ({service.out_by.text})"
    if forced := forced_down_blocker(service):
        return f"{forced.reason}. {forced.remedy}"
    if not service.is_up:
        return "its nova-compute is down"
    return candidate.unreadable


def _named(candidate: Candidate, due: Due, now: datetime) -> str | None:
    """A host that the policy names is due once in ``days_since_boot``: not again every night."""
    if candidate.maintained and now - candidate.maintained < timedelta(days=due.days_since_boot):
        return None
    if candidate.service.host in due.hosts:
        return "is in the policy's list"
    if due.aggregate is not None and due.aggregate in candidate.aggregates:
        return f"is in the aggregate {due.aggregate}"
    if due.zone is not None and due.zone == candidate.service.zone:
        return f"is in the zone {due.zone}"
    return None


def _required(candidate: Candidate, due: Due) -> str | None:
    return candidate.reboot_required if due.reboot_required else None


def _old(candidate: Candidate, due: Due, now: datetime) -> str | None:
    """By its boot; or, where its clock was wrong then, by what we did."""
    moments = [each for each in (candidate.booted, candidate.rebooted) if each is not None]
    if candidate.booted is None or now - max(moments) < timedelta(days=due.days_since_boot):
        return None
    return f"booted {_days(now - candidate.booted)} ago"


def _verdict(candidate: Candidate, kind: Kind, reason: str) -> Verdict:
    return Verdict(candidate.service.host, kind, reason)


def _days(length: timedelta) -> str:
    return f"{length.days} days" if length.days != 1 else "1 day"
