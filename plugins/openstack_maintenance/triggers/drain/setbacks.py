"""What a move makes of a refusal, a silence, or an error that nobody foresaw."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.drain.group_peace import found_no_host
from openstack_maintenance.domain.drain.move_order import Decision
from openstack_maintenance.domain.errors import CloudError, MigrationFailed
from openstack_maintenance.triggers.drain.move import Move

if TYPE_CHECKING:
    from openstack_maintenance.adapters.nova import Nova

# The steps of a host's run before anything is done on the host itself.
_UNTOUCHED = frozenset(
    {
        "wait_for_window",
        "list_instances",
        "migrate_instance",
        "list_arrivals",
        "migrate_arrival",
        "check_host_empty",
    }
)
# An instance's states and its fault are what the cloud says they are.
_LONGEST = 1000


def step_failed(move: Move, error: CloudError) -> None:
    """What looking again may explain is looked at; any other refusal ends the move.

    So does a step that never succeeds: some Novas answer 409 to what they can never migrate.
    """
    now = datetime.now(UTC)
    move.failing_since = move.failing_since or now
    if move.ending is not None:
        _payment_failed(move, error, now)
    elif is_refusal(error) and _may_choose_another(move):
        move.say(f"Nova refused the planned destination, its scheduler now chooses: {error.found}")
    elif (
        is_refusal(error)
        or now - move.failing_since > move.request.api_patience
        or _is_too_long(move.unsure_since, move, now)
    ):
        move.fail(error)
    elif is_worth_a_look(error):
        move.stale = True
        move.memory = replace(move.memory, posted_at=None)
        move.say(f"Nova refused, reading the instance again: {error.found}")
    else:
        move.stale = True  # it may have taken what it was asked for
        move.say(f"Nova does not answer, trying again: {error}")


def _payment_failed(move: Move, error: CloudError, now: datetime) -> None:
    """Its move is over already: what is owed is told when it cannot be paid."""
    move.stale = True
    if move.failing_since and now - move.failing_since > move.request.api_patience:
        move.abandon(error)


def _is_too_long(since: datetime | None, move: Move, now: datetime) -> bool:
    return since is not None and now - since > move.request.api_patience


def _may_choose_another(move: Move) -> bool:
    """Whether a refusal may be about the plan's suggestion; the move goes on without it."""
    if not move.request.is_suggestion or not move.request.destination:
        return False
    is_first, move.is_suggestion_refused = not move.is_suggestion_refused, True
    move.memory = replace(move.memory, posted_at=None)
    return is_first


async def failure_of(nova: Nova, move: Move, decision: Decision, seen: str = "") -> MigrationFailed:
    """Why a move has failed for good, with Nova's own reason where it gives one.

    ``seen``: where its guest is, after a look at the hosts.
    """
    found = decision.why
    if decision.migration is not None:
        try:
            why = await asyncio.to_thread(nova.why_it_failed, move.order.instance_id)
        except CloudError as error:
            why = f"the reason could not be read: {error.found}"
        found = f"{found}: {why}" if why else found
    found = cleaned(found, longest=_LONGEST)
    if seen:
        found = f"{found.rstrip('.')}; {seen}"
    others = _named(move, decision) or await asyncio.to_thread(_held, nova, move, decision)
    return MigrationFailed(move.subject, found, f"{decision.remedy}{others}")


def _named(move: Move, decision: Decision) -> str:
    """What else can be done where a person has named the destination, and Nova refused it."""
    named = None if move.request.is_suggestion else move.request.destination
    last = decision.migration
    # One that has `failed` was accepted by its destination.
    if last is None or last.status != "error" or not named:
        return ""
    return (
        f" If {named} can never take it (as a host of another cell), trigger a new run with "
        "another destination, or with none."
    )


def _held(nova: Nova, move: Move, decision: Decision) -> str:
    """Where no host was found: those that other runs of ours keep from it.

    Two hosts may have only each other: no API tells cells, and what Nova's filters ask for.
    """
    if decision.migration is None or not found_no_host(decision.migration):
        return ""
    try:
        services = nova.services("nova-compute")
    except CloudError:
        return ""
    others = [each for each in services if each.host != move.order.source and each.is_up]
    # A host on which a run has gone further may not be well: nobody is told to enable that one.
    failed = [each.host for each in others if each.out_by and each.out_by.failed_at in _UNTOUCHED]
    working = [each.host for each in others if each.out_by and not each.out_by.has_failed]
    if failed:
        one = failed[0]
        return (
            f" A run that has failed keeps {', '.join(failed)} from it. If it can go nowhere else, "
            f"enable one (`openstack compute service set --enable {one} nova-compute`) before you "
            f"clear this task, and maintain {one} again afterwards."
        )
    if working:
        return f" A run has taken {', '.join(working)} out: when that has ended, clear this task."
    return ""


def unexpected(subject: str, error: Exception) -> CloudError:
    """An unexpected error, as a sentence."""
    said = cleaned(f"{type(error).__name__}: {error}", longest=300)
    return CloudError(
        subject,
        f"something unexpected happened: {said}",
        "See the triggerer's log and report it, then clear this task.",
    )


def is_worth_a_look(error: Exception) -> bool:
    """Nova refused because something changed: reading it again tells what to do."""
    from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere

    return isinstance(error, (Conflict, NotThere))


def is_refusal(error: Exception) -> bool:
    """Asking the same again is pointless."""
    from openstack_maintenance.adapters.cloud_errors import Refused

    return isinstance(error, Refused) and not is_worth_a_look(error)
