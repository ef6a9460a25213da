"""What one drain showed, as plain numbers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import Any

from maintenance_bench.api_log import ApiRequest, counted, first_migration
from maintenance_bench.errors import BenchError
from maintenance_bench.observer import Observer


@dataclass(frozen=True)
class Unfinished:
    """A way to drain that did not empty the host in time: that is its result, too."""

    way: str
    instances: int
    in_flight: int
    why: str

    @classmethod
    def of(
        cls,
        way: str,
        instances: int,
        in_flight: int,
        error: BenchError | subprocess.TimeoutExpired,
    ) -> Unfinished:
        """Put together what ended it."""
        if isinstance(error, BenchError):
            return cls(way, instances, in_flight, str(error))
        why = f"its command did not end within {error.timeout:.0f} s"
        return cls(way, instances, in_flight, why)

    def __str__(self) -> str:
        return f"{self.way}, {self.instances} instances, {self.in_flight} in flight: {self.why}"


@dataclass
class Drain:
    """One drain. Times in seconds; requests are those that reached nova-api."""

    way: str
    instances: int
    in_flight: int
    makespan: float  # from the first migration request until nothing is on the host
    total: float  # of the whole command, or of the run until check_host_empty has ended
    cpu: float  # CPU seconds of the client, or of Airflow's components meanwhile
    peak_moving: int
    peak_waiting: int
    failed: int
    requests: dict[str, int]  # of the whole command or run
    drain_requests: dict[str, int]  # between the first migration request and the empty host
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def cpu_per_instance(self) -> float:
        return self.cpu / self.instances

    @property
    def requests_per_instance(self) -> float:
        return sum(self.requests.values()) / self.instances

    @property
    def drain_requests_per_instance(self) -> float:
        return sum(self.drain_requests.values()) / self.instances

    @classmethod
    def of(
        cls,
        way: str,
        instances: int,
        in_flight: int,
        *,
        observer: Observer,
        requests: list[ApiRequest],
        total: float,
        cpu: float,
    ) -> Drain:
        """Put together what was seen. Raises: BenchError when the host was never empty."""
        began, ended = first_migration(requests), observer.empty_at
        if began is None or ended is None:
            raise BenchError(f"{way}: the host was never seen empty. {observer.trouble}")
        return cls(
            way=way,
            instances=instances,
            in_flight=in_flight,
            makespan=ended - began,
            total=total,
            cpu=cpu,
            peak_moving=observer.peak.moving,
            peak_waiting=max(each.waiting for each in observer.samples),
            failed=max(each.failed for each in observer.samples),
            requests=counted(requests),
            drain_requests=counted(each for each in requests if began <= each.at <= ended),
            more={"began": began, "empty_at": ended},
        )
