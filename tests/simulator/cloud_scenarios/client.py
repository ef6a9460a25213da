"""A plain client of a cloud: it asks, waits, and writes down what it sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from openstack.connection import Connection

from cloud_scenarios.transcript import Entry, Names

OLD, MIDDLE, NEW = "2.60", "2.90", "2.104"
PATIENCE = 600.0
# Statuses in which a migration waits for nobody but Nova.
_UNDER_WAY = {
    *("accepted", "queued", "preparing", "running", "pre-migrating", "migrating"),
    *("post-migrating", "confirming", "reverting"),
}


class Ground(Protocol):
    """What is done to a cloud behind its APIs."""

    poll: float  # seconds between two looks

    def migrations_fail(self, host: str, name: str) -> None: ...

    def migrations_are_refused(self, host: str, name: str) -> None: ...

    def kill_nova_compute(self, host: str) -> None: ...

    def start_nova_compute(self, host: str) -> None: ...

    def reboot(self, host: str) -> None: ...


class Client:
    """``here``: the host that a scenario's instances are on; ``there``: where they go.

    ``entries``: what it has seen so far.
    """

    def __init__(
        self, name: str, connection: Connection, ground: Ground, here: str, there: str
    ) -> None:
        self.name = name
        self.ground = ground
        self.here, self.there = here, there
        self.entries: list[Entry] = []
        self._names = Names()
        self._connection = connection
        self._mine: set[str] = set()  # ids of instances and migrations
        self._groups: set[str] = set()

    # -- asking

    def ask(
        self, method: str, path: str, body: Any = None, *, version: str = NEW, **more: Any
    ) -> Any:
        """One request to Nova, written down with its answer; returns the answer's body."""
        return self._ask("compute", method, path, body, version, **more)

    def get(self, path: str, version: str = NEW) -> Any:
        """A GET of Nova."""
        return self.ask("GET", path, version=version)

    def act(self, server: str, body: Any, version: str = NEW) -> Any:
        """An action of a server."""
        return self.ask("POST", f"/servers/{server}/action", body, version=version)

    def place(self, path: str, version: str = "1.36", **more: Any) -> Any:
        """A GET of Placement."""
        return self._ask("placement", "GET", path, None, version, **more)

    def _ask(
        self, service: str, method: str, path: str, body: Any, version: str, **more: Any
    ) -> Any:
        status, found = self._request(service, method, path, body, version, **more)
        self._learn(found)
        entry: Entry = {"asked": f"{method} {path}", "version": version}
        if body is not None:
            entry["sent"] = body
        entry |= {"status": status, "body": self._only_mine(found)}
        self.entries.append(self._names.of(entry))
        return found

    def quietly(
        self, method: str, path: str, body: Any = None, service: str = "compute", version: str = NEW
    ) -> Any:
        """One request that is not written down: what a scenario needs beforehand."""
        found = self._request(service, method, path, body, version)[1]
        self._learn(found)
        return found

    def _request(
        self, service: str, method: str, path: str, body: Any, version: str, **more: Any
    ) -> tuple[int, Any]:
        proxy = getattr(self._connection, service)
        answer = proxy.request(
            path, method, json=body, microversion=version, raise_exc=False, timeout=90, **more
        )
        try:
            return answer.status_code, answer.json() if answer.content else None
        except ValueError:
            return answer.status_code, answer.text

    # -- what is this scenario's own, on a cloud that plays others at the same time

    def _learn(self, found: Any) -> None:
        if not isinstance(found, dict):
            return
        if "server_group" in found:
            self._groups.add(found["server_group"]["id"])
        for row in found.get("migrations", ()):
            if row.get("instance_uuid") in self._mine and "uuid" in row:
                self._mine.add(row["uuid"])

    def _only_mine(self, found: Any) -> Any:
        if not isinstance(found, dict):
            return found
        found = dict(found)
        for key, owner in (("servers", "id"), ("migrations", "instance_uuid")):
            rows = found.get(key)
            if isinstance(rows, list):
                kept = [row for row in rows if row.get(owner, row.get("server_uuid")) in self._mine]
                found[key] = kept
        held = found.get("allocations")
        if isinstance(held, dict) and "resource_provider_generation" in found:
            found["allocations"] = {each: held[each] for each in sorted(held) if each in self._mine}
        groups = found.get("server_groups")
        if isinstance(groups, list):
            found["server_groups"] = [row for row in groups if row["id"] in self._groups]
        return found

    # -- instances

    def flavor(self, ram: int) -> str:
        """A flavor with so many MiB, 1 CPU and 1 GiB of disk; its id."""
        name = f"conform-{ram}"
        wanted = {"id": name, "name": name, "ram": ram, "disk": 1, "vcpus": 1}
        self.quietly("POST", "/flavors", {"flavor": wanted})
        return name

    def wanted(self, name: str, host: str | None, ram: int = 64) -> dict[str, Any]:
        """The body that asks for a new instance."""
        images = self.quietly("GET", "/images?status=active", service="image", version="2.0")
        server = {
            "name": f"{self.name}-{name}",
            "imageRef": images["images"][0]["id"],
            "flavorRef": self.flavor(ram),
            "networks": "none",
        }
        return {"server": server if host is None else {**server, "host": host}}

    def instance(
        self, name: str, host: str | None = None, ram: int = 64, group: str | None = None
    ) -> str:
        """An instance that runs; its id."""
        body = self.wanted(name, host or self.here, ram)
        if group:
            body["os:scheduler_hints"] = {"group": group}
        deadline = time.monotonic() + PATIENCE
        while True:
            made = str(self.quietly("POST", "/servers", body)["server"]["id"])
            if self._is_built(made):
                self.adopt(made)
                return made
            # A machine with much to do: Nova takes a host that reports late for down.
            self.quietly("DELETE", f"/servers/{made}")
            assert time.monotonic() < deadline, f"{host or self.here} takes no instance"

    def _is_built(self, server: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while True:
            status = self.quietly("GET", f"/servers/{server}")["server"]["status"]
            if status != "BUILD":
                return bool(status == "ACTIVE")
            assert time.monotonic() < deadline, f"{server} is not built"
            time.sleep(self.ground.poll)

    def adopt(self, server: str) -> None:
        """From now on this instance is the scenario's."""
        self._mine.add(server)
        self._names.of(server)  # numbered by when it was made, whatever order lists have

    def off(self, server: str) -> str:
        """Stop an instance, unseen."""
        self.quietly("POST", f"/servers/{server}/action", {"os-stop": None})
        self.until(server, lambda found: found["status"] == "SHUTOFF")
        return server

    def until(self, server: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for an instance, unseen."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.quietly("GET", f"/servers/{server}")["server"]
            if is_so(found) and found["OS-EXT-STS:task_state"] is None:
                return
            is_late = time.monotonic() > deadline
            assert not is_late and found["status"] != "ERROR", f"{server} is {found}"
            time.sleep(self.ground.poll)

    def delete_all(self) -> None:
        """Leave nothing behind."""
        servers = [each for each in self._mine if self._is_server(each)]
        for each in servers:
            self.quietly("DELETE", f"/servers/{each}")
        deadline = time.monotonic() + PATIENCE
        while any(self._is_server(each) for each in servers):
            assert time.monotonic() < deadline, f"{servers} are still there"
            time.sleep(self.ground.poll)
        for group in self._groups:
            self.quietly("DELETE", f"/os-server-groups/{group}")

    def _is_server(self, each: str) -> bool:
        return self._request("compute", "GET", f"/servers/{each}", None, NEW)[0] == 200

    # -- watching

    def watch(self, server: str, until: str = "rest") -> dict[str, Any] | None:
        """Look again and again, and write down each state of an instance and its migrations.

        ``until``: ``rest``, ``gone``, the status of its newest migration, or of the instance.
        Returns the newest migration, if any.
        """
        seen: dict[str, list[Any]] = {"server": []}
        deadline = time.monotonic() + PATIENCE
        while True:
            migrations = self.migrations(server)
            status, found = self._request("compute", "GET", f"/servers/{server}", None, NEW)
            row = found["server"] if status == 200 else {}
            _note(seen, "server", _state(row) if row else ["gone"])
            for number, each in enumerate(migrations, 1):
                _note(seen, f"move {number}", _course(each))
            newest = migrations[-1] if migrations else None
            if _is_reached(until, row, newest):
                break
            assert time.monotonic() < deadline, f"{self.name}: not {until}: {seen}"
            time.sleep(self.ground.poll)
        entry = {"watched": server, "until": until, "seen": seen}
        self.entries.append(self._names.of(entry))
        return newest

    def migrations(self, server: str) -> list[dict[str, Any]]:
        """All migrations of an instance, the oldest first, unseen."""
        rows = self.quietly("GET", f"/os-migrations?instance_uuid={server}")["migrations"]
        return sorted(rows, key=lambda row: int(row["id"]))

    def history(self, server: str, version: str = NEW) -> None:
        """The actions of an instance, and the events of the newest, once all are over."""
        path = f"/servers/{server}/os-instance-actions"
        deadline = time.monotonic() + 30
        while not self._is_written(path):
            assert time.monotonic() < deadline, f"{path} has events without an end"
            time.sleep(self.ground.poll)
        newest = self.get(path, version)["instanceActions"][0]
        self.get(f"{path}/{newest['request_id']}", version)

    def _is_written(self, path: str) -> bool:
        newest = self.quietly("GET", path)["instanceActions"][0]
        action = self.quietly("GET", f"{path}/{newest['request_id']}")["instanceAction"]
        return all(each["finish_time"] for each in action["events"])


def _note(seen: dict[str, list[Any]], what: str, state: list[Any]) -> None:
    states = seen.setdefault(what, [])
    if not states or states[-1] != state:
        states.append(state)


def _state(row: dict[str, Any]) -> list[Any]:
    return [
        f"server {row['status']}",
        row["OS-EXT-STS:vm_state"],
        row["OS-EXT-STS:task_state"],
        row["OS-EXT-STS:power_state"],
        row["OS-EXT-SRV-ATTR:host"],
    ]


def _course(row: dict[str, Any]) -> list[Any]:
    return [row["status"], row["migration_type"], row["source_compute"], row["dest_compute"]]


def _is_reached(until: str, row: dict[str, Any], newest: dict[str, Any] | None) -> bool:
    if until == "gone":
        return not row
    if until == "rest":
        course = newest["status"] if newest is not None else ""
        vm_state = row.get("OS-EXT-STS:vm_state")
        is_settled = vm_state != "building" and (vm_state != "resized" or course == "finished")
        is_idle = course not in _UNDER_WAY and is_settled
        return bool(row) and row["OS-EXT-STS:task_state"] is None and is_idle
    if newest is not None and newest["status"] == until:
        return True
    return bool(row) and row["status"] == until and row["OS-EXT-STS:task_state"] is None
