"""The same stage for every drain: so many instances on c01, every host in service."""

from __future__ import annotations

import time
from dataclasses import dataclass

from maintenance_bench.errors import BenchError
from openstack_lab import Cloud, Instance, Lab

HOST = "c01"
PREFIX = "bench"
RAM_MIB = 512
# While the instances are put back, which is not measured.
QUICK_SECONDS = "0.2"


@dataclass(frozen=True)
class Stage:
    """The lab, as every drain finds it."""

    lab: Lab
    cloud: Cloud

    def set_limit(self, in_flight: int) -> None:
        """Let Nova migrate so many at once off each host."""
        self.lab.run("configure", f"max_concurrent_live_migrations={in_flight}", timeout=300)

    def set_seconds(self, seconds: str) -> None:
        """Let every migration take so long."""
        self.lab.fault("all", "migration-seconds", seconds)

    def put_back(self, count: int, deadline: float = 300) -> None:
        """Have `count` bench instances on the host and nothing else in the cloud."""
        self._put_into_service()
        self._have(count)
        self.set_seconds(QUICK_SECONDS)
        until = time.monotonic() + deadline
        while away := [each for each in self.cloud.instances() if not _is_at_home(each)]:
            if time.monotonic() > until:
                names = ", ".join(f"{each.name} on {each.host}" for each in away)
                raise BenchError(f"Not back on {HOST} after {deadline:.0f} s: {names}.")
            for each in away:
                if each.task_state is None and each.host != HOST:
                    self._move_home(each)
            time.sleep(1)

    def clear(self) -> None:
        """Leave the lab as it was found."""
        self.cloud.enable(HOST)
        self.cloud.delete(self._ours())
        self.lab.run("fault", "all", "clear", "migration-seconds")
        self.set_limit(1)

    def disable(self) -> None:
        """The runbook's first step, where the way that is measured leaves it to a person."""
        self.cloud.disable(HOST, "bench")

    def _put_into_service(self) -> None:
        self.cloud.enable(HOST)
        self.cloud.wait_until_enabled_and_up(self.cloud.compute_hosts())

    def _have(self, count: int) -> None:
        ours = self._ours()
        others = [each for each in self.cloud.instances() if each not in ours]
        if others:
            names = ", ".join(each.name for each in others)
            raise BenchError(f"The lab holds instances that are not the bench's: {names}.")
        self.cloud.delete(ours[count:])
        if len(ours) < count:
            missing = count - len(ours)
            self.lab.create_instances(HOST, missing, prefix=PREFIX, ram_mib=RAM_MIB)

    def _ours(self) -> list[Instance]:
        return [each for each in self.cloud.instances() if each.name.startswith(f"{PREFIX}-")]

    def _move_home(self, instance: Instance) -> None:
        self.cloud.connection.compute.live_migrate_server(
            instance.id, host=HOST, force=False, block_migration="auto"
        )


def _is_at_home(instance: Instance) -> bool:
    if instance.status == "ERROR":
        raise BenchError(f"Instance {instance.name} is in ERROR: see the lab's nova-compute logs.")
    return instance.host == HOST and instance.task_state is None
