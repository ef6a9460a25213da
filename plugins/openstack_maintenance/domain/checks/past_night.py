"""What can be proven of a service in a past night, from a controller's history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from openstack_maintenance.domain.checks.finding import Finding, Verdict
from openstack_maintenance.domain.checks.history import GRACE, Boot, Event, History, UnitNow
from openstack_maintenance.domain.checks.night import Span
from openstack_maintenance.domain.checks.service_rules import is_in_use
from openstack_maintenance.domain.deployment import Deployment, Service

# A restart this short, and no more than so many, still counts as having been active.
_SHORT = timedelta(minutes=1)
_FEW = 2
_EARLY_BOOT = timedelta(minutes=10)  # what kernel and initrd log before userspace starts


def judge_night(deployment: Deployment, history: History, night: Span) -> dict[str, list[Finding]]:
    """A finding for each service about a past night, by the titles of the catalog's groups."""
    units = {each.name: each for each in history.units}
    return {
        group.title: [
            judge_then(service, units[service.name], history, night) for service in group.services
        ]
        for group in deployment.groups
    }


def judge_then(service: Service, unit: UnitNow, history: History, night: Span) -> Finding:
    """One service: active then, not active then, or unknown and why."""
    verdict, text = _by_its_times(unit, history, night) or _by_the_journal(unit, history, night)
    if verdict == "bad" and not service.required and not is_in_use(unit.state):
        verdict = "absent"
    if unit.state.kind == "absent" and verdict == "unknown" and not service.required:
        reason = service.retired or "there is none now, and the journal names none"
        verdict, text = "absent", f"absent ({reason})"
    return Finding(service.name, verdict, text)


def _by_its_times(unit: UnitNow, history: History, night: Span) -> tuple[Verdict, str] | None:
    """What has been so since before the night was so in the night."""
    opens, state = night[0], unit.state
    if state.active_state == "active" and state.active_enter and state.active_enter <= opens:
        return "ok", f"active then (since {_at(state.active_enter)})"
    if state.kind == "absent" or state.active_state not in ("inactive", "failed"):
        return None
    if unit.inactive_enter and unit.inactive_enter <= opens:
        word = state.active_state
        return "bad", f"not active then ({word} since {_at(unit.inactive_enter)})"
    never = state.kind == "systemd" and not unit.inactive_enter and not state.active_enter
    if never and state.active_state == "inactive" and history.booted and history.booted <= opens:
        return "bad", f"not active then (not started since the boot at {_at(history.booted)})"
    return None


def _by_the_journal(unit: UnitNow, history: History, night: Span) -> tuple[Verdict, str]:
    opens, closes = night
    if unit.state.kind in ("docker", "podman"):
        return "unknown", f"unknown ({unit.state.kind} keeps no history of it)"
    if history.journal_error:
        return "unknown", f"unknown (the journal cannot be read: {history.journal_error})"
    if not history.boots or history.reaches_to is None:
        return "unknown", "unknown (the journal is empty)"
    if history.reaches_to > opens:
        reach = _at(history.reaches_to)
        return "unknown", f"unknown (the journal reaches back only to {reach})"
    return _by_the_host(history, night) or _by_events(unit, history, opens, closes)


def _by_the_host(history: History, night: Span) -> tuple[Verdict, str] | None:
    """A host that was down, or booting, ran no service; None where it was up all night."""
    opens, closes = night
    later = [boot for boot in history.boots if boot.first > opens]
    if later and later[0].first <= closes:
        return "bad", f"not active then (the controller booted at {_at(later[0].first)})"
    boot = _boot_at(history, opens)
    if boot.id == history.boot_id or boot.last >= closes:
        return None
    back = f" to {_at(later[0].first)}" if later else ""
    if boot.was_shut_down:
        return "bad", f"not active then (the controller was down from {_at(boot.last)}{back})"
    return "unknown", f"unknown (the journal breaks off at {_at(boot.last)})"


def _by_events(
    unit: UnitNow, history: History, opens: datetime, closes: datetime
) -> tuple[Verdict, str]:
    boot = _boot_at(history, opens)
    reach = max(boot.first, history.reaches_to or boot.first)
    known = history.events.get(unit.state.name, ())
    before = [event for event in known if boot.first <= event.at <= opens]
    within = [event for event in known if opens < event.at <= closes]
    if not before and not within and not _is_whole(boot, history):
        return (
            "unknown",
            f"unknown (the journal, back to {_at(reach)}, says neither start nor stop)",
        )
    if not before and not within:
        return "bad", f"not active then (not started since the boot at {_at(boot.first)})"
    downs = list(_downs(before, within, closes))
    if not downs:
        return "ok", f"active then ({before[-1].text} {_at(before[-1].at)})"
    told = ", ".join(f"{_at(start)} to {_at(end)}" for start, end in downs[:3])
    lasting = [each for each in downs if each[1] - each[0] > _SHORT or each[1] >= closes]
    if lasting or len(downs) > _FEW or not before:
        more = f", and {len(downs) - 3} times more" if len(downs) > 3 else ""
        why = before[-1].text if before and not before[-1].is_up else "down"
        return "bad", f"not active then ({why} {told}{more})"
    return "ok", f"active then (but for a restart, {told})"


def _downs(
    before: Sequence[Event], within: Sequence[Event], closes: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """The spans in which it was down, the first from when it went down, the last to the end."""
    down_since = before[-1].at if before and not before[-1].is_up else None
    if not before and within and within[0].is_up:
        down_since = within[0].at
    for event in within:
        if event.is_up and down_since is not None:
            yield down_since, event.at
            down_since = None
        elif not event.is_up and down_since is None:
            down_since = event.at
    if down_since is not None:
        yield down_since, closes


def _boot_at(history: History, moment: datetime) -> Boot:
    return [boot for boot in history.boots if boot.first <= moment][-1]


def _is_whole(boot: Boot, history: History) -> bool:
    """Whether all events of the boot are here: the oldest boot's first may be lost already."""
    if history.reaches_to is None or history.reaches_to > boot.first:
        return False
    if boot != history.boots[0]:
        return True
    if boot.id != history.boot_id or history.booted is None:
        return False
    # Much earlier than that, and the clock or the journal is not what it seems.
    return history.booted - _EARLY_BOOT <= boot.first <= history.booted + GRACE


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
