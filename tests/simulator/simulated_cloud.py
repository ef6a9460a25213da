"""The simulated cloud with a clock that a test moves, and the real plugin in front of it."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from openstack_maintenance.adapters.cloud_health import CloudHealth
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.cloud import Migration
from simulator.cloud import Cloud, Settings
from simulator.cloud.fleet import new_fleet
from simulator.cloud.model import Instance
from simulator.http import Application, Transport


class Timer:
    """What will be done, unless it is cancelled."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what: Callable[[], Any] | None = what

    def cancel(self) -> None:
        self.what = None


class HandClock:
    """Time passes where a test, or a request, lets it pass."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._timers: list[tuple[datetime, int, Timer]] = []
        self._count = 0
        self._lock = threading.RLock()  # thread pools of the plugin ask at the same time

    def now(self) -> datetime:
        return self._now

    def after(self, seconds: float, what: Callable[[], Any]) -> Timer:
        timer = Timer(what)
        self._count += 1
        heapq.heappush(self._timers, (self._now + timedelta(seconds=seconds), self._count, timer))
        return timer

    def pause(self, seconds: float) -> None:
        with self._lock:
            until = self._now + timedelta(seconds=seconds)
            while self._timers and self._timers[0][0] <= until:
                self._now, _, timer = heapq.heappop(self._timers)
                if timer.what is not None:
                    timer.what()
            self._now = until


@dataclass
class World:
    """A cloud, its APIs, and the plugin's adapters."""

    cloud: Cloud
    clock: HandClock
    application: Application
    transport: Transport
    nova: Nova
    health: CloudHealth

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.pause(seconds)

    def instance(self, name: str) -> Instance:
        """An instance by its name."""
        found = self.cloud.state.instances.values()
        return next(each for each in found if each.name == name)

    def migration(self, instance: Instance) -> Migration:
        """The newest migration of an instance, as the plugin reads it."""
        since = self.clock.now() - timedelta(days=1)
        found = [each for each in self.nova.migrations(since) if each.instance_id == instance.id]
        return found[-1]

    def live(self, name: str, host: str | None = None) -> Instance:
        """Ask for a live migration."""
        instance = self.instance(name)
        self.nova.live_migrate(instance.id, host, "auto")
        return instance


def options(url: str) -> dict[str, Any]:
    """Arguments of ``openstack.connect``."""
    auth = {
        "auth_url": f"{url}/identity/v3",
        "username": "admin",
        "password": "secret",
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return {"auth": auth, "load_yaml_config": False, "load_envvars": False}


def new_world(
    hosts: int = 4, per_host: int = 3, cells: int = 1, is_empty: bool = False, **settings: Any
) -> World:
    """Hosts c01, c02, ... with instances vm-c01-01, ...; its transport is not installed yet."""
    clock = HandClock()
    cloud = Cloud(clock, Settings(**settings))
    if not is_empty:
        new_fleet(cloud, hosts, per_host, cells)
    application = Application(cloud)
    given = options(application.url)
    return World(
        cloud,
        clock,
        application,
        Transport(application, clock),
        Nova("simulated", given),
        CloudHealth("simulated", given),
    )
