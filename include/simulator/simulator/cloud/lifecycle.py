"""What owners do with their instances: stop, start, pause, rescue, rebuild, shelve, delete.

Nova answers 202, and it happens, or fails, afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from simulator.cloud.checks import check_state
from simulator.cloud.live_requests import LiveRequests
from simulator.cloud.model import NOSTATE, RUNNING, SHUTDOWN, Action, Instance
from simulator.cloud.operations import Operations
from simulator.cloud.refusals import Conflict
from simulator.cloud.services import Services
from simulator.cloud.state import State

_ANY_ALIVE = ("active", "stopped", "paused", "suspended")
# nova-compute waits so long after a guest has ended by itself, as the end of a reboot may follow.
_LIFECYCLE_SECONDS = 15.0


# A cold migration that its source, or its destination, works on.
_ON_THE_WAY = ("pre-migrating", "migrating", "post-migrating")


@dataclass(frozen=True)
class _Kind:
    """One action: in which vm_states, the task meanwhile, and what the guest becomes."""

    vm_states: tuple[str, ...]
    task: str
    seconds: str  # the setting
    vm_state: str
    guest: str  # runs, paused, off, restarts
    step: str


KINDS = {
    "stop": _Kind(
        ("active", "error"), "powering-off", "powering_off", "stopped", "off", "stop_instance"
    ),
    "start": _Kind(("stopped",), "powering-on", "powering_on", "active", "runs", "start_instance"),
    "reboot": _Kind(
        ("active", "stopped", "paused", "suspended", "error"),
        "rebooting_hard",
        "other_actions",
        "active",
        "restarts",
        "reboot_instance",
    ),
    "pause": _Kind(("active",), "pausing", "other_actions", "paused", "paused", "pause_instance"),
    "unpause": _Kind(
        ("paused",), "unpausing", "other_actions", "active", "runs", "unpause_instance"
    ),
    "suspend": _Kind(
        ("active",), "suspending", "other_actions", "suspended", "off", "suspend_instance"
    ),
    "resume": _Kind(
        ("suspended",), "resuming", "other_actions", "active", "runs", "resume_instance"
    ),
    "rescue": _Kind(
        ("active", "stopped", "error"),
        "rescuing",
        "other_actions",
        "rescued",
        "restarts",
        "rescue_instance",
    ),
    "unrescue": _Kind(
        ("rescued",), "unrescuing", "other_actions", "active", "restarts", "unrescue_instance"
    ),
    "rebuild": _Kind(
        ("active", "stopped", "error"),
        "rebuilding",
        "building",
        "",
        "restarts",
        "rebuild_instance",
    ),
    "shelve": _Kind(_ANY_ALIVE, "shelving", "other_actions", "shelved", "off", "shelve_instance"),
}


_LATER_TASKS = {"rebooting_hard": ("reboot_pending_hard", "reboot_started_hard")}


class Lifecycle:
    """All of an instance's life but its moves and its birth."""

    def __init__(
        self, state: State, services: Services, operations: Operations, live: LiveRequests
    ) -> None:
        self._state = state
        self._services = services
        self._operations = operations
        self._live = live

    def perform(self, instance: Instance, name: str, who: str = "owner") -> None:
        """Ask for one of KINDS. Raises: Conflict."""
        kind = KINDS[name]
        check_state(instance, name, kind.vm_states)
        if instance.host is None:
            raise Conflict(f"Instance {instance.id} is not ready")
        self._state.update(instance, task_state=kind.task)
        action = self._state.begin(instance, name)
        self._state.note(who, f"asks for {name}", instance.id, instance.host)
        self._go_on(instance, name, action, list(_LATER_TASKS.get(kind.task, ())))

    def _go_on(self, instance: Instance, name: str, action: Action, tasks: list[str]) -> None:
        """The task changes while it is worked at; in the end it is done."""
        kind, settings = KINDS[name], self._state.settings
        if not tasks:
            seconds = getattr(settings, kind.seconds)
            self._operations.next(
                instance, seconds, partial(self._finish, instance, name, kind, action)
            )
            return

        def change() -> None:
            self._state.update(instance, task_state=tasks[0])
            self._go_on(instance, name, action, tasks[1:])

        self._operations.next(instance, settings.messaging, change)

    def _finish(self, instance: Instance, name: str, kind: _Kind, action: Action) -> None:
        host = instance.host or ""
        guest = self._state.guest_of(instance.id)
        is_elsewhere = guest is not None and guest.host != host
        if is_elsewhere or not self._state.settings.power_succeeds(instance, name):
            said = f"Failed to {name} the instance"
            self._state.blame(instance, said)
            self._state.update(instance, task_state=None)
            self._state.step(action, f"compute_{kind.step}", host, ("InternalError", said))
            self._state.note("nova", f"{name} fails", instance.id, host)
            return
        stays_off = name == "rebuild" and instance.vm_state == "stopped"
        self._set_guest(instance, "off" if stays_off else kind.guest)
        vm_state = kind.vm_state or ("stopped" if stays_off else "active")
        power = self._state.real_power(instance)
        self._state.update(instance, vm_state=vm_state, task_state=None, power_state=power)
        self._state.step(action, f"compute_{kind.step}", host)
        if name == "shelve":
            self._state.update(instance, task_state="shelving_offloading")
            gap = self._state.settings.write_gap
            self._operations.next(instance, gap, partial(self._offload, instance))

    def _set_guest(self, instance: Instance, wanted: str) -> None:
        host = instance.host or ""
        guest = self._state.hosts[host].guests.get(instance.id)
        if guest is not None and wanted in ("off", "restarts"):
            self._state.end_guest(instance.id, host, "as asked")
            guest = None
        if wanted == "off":
            return
        if guest is None:
            self._state.start_guest(instance, host)
        else:
            guest.state = "paused" if wanted == "paused" else "running"

    def _offload(self, instance: Instance) -> None:
        self._state.release(instance.id)
        self._state.place(instance, None)
        self._state.update(instance, vm_state="shelved_offloaded", task_state=None)
        self._state.note("nova", "is shelved and on no host", instance.id)

    def delete(self, instance: Instance, who: str = "owner") -> None:
        """Delete an instance, whatever it does."""
        self._state.note(who, "asks for delete", instance.id, instance.host or "")
        host = self._state.hosts.get(instance.host or "")
        is_soft = self._state.settings.reclaim_instance_interval > 0
        action = self._state.begin(instance, "softDelete" if is_soft else "delete")
        if host is None:
            self._state.bury(instance)
            return
        if not self._services.is_up(host.service):
            self._live.forget(instance)
            self._state.bury(instance, keeps_guest=True)
            return
        self._live.forget(instance)
        task = "soft-deleting" if is_soft else "deleting"
        self._state.update(instance, task_state=task)
        if instance.timer is not None:
            instance.timer.cancel()
        gone: Callable[[], None] = partial(self._gone, instance, action, is_soft)
        self._operations.next(instance, self._state.settings.deleting, gone)

    def _gone(self, instance: Instance, action: Action, is_soft: bool) -> None:
        host = instance.host or ""
        self._state.step(action, "compute_terminate_instance", host)
        if not is_soft:
            if (cold := instance.migration) is not None and cold.status in _ON_THE_WAY:
                self._state.set_status(cold, "error")  # whoever moves it finds it gone
                self._state.release(cold.uuid)
            self._state.end_guest(instance.id, host, "deleted")
            self._state.update(instance, vm_state="deleted", task_state=None, power_state=NOSTATE)
            gap = self._state.settings.messaging
            self._operations.next(instance, gap, partial(self._state.bury, instance))
            return
        self._state.end_guest(instance.id, host, "soft-deleted")
        self._state.update(instance, vm_state="soft-delete", task_state=None, power_state=SHUTDOWN)
        interval = self._state.settings.reclaim_instance_interval
        self._operations.next(instance, interval, partial(self._state.bury, instance))

    def reset_state(self, instance: Instance, vm_state: str, who: str = "operator") -> None:
        """`openstack server set --state`: Nova's view alone."""
        self._state.begin(instance, "resetState")
        self._state.update(instance, vm_state=vm_state, task_state=None)
        self._state.note(who, f"resets the state to {vm_state}", instance.id)

    def lock(self, instance: Instance, reason: str = "", who: str = "client") -> None:
        """From now on only administrators act on it: all clients here are."""
        self._state.step(self._state.begin(instance, "lock"), "api_lock")
        self._state.update(instance, is_locked=True, lock_reason=reason or None)
        self._state.note(who, "locks it", instance.id)

    def unlock(self, instance: Instance, who: str = "client") -> None:
        """Everybody may act on it."""
        self._state.step(self._state.begin(instance, "unlock"), "api_unlock")
        self._state.update(instance, is_locked=False, lock_reason=None)
        self._state.note(who, "unlocks it", instance.id)

    # -- what guests do by themselves

    def guest_shuts_down(self, instance: Instance, why: str = "shut down from within") -> None:
        """A guest ends by itself; nova-compute sees it a little later."""
        guest = self._state.guest_of(instance.id)
        if guest is None:
            return
        self._state.end_guest(instance.id, guest.host, why)
        host = self._state.hosts[guest.host]
        if host.is_computing:
            self._state.later(_LIFECYCLE_SECONDS, self._sync_until_seen, instance)

    def _sync_until_seen(self, instance: Instance) -> None:
        """What is under way with an instance lets Nova look later (sync_power_state_interval)."""
        if instance.is_deleted or instance.id not in self._state.instances:
            return
        self.sync_power(instance)
        if instance.vm_state in ("active", "paused") and self._state.guest_of(instance.id) is None:
            again = self._state.settings.power_sync_again
            self._state.later(again, self._sync_until_seen, instance)

    def _stop_what_is_off(self, instance: Instance) -> None:
        if instance.task_state is not None or instance.vm_state not in ("active", "paused"):
            return
        action = self._state.begin(instance, "stop")
        action.user_id = action.project_id = None  # nobody has asked
        self._state.update(instance, task_state="powering-off")
        stopped = partial(self._found_stopped, instance, action)
        self._operations.next(instance, self._state.settings.messaging, stopped)

    def _found_stopped(self, instance: Instance, action: Action) -> None:
        self._state.step(action, "compute_stop_instance", instance.host or "")
        self._state.update(instance, vm_state="stopped", task_state=None)

    def sync_power(self, instance: Instance) -> None:
        """Source: nova.compute.manager._sync_instance_power_state."""
        host = self._state.hosts.get(instance.host or "")
        if host is None or not host.is_computing or instance.task_state is not None:
            return
        power = self._state.real_power(instance)
        if instance.launched_at is not None and power != instance.power_state:
            self._state.update(instance, power_state=power)
        if instance.vm_state in ("active", "paused") and power == SHUTDOWN:
            self._state.note("nova", "finds it shut down", instance.id, host.name)
            stop = partial(self._stop_what_is_off, instance)
            self._operations.next(instance, self._state.settings.messaging, stop)
        elif instance.vm_state == "stopped" and power == RUNNING:
            self._state.end_guest(instance.id, host.name, "Nova takes it for stopped")
            self._state.update(instance, power_state=SHUTDOWN)
