"""Live migrations up to the order to the source: Nova's API and its conductor.

Source: nova.compute.api.live_migrate, nova.conductor.manager._live_migrate,
nova.conductor.tasks.live_migrate, read in Nova 34.0.0.
"""

from __future__ import annotations

from functools import partial

from simulator.cloud.checks import check_state
from simulator.cloud.live_migration import MIGRATING, LiveMigrations
from simulator.cloud.model import IN_PROGRESS, Action, ComputeHost, Instance, Migration
from simulator.cloud.refusals import (
    BadRequest,
    Conflict,
    MigrationRefused,
    NotFound,
    wrong_state,
)
from simulator.cloud.scheduler import Scheduler
from simulator.cloud.state import State

_CONDUCTOR = "conductor_live_migrate_instance"
_XENA = 90  # from Nova 24.0.0 on an unsupported feature is 400; before it was 409


class LiveRequests:
    """What is asked of live migrations, and how the conductor finds a destination."""

    def __init__(self, state: State, scheduler: Scheduler, life: LiveMigrations) -> None:
        self._state = state
        self._life = life
        self._scheduler = scheduler
        self._with_conductor: dict[str, Migration] = {}

    # -- what is asked for

    def accept(
        self,
        instance: Instance,
        host: str | None = None,
        block: bool | None = None,
        *,
        is_forced: bool = False,
        is_asynchronous: bool = True,
        who: str = "operator",
    ) -> None:
        """A request for a live migration. ``block``: None is `auto`. Raises: Refusal.

        ``is_asynchronous``: from 2.34 on; before, Nova answers when the pre-checks are done.
        """
        if why := instance.unsupported.get("live-migration"):
            newest = self._state.settings.newest
            raise BadRequest(why) if newest >= _XENA else Conflict(why)
        check_state(instance, "os-migrateLive", ("active", "paused"))
        if host is not None and host not in self._state.hosts:
            raise BadRequest(f"Compute host {host} could not be found.")
        self._state.update(instance, task_state=MIGRATING)
        action = self._state.begin(instance, "live-migration")
        self._state.note(who, f"live-migrates to {host or 'any host'}", instance.id)
        if is_asynchronous:
            seconds = self._state.settings.conductor
            args = (instance, action, host, block, is_forced)
            self._state.cast(seconds, self._take_over, *args)
        else:
            self._take_over_at_once(instance, action, host, block, is_forced)

    def abort(self, instance: Instance, migration_id: str, *, may_be_queued: bool) -> None:
        """Abort a live migration. ``may_be_queued``: from 2.65 on. Raises: Refusal."""
        if instance.task_state != MIGRATING:
            raise wrong_state(
                instance.id, "abort live migration", "task_state", instance.task_state
            )
        migration = self.find(instance, migration_id)
        if migration is None:
            raise NotFound(f"Migration {migration_id} not found for instance {instance.id}")
        allowed = {"running", "queued", "preparing"} if may_be_queued else {"running"}
        if migration.status not in allowed:
            raise BadRequest(_not_now(migration, "abort live migration"))
        action = self._state.begin(instance, "live_migration_cancel")
        self._state.note("client", "aborts the live migration", instance.id)
        self._state.later(self._state.settings.aborting, self._life.abort, migration, action)

    def force_complete(self, instance: Instance, migration_id: str) -> None:
        """Let a running live migration end at once. Raises: Refusal."""
        if instance.vm_state != "active":
            raise wrong_state(instance.id, "force_complete", "vm_state", instance.vm_state)
        if instance.task_state != MIGRATING:
            raise wrong_state(instance.id, "force_complete", "task_state", instance.task_state)
        migration = self.find(instance, migration_id)
        if migration is None:
            raise BadRequest(f"Migration {migration_id} not found for instance {instance.id}")
        if migration.status != "running":
            raise BadRequest(_not_now(migration, "force complete"))
        action = self._state.begin(instance, "live_migration_force_complete")
        self._state.note("client", "forces the live migration to complete", instance.id)
        self._life.force(migration, action)

    def in_progress(self, instance: Instance) -> list[Migration]:
        """What `GET /servers/{id}/migrations` lists: not those that are only accepted."""
        last = instance.migration
        return [last] if last is not None and last.is_live and last.status in IN_PROGRESS else []

    @staticmethod
    def find(instance: Instance, migration_id: str) -> Migration | None:
        """A migration of an instance, of any kind, over or not."""
        for each in instance.cell.migrations.values() if instance.cell is not None else ():
            if str(each.id) == migration_id and each.instance is instance:
                return each
        return None

    # -- the conductor

    def _take_over(
        self,
        instance: Instance,
        action: Action,
        host: str | None,
        block: bool | None,
        is_forced: bool,
    ) -> None:
        if instance.is_deleted or instance.task_state != MIGRATING or instance.host is None:
            return
        migration = self._create(instance, action, host if is_forced else None)
        check = partial(self._find_destination, host=host, block=block, is_forced=is_forced)
        migration.timer = self._state.later(self._state.settings.scheduling, check, migration)

    def _create(self, instance: Instance, action: Action, host: str | None) -> Migration:
        migration = self._state.new_migration(instance, "live-migration", "accepted", host)
        migration.action = action
        self._state.begin_step(action, _CONDUCTOR, "ctl01")
        self._with_conductor[migration.uuid] = migration
        return migration

    def _take_over_at_once(
        self,
        instance: Instance,
        action: Action,
        host: str | None,
        block: bool | None,
        is_forced: bool,
    ) -> None:
        migration = self._create(instance, action, host if is_forced else None)
        try:
            destination = self._checked_destination(migration, host, block, is_forced)
        except MigrationRefused as refused:
            self._refuse(migration, refused)
            raise BadRequest(refused.message) from refused
        self._direct(migration, destination, block)

    def _find_destination(
        self,
        migration: Migration,
        host: str | None,
        block: bool | None,
        is_forced: bool,
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        try:
            found = self._checked_destination(migration, host, block, is_forced, ignored)
        except MigrationRefused as refused:
            self._refuse(migration, refused)
            return
        if found.is_computing:
            self._direct(migration, found, block)
            return
        # Its pre-check is a call that nobody answers: then the next host is tried.
        again = partial(
            self._find_destination,
            host=host,
            block=block,
            is_forced=is_forced,
            ignored=ignored | {found.name},
        )
        seconds = self._state.settings.rpc_response_timeout
        migration.timer = self._state.later(seconds, again, migration)

    def _checked_destination(
        self,
        migration: Migration,
        host: str | None,
        block: bool | None,
        is_forced: bool,
        ignored: frozenset[str] = frozenset(),
    ) -> ComputeHost:
        """Raises: MigrationRefused."""
        instance, source = migration.instance, self._state.hosts[migration.source]
        if instance.power_state not in (1, 3):
            raise MigrationRefused(
                "InstanceInvalidState",
                f"Instance {instance.id} in power_state shutdown. Cannot live migrate while the "
                "instance is in this state.",
            )
        self._require_up(source)
        if is_forced and host is not None:
            if host == source.name:
                message = f"Unable to migrate instance ({instance.id}) to current host ({host})."
                raise MigrationRefused("UnableToMigrateToSelf", message)
            self._require_up(self._state.hosts[host])
            self._checked(migration, source, self._state.hosts[host], None)
            return self._state.hosts[host]
        tried = ignored | {source.name}
        while True:
            found = self._scheduler.choose(
                instance, instance.flavor, only=host, ignored=tried, cell=source.cell
            )
            why = self._why_refused(migration, source, found, block)
            self._checked(migration, source, found, why)
            if why is None:
                return found
            tried = tried | {found.name}

    def _checked(
        self,
        migration: Migration,
        source: ComputeHost,
        found: ComputeHost,
        why: tuple[str, str] | None,
    ) -> None:
        """The events of the two checks; a destination that does not run makes none."""
        action = migration.action
        if action is None or not found.is_computing:
            return
        check = self._state.begin_step(
            action, "compute_check_can_live_migrate_destination", found.name
        )
        if found.refuses_incoming is None:
            self._state.step(action, "compute_check_can_live_migrate_source", source.name, why)
        self._state.end_step(action, check, why)

    def _require_up(self, host: ComputeHost) -> None:
        if not self._scheduler.is_up(host):
            message = f"Compute service of {host.name} is unavailable at this time."
            raise MigrationRefused("ComputeServiceUnavailable", message)

    def _why_refused(
        self, migration: Migration, source: ComputeHost, found: ComputeHost, block: bool | None
    ) -> tuple[str, str] | None:
        if found.refuses_incoming:
            message = f"Migration pre-check error: {found.refuses_incoming}"
            return "MigrationPreCheckError", message
        if found.hypervisor_version < source.hypervisor_version:
            message = "The instance requires a newer hypervisor version than has been provided."
            return "DestinationHypervisorTooOld", message
        is_shared = self._state.settings.is_storage_shared
        if block is True and is_shared:
            message = (
                f"{found.name} is not on local storage: Block migration can not be used with "
                "shared storage."
            )
            return "InvalidLocalStorage", message
        if block is False and not is_shared and not migration.instance.is_volume_backed:
            message = (
                f"{found.name} is not on shared storage: Shared storage live-migration requires "
                "either shared storage or boot-from-volume with no local disks."
            )
            return "InvalidSharedStorage", message
        return None

    def _refuse(self, migration: Migration, refused: MigrationRefused) -> None:
        """The instance stays as it was; its task is cleared before the record says `error`."""
        self._with_conductor.pop(migration.uuid, None)
        instance = migration.instance
        self._state.blame(instance, refused.message)
        self._state.update(instance, task_state=None)
        self._state.end_steps(migration.action, (refused.kind, refused.message))
        self._state.later(
            self._state.settings.write_gap, self._state.set_status, migration, "error"
        )

    def _direct(self, migration: Migration, host: ComputeHost, block: bool | None) -> None:
        """Claim the destination and send the order to the source."""
        self._with_conductor.pop(migration.uuid, None)
        instance, settings = migration.instance, self._state.settings
        amounts = self._state.resources(instance.flavor, instance.is_volume_backed)
        self._state.hand_over(instance.id, migration.uuid)
        self._state.allocate(instance.id, host.name, amounts)
        migration.destination = host.name
        is_local = not settings.is_storage_shared and not instance.is_volume_backed
        migration.copies_disk = block is True or (block is None and is_local)
        self._state.touch(migration)
        self._state.end_steps(migration.action)
        self._state.later(settings.messaging, self._life.enqueue, migration)

    def lose_conductor(self) -> None:
        """It dies: what it was directing stays `accepted` for ever."""
        for migration in self._with_conductor.values():
            if migration.timer is not None:
                migration.timer.cancel()
        self._with_conductor.clear()

    def forget(self, instance: Instance) -> None:
        """An instance is deleted in the middle."""
        if instance.migration is not None:
            self._with_conductor.pop(instance.migration.uuid, None)
            self._life.forget(instance.migration)


def _not_now(migration: Migration, method: str) -> str:
    return (
        f"Migration {migration.id} state of instance {migration.instance.id} is "
        f"{migration.status}. Cannot {method} while the migration is in this state."
    )
