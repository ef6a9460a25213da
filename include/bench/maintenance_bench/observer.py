"""Watches a drain from outside, the same way whoever drains: what moves, and when it is over."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from maintenance_bench.stage import HOST
from openstack_lab import Cloud

# Marks the observer's own requests in Nova's log, so that they are counted for nobody.
OBSERVER_ID = "req-0b5e0b5e-0000-4000-8000-0b5e0b5e0b5e"
EVERY_SECONDS = 0.5
MOVES = frozenset({"preparing", "running", "post-migrating", "pre-migrating", "migrating"})
WAITS = frozenset({"accepted", "queued"})
FAILED = frozenset({"failed", "error", "cancelled"})


@dataclass(frozen=True)
class Sample:
    """Migrations as Nova listed them at one moment; ``waiting`` for Nova's own limit."""

    at: float  # seconds since the epoch
    moving: int
    waiting: int
    done: int
    failed: int


@dataclass
class Observer:
    """A thread that asks Nova twice a second while a drain is under way."""

    cloud: Cloud
    samples: list[Sample] = field(default_factory=list)
    empty_at: float | None = None
    trouble: str = ""

    def __enter__(self) -> Observer:
        self._began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        compute = self.cloud.connection.compute
        compute.session.invalidate()  # a fresh token outlives the drain
        self._http = httpx.Client(
            base_url=compute.get_endpoint() or "",
            headers={
                **(compute.session.get_auth_headers() or {}),
                "X-OpenStack-Request-ID": OBSERVER_ID,
                "OpenStack-API-Version": "compute 2.74",
            },
            timeout=30,
            trust_env=False,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        self._http.close()

    @property
    def peak(self) -> Sample:
        """The moment with most migrations moving."""
        return max(self.samples, key=lambda each: each.moving)

    def _watch(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            try:
                self._look()
            except httpx.HTTPError as error:
                self.trouble = f"Nova did not answer the observer: {error}"

    def _look(self) -> None:
        answer = self._get("/os-migrations", **{"changes-since": self._began})
        states = [each["status"] for each in answer["migrations"] if each["source_compute"] == HOST]
        counted = {
            name: sum(state in wanted for state in states)
            for name, wanted in (("moving", MOVES), ("waiting", WAITS), ("failed", FAILED))
        }
        done = states.count("completed")
        self.samples.append(Sample(time.time(), done=done, **counted))
        nothing_moves = counted["moving"] + counted["waiting"] == 0
        if (
            nothing_moves
            and self.empty_at is None
            and not self._get("/servers", all_tenants="1", host=HOST)["servers"]
        ):
            self.empty_at = time.time()

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        return dict(answer.json())
