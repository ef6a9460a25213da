"""What Nova has written down itself: who asked what of instances, and how migrations went."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from lab_campaign.facts import Fact, Move
from openstack_lab import Cloud

Json = dict[str, Any]
# By who asks (owner, person): the ids of the requests that they have made.
People = Mapping[str, Collection[str]]
OURS = "client"
_LIVE = "live-migration"
_MOVES = {_LIVE: "live-migration", "migrate": "migration", "resize": "resize"}
_OVER = frozenset({"completed", "confirmed", "reverted", "error", "failed", "cancelled", "done"})
_ARRIVED = "compute_finish_resize"  # from then on the guest of a cold migration runs again


def facts_of_nova(
    cloud: Cloud, instance_ids: list[str], since: datetime, people: People
) -> list[Fact]:
    """Facts since then. Who asks is `client` (a run), where it was neither Nova nor ``people``."""
    migrations = [each for each in cloud.migrations() if when(each["created_at"]) >= since]
    found: list[Fact] = []
    for each in instance_ids:
        actions = [a for a in cloud.actions(each) if when(a["start_time"]) >= since]
        own = [m for m in migrations if m["instance_uuid"] == each]
        found += facts_of_actions(each, actions, own, people)
        found += _arrivals(cloud, each, actions)
    return found


def facts_of_actions(
    instance_id: str, actions: list[Json], migrations: list[Json], people: People
) -> Iterator[Fact]:
    """The facts of one instance."""
    moving: set[str] = set()
    for migration in migrations:
        action = _asked_by(migration, actions)
        move = Move(
            migration["uuid"],
            migration["source_compute"],
            migration["dest_compute"],
            migration["status"],
            is_live=migration["migration_type"] == _LIVE,
        )
        began = when((action or migration)["start_time" if action else "created_at"])
        who = who_asked(action, people)
        if action:
            moving.add(action["request_id"])
        yield Fact(began, "moves", instance=instance_id, who=who, value=move)
        if migration["status"] in _OVER:
            ended = when(migration["updated_at"] or migration["created_at"])
            yield Fact(max(ended, began), "moved", instance=instance_id, value=move)
    for action in actions:
        if action["request_id"] not in moving:
            who, what = who_asked(action, people), action["action"]
            at = when(action["start_time"])
            yield Fact(at, "action", instance=instance_id, who=who, what=what)


def _arrivals(cloud: Cloud, instance_id: str, actions: list[Json]) -> list[Fact]:
    """A cold migration is in flight until its guest runs on the other host, confirmed or not."""
    found = []
    for action in actions:
        if action["action"] in ("migrate", "resize"):
            for event in cloud.events_of(instance_id, action["request_id"]):
                if event["event"] == _ARRIVED and event["finish_time"]:
                    found.append(Fact(when(event["finish_time"]), "arrived", instance=instance_id))
    return found


def _asked_by(migration: Json, actions: list[Json]) -> Json | None:
    """The last request before Nova wrote the migration down that can have been for it."""
    created = when(migration["created_at"])
    fitting = [
        each
        for each in actions
        if _MOVES.get(each["action"]) == migration["migration_type"]
        and when(each["start_time"]) <= created
    ]
    return max(fitting, key=lambda each: when(each["start_time"]), default=None)


def who_asked(action: Json | None, people: People) -> str:
    """A run, a person, or Nova itself, which has no user."""
    if action is None or action["user_id"] is None:
        return "nova"
    asked = action["request_id"]
    return next((who for who, requests in people.items() if asked in requests), OURS)


def when(text: str) -> datetime:
    """A time of Nova's, which has none of its zone and is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
