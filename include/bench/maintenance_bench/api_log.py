"""What reached nova-api, from its own access log: who asked what, and when the drain began."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from maintenance_bench.observer import OBSERVER_ID
from openstack_lab import Lab

FILE = "/var/log/nova/nova-api.log"
LINE = re.compile(
    r'^(?P<time>\S+ \S+) .*requestlog \[(?P<ids>[^]]*)\] \S+ "(?P<method>[A-Z]+) (?P<path>\S+)"'
    r"( status: (?P<status>\d+))?"
)
OBSERVED = ("/v2.1/os-migrations", "/v2.1/servers")
# Ids, and instances that a client looks for by their names.
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/servers/)(?!detail$)[^/]+")


@dataclass(frozen=True)
class ApiRequest:
    """One request as nova-api logged it when it had answered."""

    at: float
    method: str
    path: str  # ids replaced, no query
    status: int = 0

    @property
    def what(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class ApiLog:
    """nova-api's log of one lab, from where it ended when this was made."""

    lab: Lab
    begins: int

    @classmethod
    def from_now(cls, lab: Lab) -> ApiLog:
        return cls(lab, int(lab.ssh("ctl01", f"sudo stat -c %s {FILE}")))

    def requests(self) -> list[ApiRequest]:
        """Everybody's requests since then but the observer's."""
        text = self.lab.ssh("ctl01", f"sudo tail -c +{self.begins + 1} {FILE}", timeout=60)
        return list(parse(text.splitlines()))


def parse(lines: Iterable[str]) -> Iterable[ApiRequest]:
    for line in lines:
        found = LINE.match(line)
        if found is None:
            continue
        path = found["path"].partition("?")[0].rstrip("/") or "/"
        # What needs no login is logged with the ids of whoever asked before.
        if found["ids"].startswith(OBSERVER_ID) and path in OBSERVED:
            continue
        at = datetime.strptime(found["time"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
        yield ApiRequest(
            at.timestamp(), found["method"], ID.sub("{id}", path), int(found["status"] or 0)
        )


def first_migration(requests: Iterable[ApiRequest]) -> float | None:
    """When the first migration was asked for, and accepted: check_host asks whether it may."""
    action = "POST /v2.1/servers/{id}/action"
    asked = (each.at for each in requests if (each.what, each.status) == (action, 202))
    return min(asked, default=None)


def counted(requests: Iterable[ApiRequest]) -> dict[str, int]:
    """How often each thing was asked, the most frequent first."""
    return dict(Counter(each.what for each in requests).most_common())
