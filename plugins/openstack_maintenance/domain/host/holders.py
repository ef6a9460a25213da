"""Who holds room on a host in Placement, beside the instances that Nova lists there.

Placement does not live in the host's cell. So it also shows what Nova's lists do not: builds on
their way, the other half of a resize, and every instance of a cell that does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import Instance, Migration


@dataclass(frozen=True)
class Holder:
    """A consumer of a host's room: an instance, a migration of one, or nothing Nova knows.

    ``instance``: the consumer itself, or the one that ``migration`` moves; None: it is deleted.
    """

    id: str
    instance: Instance | None = None
    migration: Migration | None = None

    @property
    def is_passing(self) -> bool:
        """Whether it ends by itself: a migration, a build or another task is under way."""
        if self.migration is not None:
            return self.migration.is_moving and not self._is_left_behind
        return self.instance is not None and _is_busy(self.instance)

    def is_left_over(self, host: str) -> bool:
        """Whether it is room that Nova forgot to give back: of a migration that has ended, while
        its instance is on another host and nothing is done with it.

        A nova-compute that dies in the middle of a migration leaves that behind. Nothing of the
        instance is on the host then, if no guest runs there either, which is looked at apart.
        """
        migration, instance = self.migration, self.instance
        if migration is None or migration.status == "finished":
            return False
        if migration.is_moving and not self._is_left_behind:
            return False
        if instance is None or instance.host in (None, host) or instance.task_state is not None:
            return False
        return instance.status not in ("UNKNOWN", "VERIFY_RESIZE")

    @property
    def _is_left_behind(self) -> bool:
        """Whether Nova lists its migration for ever: of an instance that has left by another one.

        A nova-compute that is killed leaves its queue behind like that.
        """
        migration, instance = self.migration, self.instance
        if migration is None or instance is None or not migration.is_before_copy:
            return False
        return instance.host not in (None, migration.source) and instance.task_state is None

    def blocker(self, host: str, provider: str) -> Blocker:
        """Why the host is not empty. ``provider``: the id of the host's resource provider."""
        if self.migration is not None:
            is_passing = self.is_passing
            return _of_migration(self.migration, self.instance, host, is_passing=is_passing)
        if self.instance is not None:
            return _of_instance(self.instance, host, provider)
        return Blocker(
            f"allocation {self.id}",
            f"Placement holds room on {host} for it, but Nova has no instance and no migration of "
            "that id: it was deleted",
            f"Look at it (`openstack resource provider allocation show {self.id}`), then remove it "
            f"(`openstack resource provider allocation delete {self.id}`), and clear the task. "
            "`nova-manage placement audit` lists all of that kind.",
        )


def holders_in_words(holders: Iterable[Holder], host: str, provider: str) -> tuple[str, str]:
    """What was found, and what to do about it."""
    blockers = [each.blocker(host, provider) for each in holders]
    found = "; ".join(f"{each.subject} {each.reason}" for each in blockers)
    return found, " ".join(dict.fromkeys(each.remedy for each in blockers))


def _is_busy(instance: Instance) -> bool:
    return instance.vm_state == "building" or instance.task_state is not None


def _of_migration(
    migration: Migration, instance: Instance | None, host: str, *, is_passing: bool
) -> Blocker:
    name = instance.label if instance else migration.instance_id
    remove = f"`openstack resource provider allocation delete {migration.uuid}`"
    if is_passing and instance is None:
        return Blocker(
            f"migration {migration.uuid}",
            f"of instance {name}, which was deleted, is {migration.status}, and Placement holds "
            f"its room on {host}",
            f"If that stays (`openstack server migration list`), remove the room ({remove}); then "
            "clear the task.",
        )
    if is_passing:
        return Blocker(
            f"instance {name}",
            f"is on its way from {migration.source} to {migration.destination or 'another host'} "
            f"({migration.status})",
            f"Wait until it has moved (`openstack server migration list --server "
            f"{migration.instance_id}`), then clear the task.",
        )
    if migration.status == "finished" and instance is not None:
        return Blocker(
            f"instance {name}",
            f"is on {instance.host} and waits for its resize to be confirmed: its other half is "
            f"still on {host}",
            f"Confirm it (`openstack server resize confirm {instance.id}`) or revert it "
            f"(`openstack server resize revert {instance.id}`), with its owner's consent; then "
            "clear the task.",
        )
    return Blocker(
        f"migration {migration.uuid}",
        f"of instance {name} {_ended(migration)}, but Placement still holds its room on {host}",
        f"Remove it ({remove}), then clear the task.",
    )


def _ended(migration: Migration) -> str:
    if migration.is_moving:
        return f"was left behind when nova-compute was killed ({migration.status} for ever)"
    return f"has ended ({migration.status})"


def _of_instance(instance: Instance, host: str, provider: str) -> Blocker:
    where = f"is on {instance.host}" if instance.host else "is on no host yet"
    if instance.host == host:
        return Blocker(
            f"instance {instance.label}",
            f"is there ({instance.status}): it arrived a moment ago",
            "Clear list_arrivals with Downstream: it moves it, too.",
        )
    if _is_busy(instance) or instance.status == "VERIFY_RESIZE":
        state = f"{instance.status}, {instance.task_state}".removesuffix(", None")
        return Blocker(
            f"instance {instance.label}",
            f"{where} ({state}) and is on its way to {host}, or from it",
            f"Wait until `openstack server show {instance.id}` shows no task, or confirm its "
            "resize; then clear list_arrivals with Downstream.",
        )
    return Blocker(
        f"instance {instance.label}",
        f"{where} ({instance.status}), but Placement holds room for it on {host}, too",
        f"Remove that part (`openstack resource provider allocation unset --provider {provider} "
        f"{instance.id}`), then clear the task.",
    )
