"""Cold migrations and resizes: shut down, moved, VERIFY_RESIZE, confirmed or reverted.

Source: nova.conductor.tasks.migrate, nova.compute.manager.prep_resize, resize_instance,
finish_resize, confirm_resize; read in Nova 34.0.0.
"""

from __future__ import annotations

from functools import partial

from simulator.cloud.builds import mark_unsupported
from simulator.cloud.checks import check_state
from simulator.cloud.model import SHUTDOWN, Action, ComputeHost, Flavor, Instance, Migration
from simulator.cloud.operations import Operations
from simulator.cloud.refusals import BadRequest, Conflict, MigrationRefused
from simulator.cloud.scheduler import Scheduler
from simulator.cloud.settings import ColdEnd
from simulator.cloud.state import State

_UNAVAILABLE = "Service is unavailable at this time."


class ColdMigrations:
    """All cold migrations and resizes of the cloud."""

    def __init__(self, state: State, scheduler: Scheduler, operations: Operations) -> None:
        self._state = state
        self._scheduler = scheduler
        self._operations = operations
        self._with_conductor: dict[str, Migration] = {}

    # -- what is asked for

    def accept(
        self,
        instance: Instance,
        host: str | None = None,
        flavor: Flavor | None = None,
        who: str = "operator",
    ) -> None:
        """A cold migration, or a resize where a flavor is given. Raises: Refusal."""
        name = "migrate" if flavor is None else "resize"
        if why := instance.unsupported.get(name):
            raise BadRequest(why)
        check_state(instance, name, ("active", "stopped"))
        source = self._state.hosts[instance.host or ""]
        if not self._scheduler.is_up(source):
            raise Conflict(_UNAVAILABLE)
        if host is not None and host == instance.host:
            raise BadRequest("Cannot migrate to the host where the server exists.")
        if host is not None and host not in self._state.hosts:
            raise BadRequest(f"Compute host {host} could not be found.")
        if flavor is not None and flavor.id == instance.flavor.id:
            raise BadRequest("When resizing, instances must change flavor!")
        self._state.update(instance, task_state="resize_prep")
        action = self._state.begin(instance, name)
        self._state.note(who, f"asks for {name} to {host or 'any host'}", instance.id)
        seconds = self._state.settings.conductor
        self._state.cast(seconds, self._take_over, instance, action, host, flavor)

    def confirm(self, instance: Instance, who: str = "operator") -> None:
        """Confirm what has arrived. Raises: Refusal."""
        migration = self._finished(instance, "confirmResize")
        if not self._scheduler.is_up(self._state.hosts[migration.source]):
            raise Conflict(_UNAVAILABLE)
        self._state.set_status(migration, "confirming")
        action = self._state.begin(instance, "confirmResize")
        self._state.note(who, "confirms", instance.id)
        seconds = self._state.settings.confirming
        confirmed = partial(self._confirmed, migration, action)
        self._operations.next(instance, seconds, confirmed, migration.source)

    def revert(self, instance: Instance, who: str = "owner") -> None:
        """Take it back to where it was. Raises: Refusal."""
        migration = self._finished(instance, "revertResize")
        self._state.set_status(migration, "reverting")
        self._state.update(instance, task_state="resize_reverting")
        action = self._state.begin(instance, "revertResize")
        self._state.note(who, "reverts", instance.id)
        seconds = self._state.settings.cold_least
        self._operations.next(instance, seconds, partial(self._reverted, migration, action))

    def _finished(self, instance: Instance, action: str) -> Migration:
        check_state(instance, action, ("resized",))
        migration = instance.migration
        if migration is None or migration.status != "finished":
            raise BadRequest("Instance has not been resized.")
        return migration

    # -- the conductor

    def _take_over(
        self, instance: Instance, action: Action, host: str | None, flavor: Flavor | None
    ) -> None:
        if instance.is_deleted or instance.task_state != "resize_prep":
            return
        kind = "migration" if flavor is None else "resize"
        migration = self._state.new_migration(instance, kind, "pre-migrating", None, flavor)
        migration.action = action
        for step in ("conductor_migrate_server", "cold_migrate"):
            self._state.begin_step(action, step, "ctl01")
        self._with_conductor[migration.uuid] = migration
        schedule = partial(self._schedule, migration, host)
        self._operations.next(instance, self._state.settings.scheduling, schedule)

    def lose_conductor(self) -> None:
        """It dies: what it was directing stays in resize_prep for ever."""
        for migration in self._with_conductor.values():
            if migration.instance.timer is not None:
                migration.instance.timer.cancel()
        self._with_conductor.clear()

    def _schedule(self, migration: Migration, host: str | None) -> None:
        self._with_conductor.pop(migration.uuid, None)
        instance, source = migration.instance, self._state.hosts[migration.source]
        try:
            found = self._scheduler.choose(
                instance,
                migration.new_flavor,
                only=host,
                ignored={source.name},
                cell=source.cell,
            )
        except MigrationRefused as refused:
            self._refuse(migration, refused)
            return
        self._direct(migration, found)

    def _refuse(self, migration: Migration, refused: MigrationRefused) -> None:
        what = "cold migrate" if migration.kind == "migration" else "resize"
        said = f"No valid host was found. No valid host found for {what}"
        self._state.end_steps(migration.action, (refused.kind, said))
        self._give_up(migration, refused.message)

    def _give_up(self, migration: Migration, why: str) -> None:
        """The record says `error` before the task is cleared; the instance stays as it was."""
        instance = migration.instance
        self._state.set_status(migration, "error")
        self._state.blame(instance, why)
        clear = partial(self._state.update, instance, task_state=None)
        self._operations.next(instance, self._state.settings.write_gap, clear)

    def _direct(self, migration: Migration, host: ComputeHost) -> None:
        instance, settings = migration.instance, self._state.settings
        amounts = self._state.resources(migration.new_flavor, instance.is_volume_backed)
        self._state.hand_over(instance.id, migration.uuid)
        self._state.allocate(instance.id, host.name, amounts)
        migration.destination = host.name
        self._state.touch(migration)
        self._state.end_steps(migration.action)
        leave = partial(self._leave, migration)
        self._operations.next(instance, settings.write_gap, leave)

    # -- the two hosts

    def _leave(self, migration: Migration) -> None:
        instance, settings = migration.instance, self._state.settings
        self._state.step(migration.action, "compute_prep_resize", migration.destination or "")
        end = settings.cold_end(instance, migration)
        self._state.set_status(migration, "migrating")
        instance.old_vm_state, instance.old_flavor = instance.vm_state, instance.flavor
        self._state.update(instance, task_state="resize_migrating")
        if end is ColdEnd.FAILS:
            self._operations.next(instance, settings.write_gap, partial(self._fail, migration))
            return
        self._state.end_guest(instance.id, migration.source, "cold migration")
        flavor = migration.old_flavor
        disks = flavor.disk_gib + flavor.ephemeral_gib
        is_copied = not (settings.is_storage_shared or instance.is_volume_backed)
        copying = disks * 1024 / settings.cold_bandwidth_mib if is_copied else 0.0
        then = self._arrive if end is ColdEnd.COMPLETES else self._error
        seconds = max(settings.cold_least, copying)
        self._operations.next(instance, seconds, partial(then, migration))

    def _fail(self, migration: Migration) -> None:
        error = self._state.settings.cold_failure
        self._take_back(migration)
        self._state.step(migration.action, "compute_resize_instance", migration.source, error)
        self._give_up(migration, error[1])

    def _arrive(self, migration: Migration) -> None:
        instance, settings = migration.instance, self._state.settings
        self._state.set_status(migration, "post-migrating")
        instance.flavor = migration.new_flavor
        mark_unsupported(instance, self._state.settings.newest)
        self._state.place(instance, migration.destination)
        self._state.update(instance, task_state="resize_migrated")
        self._state.step(migration.action, "compute_resize_instance", migration.source)
        self._operations.next(instance, settings.write_gap, partial(self._begin_finish, migration))

    def _begin_finish(self, migration: Migration) -> None:
        instance = migration.instance
        self._state.update(instance, task_state="resize_finish")
        seconds = self._state.settings.powering_on
        self._operations.next(instance, seconds, partial(self._finish, migration))

    def _finish(self, migration: Migration) -> None:
        instance, host = migration.instance, migration.destination or ""
        if instance.old_vm_state == "active":
            self._state.start_guest(instance, host)
        self._state.set_status(migration, "finished")
        arrived = partial(self._await_confirmation, migration)
        self._operations.next(instance, self._state.settings.write_gap, arrived)

    def _await_confirmation(self, migration: Migration) -> None:
        instance = migration.instance
        self._state.step(migration.action, "compute_finish_resize", migration.destination or "")
        self._state.update(
            instance,
            vm_state="resized",
            task_state=None,
            power_state=self._state.real_power(instance),
            launched_at=self._state.now(),
        )

    def _error(self, migration: Migration) -> None:
        instance = migration.instance
        self._take_back(migration)
        self._state.set_status(migration, "error")
        said = "Unexpected error while running command: rsync"
        self._state.step(
            migration.action,
            "compute_resize_instance",
            migration.source,
            ("ProcessExecutionError", said),
        )
        self._state.blame(instance, said)
        self._state.update(instance, vm_state="error", task_state=None, power_state=SHUTDOWN)

    def _take_back(self, migration: Migration) -> None:
        instance = migration.instance
        self._state.release(instance.id)
        self._state.hand_over(migration.uuid, instance.id)

    def _confirmed(self, migration: Migration, action: Action) -> None:
        self._state.set_status(migration, "confirmed")
        self._state.release(migration.uuid)
        self._state.step(action, "compute_confirm_resize", migration.source)
        settle = partial(self._settle, migration.instance)
        self._operations.next(migration.instance, self._state.settings.write_gap, settle)

    def _settle(self, instance: Instance) -> None:
        is_active = instance.old_vm_state == "active" and self._state.real_power(instance) != 4
        self._state.update(
            instance,
            vm_state="active" if is_active else "stopped",
            task_state=None,
            power_state=self._state.real_power(instance),
        )

    def _reverted(self, migration: Migration, action: Action) -> None:
        instance = migration.instance
        destination, gap = migration.destination or "", self._state.settings.write_gap
        self._state.end_guest(instance.id, destination, "reverted")
        self._state.step(action, "compute_revert_resize", destination)
        come_home = partial(self._come_home, migration, action)
        self._operations.next(instance, gap, come_home, migration.source)

    def _come_home(self, migration: Migration, action: Action) -> None:
        instance, gap = migration.instance, self._state.settings.write_gap
        self._take_back(migration)
        instance.flavor = migration.old_flavor
        mark_unsupported(instance, self._state.settings.newest)
        self._state.place(instance, migration.source)
        self._operations.next(instance, gap, partial(self._taken_back, migration, action))

    def _taken_back(self, migration: Migration, action: Action) -> None:
        instance = migration.instance
        if instance.old_vm_state == "active":
            self._state.start_guest(instance, migration.source)
        self._state.set_status(migration, "reverted")
        self._state.step(action, "compute_finish_revert_resize", migration.source)
        self._settle(instance)
