"""What happens to compute hosts, and what that does to guests and to Nova's view of them."""

from __future__ import annotations

from simulator.cloud.lifecycle import Lifecycle
from simulator.cloud.live_migration import LiveMigrations
from simulator.cloud.model import ComputeHost
from simulator.cloud.operations import Operations
from simulator.cloud.services import Services
from simulator.cloud.state import State

REBOOTS = "reboots"
_BUILD_TASKS = ("spawning", "networking", "block_device_mapping")


class ComputeHosts:
    """nova-compute stops and starts; hosts go down and come up."""

    def __init__(
        self,
        state: State,
        services: Services,
        operations: Operations,
        life: LiveMigrations,
        lifecycle: Lifecycle,
    ) -> None:
        self._state = state
        self._services = services
        self._operations = operations
        self._life = life
        self._lifecycle = lifecycle

    def stop_compute(self, host: ComputeHost, *, in_order: bool = True) -> None:
        """nova-compute ends, by a stop or (not ``in_order``) a kill. Guests run on."""
        if not (host.is_computing or host.is_cut):
            return
        host.is_cut = False
        self._services.end_beats(host.service)
        self._life.stop_compute(host, in_order=in_order)
        self._state.note("host", "nova-compute ends", host=host.name)

    def start_compute(self, host: ComputeHost) -> None:
        """nova-compute starts: it puts right what its end has left (init_host)."""
        if host.is_computing:
            return
        if host.is_cut:  # a new process: the one that was cut off has ended
            self.stop_compute(host, in_order=False)
        if not host.is_on:
            self.come_up(host)
        self._services.begin_beats(host.service)
        self._services.sync_trait(host)
        self._state.note("host", "nova-compute starts", host=host.name)
        self._life.start_compute(host)
        for instance in list(host.instances.values()):
            if instance.vm_state == "building" or instance.task_state in _BUILD_TASKS:
                if instance.timer is not None:
                    instance.timer.cancel()
                self._state.update(instance, vm_state="error", task_state=None)
        self._operations.started(host.name)
        self._state.later(self._state.settings.power_sync, self._sync_power, host)

    def lose_broker(self, host: ComputeHost) -> None:
        """nova-compute runs on, and nothing of it reaches Nova: what it does is not written."""
        if host.is_computing:
            host.is_cut = True
            self._services.end_beats(host.service)
            self._state.note("host", "nova-compute loses the broker", host=host.name)

    def reach_broker(self, host: ComputeHost) -> None:
        """It is heard again, and takes what has waited."""
        if not host.is_cut:
            return
        host.is_cut = False
        self._services.begin_beats(host.service)
        self._state.note("host", "nova-compute reaches the broker", host=host.name)
        self._life.reach_broker(host)
        self._operations.started(host.name)

    def _sync_power(self, host: ComputeHost) -> None:
        again = self._state.settings.power_sync_again
        if host.is_cut:
            self._state.later(again, self._sync_power, host)
        if not host.is_computing:
            return
        found = list(host.instances.values())
        for instance in found:
            self._lifecycle.sync_power(instance)
        if any(each.task_state is not None for each in found):  # Nova leaves those for later
            self._state.later(again, self._sync_power, host)

    def go_down(self, host: ComputeHost, why: str = "goes down") -> None:
        """The host is off from now on, or reboots: its guests end, and nothing resumes them.

        (`resume_guests_state_on_host_boot` is False.)
        """
        if not host.is_on:
            return
        host.is_on = False
        self._state.note("host", why, host=host.name)
        self._life.lose_destination(host)
        for instance_id in list(host.guests):
            self._state.end_guest(instance_id, host.name, f"the host {why}")
        self.stop_compute(host, in_order=why == REBOOTS)

    def come_up(self, host: ComputeHost) -> None:
        """The host has booted. nova-compute starts when `start_compute` is called."""
        if host.is_on:
            return
        host.is_on = True
        host.booted_at = self._state.clock.now()
        self._state.note("host", "has booted", host=host.name)
