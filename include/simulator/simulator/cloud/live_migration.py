"""A live migration on its hosts, as nova-compute leads it: queued, preparing, running, over.

Source: nova.compute.manager._do_live_migration, _post_live_migration and
_rollback_live_migration, read in Nova 34.0.0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from functools import partial

from simulator.cloud.model import Action, ComputeHost, Migration
from simulator.cloud.settings import LiveEnd
from simulator.cloud.state import State

MIGRATING = "migrating"
_LEAST_GIB = 2.0


class LiveMigrations:
    """All live migrations that a source has been ordered to perform."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._unwritten: dict[str, list[Callable[[], None]]] = defaultdict(list)

    def enqueue(self, migration: Migration) -> None:
        """The conductor's order. Where no nova-compute runs it stays in a queue, unread."""
        source = self._state.hosts[migration.source]
        if migration.instance.task_state != MIGRATING or migration.instance.is_deleted:
            return
        if source.is_cut:
            self._unwritten[source.name].append(partial(self.enqueue, migration))
        elif source.is_computing:
            self._state.set_status(migration, "queued")
            self._state.step(migration.action, "compute_live_migration", source.name)
            source.queued.append(migration)
            self._state.later(self._state.settings.messaging, self.take_next, source)

    def force(self, migration: Migration, action: Action) -> None:
        """A running one ends at once, at the cost of a pause of its guest."""
        if self._state.hosts[migration.source].is_computing:
            step = "compute_live_migration_force_complete"
            self._state.step(action, step, migration.source)
        if not migration.has_switched:
            self._next(migration, self._state.settings.forced, self._switch)

    def take_next(self, host: ComputeHost) -> None:
        """What is queued on a host begins as far as its limit allows."""
        most = self._state.settings.max_concurrent_live_migrations
        while host.is_computing and host.queued and (most == 0 or len(host.running) < most):
            migration = host.queued.popleft()
            host.running[migration.uuid] = migration
            self._prepare(migration)

    def _prepare(self, migration: Migration) -> None:
        destination = self._state.hosts[migration.destination or ""]
        destination.incoming[migration.uuid] = migration
        self._state.set_status(migration, "preparing")
        if not destination.is_computing:
            # pre_live_migration is a call that nobody answers.
            seconds = self._state.settings.rpc_response_timeout
            self._next(migration, seconds, self._roll_back_unprepared)
            return
        self._state.step(migration.action, "compute_pre_live_migration", destination.name)
        self._state.start_guest(migration.instance, destination.name, "incoming")
        self._next(migration, self._state.settings.preparing, self._run)

    def _roll_back_unprepared(self, migration: Migration) -> None:
        self.roll_back(migration, "error")

    def _run(self, migration: Migration) -> None:
        if migration.wants_abort:
            self.roll_back(migration, "cancelled")
            return
        settings, instance = self._state.settings, migration.instance
        self._state.set_status(migration, "running")
        migration.running_since = self._state.now()
        gib = self._gib(migration)
        seconds = self._seconds(migration, gib)
        limit = settings.timeout_per_gib * max(_LEAST_GIB, gib)
        end = settings.live_end(instance, migration)
        if end is LiveEnd.STICKS or (limit and seconds > limit):
            if limit:
                self._next(migration, limit, self._cancel_itself)
            return
        self._next(migration, seconds, self._ends[end])

    def _seconds(self, migration: Migration, gib: float) -> float:
        settings = self._state.settings
        if settings.live_seconds is not None:
            return settings.live_seconds(migration.instance, migration)
        return max(settings.live_least, gib * 1024 / settings.live_bandwidth_mib)

    def _gib(self, migration: Migration) -> float:
        """What is copied: RAM, and the disks of a block migration."""
        flavor = migration.instance.flavor
        disks = flavor.disk_gib + flavor.ephemeral_gib + flavor.swap_mib / 1024
        return flavor.ram_mib / 1024 + (disks if migration.copies_disk else 0)

    @property
    def _ends(self) -> dict[LiveEnd, Callable[[Migration], None]]:
        return {
            LiveEnd.COMPLETES: self._switch,
            LiveEnd.FAILS: self._fail,
            LiveEnd.CANCELS_ITSELF: self._cancel_itself,
            LiveEnd.ERRORS_ON_SOURCE: self.error_on_source,
            LiveEnd.ERRORS_ON_DESTINATION: self._switch_and_error,
            LiveEnd.COMPLETED_IN_PLACE: self._complete_in_place,
        }

    def _fail(self, migration: Migration) -> None:
        self.roll_back(migration, "failed")

    def _cancel_itself(self, migration: Migration) -> None:
        self.roll_back(migration, "cancelled")

    def _switch(self, migration: Migration) -> None:
        destination = migration.destination or ""
        moved = self._state.switch_guest(migration.instance.id, migration.source, destination)
        if not moved:
            self._fail(migration)
            return
        migration.has_switched = True
        settings = self._state.settings
        if settings.shows_post_migrating:
            self._state.set_status(migration, "post-migrating")
        if self._state.hosts[destination].is_computing:
            self._next(migration, settings.after_switch, self._arrive)
        else:
            # post_live_migration_at_destination is a call that nobody answers.
            self._next(migration, settings.rpc_response_timeout, self.error_on_destination)

    def _arrive(self, migration: Migration) -> None:
        settings, destination = self._state.settings, migration.destination or ""
        step = "compute_post_live_migration_at_destination"
        self._state.step(migration.action, step, destination)
        if settings.is_status_first:
            self._state.set_status(migration, "completed")
            self._next(migration, settings.write_gap, self._place)
        else:
            self._place(migration)
            self._next(migration, settings.write_gap, self._complete)

    def _place(self, migration: Migration) -> None:
        instance = migration.instance
        self._state.place(instance, migration.destination)
        power = self._state.real_power(instance)
        self._state.update(instance, task_state=None, power_state=power)
        if migration.is_over:
            self._settle(migration)

    def _complete(self, migration: Migration) -> None:
        self._state.set_status(migration, "completed")
        self._settle(migration)

    def _settle(self, migration: Migration) -> None:
        """The source's half is given back, and the next in its queue goes on."""
        self._state.release(migration.uuid)
        self._leave(migration)

    def _complete_in_place(self, migration: Migration) -> None:
        self._clear_destination(migration)
        self._state.update(migration.instance, task_state=None)
        self._complete(migration)

    def _leave(self, migration: Migration) -> None:
        """It occupies neither host any more."""
        migration.timer = None
        source = self._state.hosts[migration.source]
        source.running.pop(migration.uuid, None)
        if migration in source.queued:
            source.queued.remove(migration)
        if migration.destination is not None:
            self._state.hosts[migration.destination].incoming.pop(migration.uuid, None)
        if source.is_computing:
            self.take_next(source)

    # -- what ends otherwise

    def abort(self, migration: Migration, action: Action) -> None:
        """nova-compute is told to abort it."""
        source = self._state.hosts[migration.source]
        if source.is_computing:
            self._state.step(action, "compute_live_migration_abort", source.name)
        if migration.is_over or migration.has_switched or not source.is_computing:
            return
        if migration.status == "preparing":
            migration.wants_abort = True
        elif migration.status in ("queued", "running"):
            if migration in source.queued:
                source.queued.remove(migration)
            self.roll_back(migration, "cancelled")

    def roll_back(self, migration: Migration, status: str) -> None:
        """The guest runs on at the source. The task is cleared before the status is written.

        No event tells why: nova-compute had accepted the order long before.
        """
        self._clear_destination(migration)
        self._stop(migration)
        self._state.update(migration.instance, task_state=None)
        finish = partial(self._finish, status=status)
        self._next(migration, self._state.settings.write_gap, finish)

    def _finish(self, migration: Migration, status: str) -> None:
        self._state.set_status(migration, status)
        self._leave(migration)

    def _clear_destination(self, migration: Migration) -> None:
        """What it holds of its destination, and Placement's half."""
        instance, destination = migration.instance, migration.destination
        if destination is None:
            return
        guest = self._state.hosts[destination].guests.get(instance.id)
        if guest is not None and guest.state == "incoming":
            self._state.end_guest(instance.id, destination, "rolled back")
        self._state.release(instance.id, destination)
        self._state.hand_over(migration.uuid, instance.id)

    def error_on_source(self, migration: Migration) -> None:
        """The instance in ERROR, without a fault; its guest runs on where it was."""
        self._clear_destination(migration)
        self._error(migration)

    def _switch_and_error(self, migration: Migration) -> None:
        destination = migration.destination or ""
        if self._state.switch_guest(migration.instance.id, migration.source, destination):
            migration.has_switched = True
            self.error_on_destination(migration)
        else:
            self._fail(migration)

    def error_on_destination(self, migration: Migration) -> None:
        """The instance in ERROR at its destination, where its guest runs."""
        instance = migration.instance
        self._state.place(instance, migration.destination)
        self._state.blame(instance, "MessagingTimeout: Timed out waiting for a reply to message ID")
        self._state.release(migration.uuid)
        self._error(migration)

    def _error(self, migration: Migration) -> None:
        self._stop(migration)
        self._state.set_status(migration, "error")
        self._state.update(migration.instance, vm_state="error", task_state=None)
        self._leave(migration)

    # -- what happens to hosts and to the control plane

    def lose_calls(self, is_lost: Callable[[Migration], bool]) -> None:
        """The conductor dies with calls in its hands. ``is_lost``: whether one is a migration's.

        Its instance becomes ERROR when the call times out.
        """
        seconds = self._state.settings.rpc_response_timeout
        for host in self._state.hosts.values():
            for migration in list(host.running.values()):
                if is_lost(migration):
                    self._next(migration, seconds, self._time_out)

    def _time_out(self, migration: Migration) -> None:
        if migration.has_switched:
            self.error_on_destination(migration)
        else:
            self.error_on_source(migration)

    def stop_compute(self, host: ComputeHost, *, in_order: bool) -> None:
        """nova-compute has ended: nobody follows its migrations any more.

        In order it cancels what is queued (cleanup_host); else that stays `queued` for ever.
        """
        self._unwritten.pop(host.name, None)
        while host.queued:
            migration = host.queued.popleft()
            if in_order:
                self._state.set_status(migration, "cancelled")
        for migration in host.running.values():
            self._stop(migration)
            if migration.destination is None or migration.has_switched:
                continue
            if self._state.settings.job_outlives_compute and migration.status == "running":
                seconds = self._state.settings.live_least
                self._state.later(seconds, self._switch_unseen, migration)
            else:
                self._state.end_guest(migration.instance.id, migration.destination, "given up")

    def _switch_unseen(self, migration: Migration) -> None:
        destination = migration.destination or ""
        self._state.switch_guest(migration.instance.id, migration.source, destination)

    def reach_broker(self, host: ComputeHost) -> None:
        """nova-compute can write again: what it has done meanwhile, or that its calls timed out."""
        for step in self._unwritten.pop(host.name, []):
            step()

    def start_compute(self, host: ComputeHost) -> None:
        """nova-compute starts: what it finds MIGRATING it aborts, and resets."""
        for instance in list(host.instances.values()):
            if instance.task_state != MIGRATING:
                continue
            migration = instance.migration
            if migration is not None and migration.status == "running":
                self._state.step(migration.action, "compute_live_migration_abort", host.name)
                self._state.set_status(migration, "error")
            self._state.update(instance, task_state=None)
        for migration in list(host.running.values()):
            host.running.pop(migration.uuid, None)
            if migration.destination is not None:
                self._state.hosts[migration.destination].incoming.pop(migration.uuid, None)

    def lose_destination(self, host: ComputeHost) -> None:
        """A host goes down: what was on its way to it fails; its instance becomes ERROR.

        Seen on Nova 34: `failed`, then `error`, and the guest runs on at the source.
        """
        for migration in list(host.incoming.values()):
            if migration.has_switched or not self._state.hosts[migration.source].is_computing:
                continue
            self._next(migration, self._state.settings.write_gap, self._lose)

    def _lose(self, migration: Migration) -> None:
        self._state.set_status(migration, "failed")
        self._clear_destination(migration)
        self._next(migration, self._state.settings.write_gap, self._error)

    def forget(self, migration: Migration) -> None:
        """Its instance is deleted in the middle."""
        if migration.is_over or not migration.is_live:
            return
        self._clear_destination(migration)
        self._stop(migration)
        self._state.set_status(migration, "error")
        self._leave(migration)

    # -- time

    @staticmethod
    def _stop(migration: Migration) -> None:
        """Whatever comes next of it does not come."""
        migration.steps += 1
        if migration.timer is not None:
            migration.timer.cancel()

    def _next(
        self, migration: Migration, seconds: float, what: Callable[[Migration], None]
    ) -> None:
        self._stop(migration)
        step = migration.steps
        migration.timer = self._state.later(seconds, self._do, migration, what, step)

    def _do(self, migration: Migration, what: Callable[[Migration], None], step: int) -> None:
        """Every step writes to the database, which takes a conductor."""
        state, source = self._state, self._state.hosts[migration.source]
        late = partial(self._do_late, migration, what, step, state.clock.now())
        if state.conductor_is_away or state.broker_is_away:
            state.held.append(late)
        elif source.is_cut:
            self._unwritten[source.name].append(late)
        elif step == migration.steps and not migration.instance.is_deleted:
            what(migration)

    def _do_late(
        self,
        migration: Migration,
        what: Callable[[Migration], None],
        step: int,
        since: datetime,
    ) -> None:
        waited = (self._state.clock.now() - since).total_seconds()
        is_too_late = waited > self._state.settings.rpc_response_timeout
        then = self._time_out if is_too_late and not migration.is_over else what
        self._do(migration, then, step)
