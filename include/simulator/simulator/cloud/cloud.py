"""One cloud: its state, and all that Nova does in it, put together."""

from __future__ import annotations

from simulator.cloud.builds import Builds
from simulator.cloud.cold_migration import ColdMigrations
from simulator.cloud.compute_hosts import REBOOTS, ComputeHosts
from simulator.cloud.control_plane import ControlPlane
from simulator.cloud.journal import Journal
from simulator.cloud.lifecycle import Lifecycle
from simulator.cloud.live_migration import LiveMigrations
from simulator.cloud.live_requests import LiveRequests
from simulator.cloud.model import Guest, Instance
from simulator.cloud.operations import Operations
from simulator.cloud.owners import Owners
from simulator.cloud.scheduler import Scheduler
from simulator.cloud.services import Services
from simulator.cloud.settings import Settings
from simulator.cloud.state import State
from simulator.cloud.timing import Clock


class Cloud:
    """``state`` holds the things; the other parts do what is done with them."""

    def __init__(self, clock: Clock, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.state = State(clock, self.settings)
        self.services = Services(self.state)
        self.scheduler = Scheduler(self.state, self.services)
        self.operations = Operations(self.state)
        self.life = LiveMigrations(self.state)
        self.live = LiveRequests(self.state, self.scheduler, self.life)
        self.cold = ColdMigrations(self.state, self.scheduler, self.operations)
        self.lifecycle = Lifecycle(self.state, self.services, self.operations, self.live)
        self.builds = Builds(self.state, self.scheduler, self.operations)
        self.compute_hosts = ComputeHosts(
            self.state, self.services, self.operations, self.life, self.lifecycle
        )
        self.control = ControlPlane(self.state, self.services, self.live, self.life, self.cold)
        self.owners = Owners(self.state, self.lifecycle, self.live, self.cold, self.builds)

    @property
    def journal(self) -> Journal:
        """What happened."""
        return self.state.journal

    def instance(self, instance_id: str) -> Instance:
        """An instance that is, or was, there."""
        return self.state.instances.get(instance_id) or self.state.buried[instance_id]

    # -- what the hosts' part calls, by name

    def host_stops_nova_compute(self, host: str, *, in_order: bool = True) -> None:
        """nova-compute has ended on a host, by a stop or (not ``in_order``) a kill."""
        self.compute_hosts.stop_compute(self.state.hosts[host], in_order=in_order)

    def host_starts_nova_compute(self, host: str) -> None:
        """nova-compute has started on a host, which is up for that."""
        self.compute_hosts.start_compute(self.state.hosts[host])

    def host_loses_broker(self, host: str) -> None:
        """nova-compute runs on, and nothing of it reaches Nova."""
        self.compute_hosts.lose_broker(self.state.hosts[host])

    def host_reaches_broker(self, host: str) -> None:
        """What nova-compute sends reaches Nova again."""
        self.compute_hosts.reach_broker(self.state.hosts[host])

    def host_reboots(self, host: str) -> None:
        """A host begins to reboot: this is the moment in which its guests end."""
        self.compute_hosts.go_down(self.state.hosts[host], REBOOTS)

    def host_fails(self, host: str) -> None:
        """A host loses power."""
        self.compute_hosts.go_down(self.state.hosts[host], "fails")

    def host_has_booted(self, host: str) -> None:
        """A host is up again; its nova-compute is started by itself."""
        self.compute_hosts.come_up(self.state.hosts[host])

    def guests_on(self, host: str) -> list[str]:
        """Whose guest processes run on a host, also those of live migrations on their way in."""
        return list(self.state.hosts[host].guests)

    def guest_names_on(self, host: str) -> list[str]:
        """The same, as libvirt calls them there."""
        return [self.instance(each).guest_name for each in self.guests_on(host)]

    def guest_processes(self, host: str) -> list[Guest]:
        """The same, as they are."""
        return list(self.state.hosts[host].guests.values())
