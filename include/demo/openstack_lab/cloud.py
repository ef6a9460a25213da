"""The lab's OpenStack as an administrator sees it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from openstack_lab.lab import CLOUD, LabError

MICROVERSION = "2.74"
PATIENCE = 600  # seconds for what the lab does in a few, when its machine has time


@dataclass(frozen=True)
class Instance:
    """A Nova server: where it is and how it is."""

    id: str
    name: str
    host: str | None
    status: str
    task_state: str | None

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Instance:
        return cls(
            id=found["id"],
            name=found["name"],
            host=found["OS-EXT-SRV-ATTR:host"],
            status=found["status"],
            task_state=found["OS-EXT-STS:task_state"],
        )


class Cloud:
    """What the demo and the tests need of Nova, Glance and Keystone, and nothing else."""

    def __init__(self, clouds_yaml: Path) -> None:
        self.changed_by: set[str] = set()  # Nova's ids of the requests that change something
        config = OpenStackConfig(config_files=[str(clouds_yaml)])
        self.connection = Connection(config=config.get_one(CLOUD))

    def instances(self, host: str | None = None) -> list[Instance]:
        """Every instance of every project, or those of one host, by name."""
        query = "&host=" + host if host else ""
        found = self._nova("GET", f"/servers/detail?all_tenants=1{query}")["servers"]
        return sorted((Instance.from_json(s) for s in found), key=lambda i: i.name)

    def find_instance(self, name: str) -> Instance | None:
        return next((i for i in self.instances() if i.name == name), None)

    def instance(self, instance_id: str) -> Instance:
        return Instance.from_json(self._nova("GET", f"/servers/{instance_id}")["server"])

    def delete(self, instances: Iterable[Instance], timeout: float = PATIENCE) -> None:
        """Delete instances, whatever state they are in, and wait until they are gone."""
        gone = {instance.id for instance in instances}
        for instance_id in gone:
            self._nova("DELETE", f"/servers/{instance_id}", may_be_gone=True)
        self._wait(
            lambda: not gone & {instance.id for instance in self.instances()},
            timeout,
            f"{len(gone)} instances were to be deleted and some are still there",
        )

    def wait_for_status(self, instance_id: str, status: str, timeout: float = PATIENCE) -> Instance:
        """Wait until an instance has this status and no task is under way."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.instance(instance_id)
            if found.status == status and found.task_state is None:
                return found
            if found.status == "ERROR" or time.monotonic() > deadline:
                raise LabError(
                    f"Instance {found.name} is {found.status} ({found.task_state}) and should "
                    f"have become {status} within {timeout:.0f} s."
                )
            time.sleep(0.5)

    def service(self, host: str) -> dict[str, Any]:
        """A host's nova-compute service: status, state, disabled_reason, updated_at, ..."""
        path = f"/os-services?binary=nova-compute&host={host}"
        services: list[dict[str, Any]] = self._nova("GET", path)["services"]
        if len(services) != 1:
            raise LabError(f"Nova lists {len(services)} nova-compute services for {host}, not one.")
        return services[0]

    def services(self) -> dict[str, dict[str, Any]]:
        """Every nova-compute service, by its host."""
        found = self._nova("GET", "/os-services?binary=nova-compute")["services"]
        return {service["host"]: service for service in found}

    def compute_hosts(self) -> list[str]:
        return sorted(self.services())

    def enable(self, host: str) -> None:
        self._set_service(host, {"status": "enabled"})

    def disable(self, host: str, reason: str) -> None:
        self._set_service(host, {"status": "disabled", "disabled_reason": reason})

    def wait_until_enabled_and_up(self, hosts: Iterable[str], timeout: float = PATIENCE) -> None:
        wanted = list(hosts)
        self._wait(
            lambda: all(self._is_enabled_and_up(host) for host in wanted),
            timeout,
            f"{', '.join(wanted)} should all be enabled and up",
        )

    def migrations(self, host: str | None = None) -> list[dict[str, Any]]:
        """Every migration that Nova knows, or those from or to one host."""
        found = self._nova("GET", "/os-migrations" + (f"?host={host}" if host else ""))
        return list(found["migrations"])

    def actions(self, instance_id: str) -> list[dict[str, Any]]:
        """What was asked of an instance, deleted or not: action, request_id, start_time, ..."""
        found = self._nova("GET", f"/servers/{instance_id}/os-instance-actions", may_be_gone=True)
        return list(found.get("instanceActions", []))

    def events_of(self, instance_id: str, request_id: str) -> list[dict[str, Any]]:
        """The steps of one of these actions: event, start_time, finish_time, ..."""
        path = f"/servers/{instance_id}/os-instance-actions/{request_id}"
        found = self._nova("GET", path, may_be_gone=True)
        return list(found.get("instanceAction", {}).get("events", []))

    def act(self, instance_id: str, body: dict[str, Any], microversion: str = MICROVERSION) -> None:
        """Ask Nova for an action of an instance: `{"os-stop": None}`."""
        self._nova("POST", f"/servers/{instance_id}/action", body, microversion=microversion)

    def force_complete(self, instance_id: str, migration_id: int) -> None:
        """Ask Nova to end a live migration that runs, now."""
        path = f"/servers/{instance_id}/migrations/{migration_id}/action"
        self._nova("POST", path, {"force_complete": None})

    def wait_until_up(self, host: str, timeout: float = PATIENCE) -> None:
        """Wait until a host's nova-compute is up, enabled or not, and has a heartbeat from now on.

        Nova calls one that was stopped `up` for a while yet.
        """
        before = self.service(host)["updated_at"]

        def is_up() -> bool:
            service = self.service(host)
            return bool(service["state"] == "up" and service["updated_at"] != before)

        self._wait(is_up, timeout, f"{host} should be up")

    def free_forgotten_room(self) -> list[str]:
        """Take back in Placement what Nova forgot to, as it does where a nova-compute is killed.

        Only for a cloud without instances. Returns whose it was.
        """
        found = self._nova("GET", "/os-hypervisors")["hypervisors"]
        placement = self.connection.placement
        freed = []
        for provider in (each["id"] for each in found):
            answer = placement.get(f"/resource_providers/{provider}/allocations")
            for consumer in answer.json()["allocations"]:
                placement.delete(f"/allocations/{consumer}")
                freed.append(consumer)
        return freed

    def _is_enabled_and_up(self, host: str) -> bool:
        service = self.service(host)
        return (service["status"], service["state"]) == ("enabled", "up")

    def _set_service(self, host: str, body: dict[str, str]) -> None:
        self._nova("PUT", f"/os-services/{self.service(host)['id']}", body)

    def _nova(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        microversion: str = MICROVERSION,
        may_be_gone: bool = False,
    ) -> dict[str, Any]:
        answer = self.connection.compute.request(
            path,
            method,
            json=body,
            microversion=microversion,
            raise_exc=False,
            timeout=60,
            # A connection that was idle for long may be closed at the very moment of its next use.
            connect_retries=3 if method == "GET" else 0,
        )
        if method != "GET":
            self.changed_by.add(answer.headers.get("x-openstack-request-id", ""))
        if answer.status_code == 404 and may_be_gone:
            return {}
        if answer.status_code >= 400:
            raise LabError(f"Nova answered {answer.status_code} to {method} {path}: {answer.text}")
        return dict(answer.json()) if answer.content else {}

    def _wait(self, reached: Callable[[], bool], timeout: float, wanted: str) -> None:
        deadline = time.monotonic() + timeout
        while not reached():
            if time.monotonic() > deadline:
                raise LabError(f"After {timeout:.0f} s: {wanted}.")
            time.sleep(0.5)
