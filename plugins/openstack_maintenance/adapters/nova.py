"""Nova, Keystone and their failures: reads facts, performs one action each.

Source: https://docs.openstack.org/api-ref/compute/ (microversions are negotiated by
openstacksdk; 2.60, Queens, is the oldest that this project works with).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import openstack
from openstack import exceptions as sdk_errors
from openstack.connection import Connection

from openstack_maintenance.adapters.cloud_errors import NotThere, Refused, in_one_sentence
from openstack_maintenance.adapters.nova_rows import (
    read_failure,
    read_hypervisor,
    read_instance,
    read_listed,
    read_migration,
    read_service,
)
from openstack_maintenance.adapters.placement import (
    capacities_of,
    providers_with_room,
    traits_of,
)
from openstack_maintenance.adapters.rights import missing_rights
from openstack_maintenance.adapters.scheduler_probe import scheduler_round_trip
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.capacity import Need
from openstack_maintenance.domain.cloud import ComputeService, Hypervisor, Instance, Migration
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.fleet import Size
from openstack_maintenance.domain.rights import (
    ALL_FILTERS,
    SEE_HOST,
    Needed,
    missing_blocker,
    right_remedy,
)

OLDEST = (2, 60)
_OLDEST_NAME = "Queens"
# One answer may take this long. Enabling or disabling the service of a host that does not answer
# takes Nova its own rpc_response_timeout, 60 s by default, before it answers.
_REQUEST_SECONDS = 90.0


class Nova:
    """One cloud's compute API. Thread-safe for reads; every call may take a minute."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """``name``: for messages. ``options``: arguments of ``openstack.connect``."""
        self.name = name
        self._options = {"api_timeout": _REQUEST_SECONDS, **options}
        self._connection: Connection | None = None
        self.clock_offset_seconds = 0.0

    @property
    def _cloud(self) -> Connection:
        if self._connection is None:
            self._connection = openstack.connect(app_name="openstack-maintenance", **self._options)
        return self._connection

    @property
    def _compute(self) -> Any:
        return self._cloud.compute

    def now(self) -> datetime:
        """The time by Nova's clock, from the Date of its last answer (to the second)."""
        return datetime.fromtimestamp(
            datetime.now(UTC).timestamp() + self.clock_offset_seconds, UTC
        )

    def check_version(self) -> str:
        """The newest microversion both sides know.

        Raises: CloudError when the cloud is older than Queens, or does not answer.
        """
        with self._errors("compute API"):
            endpoint = self._compute.get_endpoint_data()
            newest = endpoint.max_microversion if endpoint else None
        if newest is None or newest < OLDEST:
            found = ".".join(map(str, newest)) if newest else "no microversions"
            raise CloudError(
                f"cloud {self.name}",
                f"its Nova offers {found}, older than 2.60 ({_OLDEST_NAME})",
                "Maintain it by hand, or upgrade it first.",
            )
        return ".".join(map(str, newest))

    def services(self, binary: str | None = None) -> list[ComputeService]:
        """All services, or those of one binary such as nova-compute."""
        query = {"binary": binary} if binary else {}
        return [read_service(row) for row in self._read(lambda: self._compute.services(**query))]

    def find_service(self, host: str) -> ComputeService | None:
        """The nova-compute service of a host."""
        rows = self.services("nova-compute")
        return next((row for row in rows if row.host == host), None)

    def get_service(self, host: str) -> ComputeService:
        """The nova-compute service of a host. Raises: NotThere."""
        service = self.find_service(host)
        if service is None:
            raise NotThere(
                f"host {host}",
                "Nova knows no nova-compute there",
                "See openstack compute service list.",
            )
        return service

    def find_hypervisor(self, host: str) -> Hypervisor | None:
        """The hypervisor record of a compute host."""
        query = {"details": True, "hypervisor_hostname_pattern": host}
        try:
            rows = self._read(lambda: self._compute.hypervisors(**query))
        except NotThere:
            # Nova answers 404 when no hypervisor's name contains the host's.
            rows = self._read(self._all_hypervisors)
        found = [read_hypervisor(row) for row in rows]
        return next((each for each in found if each.host == host), None)

    def hypervisors(self) -> list[Hypervisor]:
        """The hypervisor records of all hosts. Raises: CloudError."""
        return [read_hypervisor(row) for row in self._read(self._all_hypervisors)]

    def aggregates(self) -> dict[str, frozenset[str]]:
        """The names of each host's aggregates, by host. Raises: CloudError."""
        of_host: dict[str, set[str]] = defaultdict(set)
        for row in self._read(self._compute.aggregates):
            for host in row.hosts or ():
                of_host[host].add(row.name)
        return {host: frozenset(names) for host, names in of_host.items()}

    def properties(self) -> dict[str, frozenset[str]]:
        """The metadata of each host's aggregates, ``KEY=VALUE``, by host. Raises: CloudError.

        A value with commas is several, as Nova's filters read it.
        """
        of_host: dict[str, set[str]] = defaultdict(set)
        for row in self._read(self._compute.aggregates):
            for host in row.hosts or ():
                of_host[host].update(
                    f"{key}={value.strip()}"
                    for key, values in (row.metadata or {}).items()
                    for value in values.split(",")
                )
        return {host: frozenset(found) for host, found in of_host.items()}

    def anti_affinity_groups(self) -> dict[str, str]:
        """The id of the anti-affinity group of each instance that is in one. Raises: CloudError.

        A group whose policy is "soft-anti-affinity" wishes, and forbids nothing: it is left out.
        Source: GET /os-server-groups; `policies`, a list, before microversion 2.64.
        """
        return {
            instance_id: row["id"]
            for row in self._server_groups()
            if "anti-affinity" in (row.get("policy"), *(row.get("policies") or ()))
            for instance_id in row.get("members") or ()
        }

    def _server_groups(self) -> list[dict[str, Any]]:
        """All of them. Nova gives at most osapi_max_limit (1000) at a time and, unlike elsewhere,
        no link to the rest, so that the SDK would end there: the next page is asked by offset.
        """
        found: list[dict[str, Any]] = []
        while True:
            query = {"all_projects": "True", "offset": str(len(found))}
            rows = self._get("/os-server-groups", query, newest=(2, 64))["server_groups"]
            if not rows:
                return found
            found += rows

    def capacities(self, hypervisor_ids: Iterable[str]) -> dict[str, Size]:
        """What may be allocated on each hypervisor, by id, as far as Placement has it.

        Raises: CloudError.
        """
        with self._errors("placement API"):
            return capacities_of(self._cloud.placement, hypervisor_ids)

    def traits(self, hypervisor_ids: Iterable[str]) -> dict[str, frozenset[str]]:
        """The traits of each hypervisor, by id, as far as Placement has it. Raises: CloudError."""
        with self._errors("placement API"):
            return traits_of(self._cloud.placement, hypervisor_ids)

    def instances_on(self, host: str) -> list[Instance]:
        """Every instance of every project that Nova places on a host.

        Raises: Refused, where Nova's answer is not about this host: to credentials that may not
        filter by host it lists all hosts' instances, without a word.
        """
        query = {"details": True, "all_projects": True, "compute_host": host}
        found = [read_instance(row) for row in self._read(lambda: self._compute.servers(**query))]
        if any(each.host != host for each in found):
            raise Refused(
                f"cloud {self.name}",
                f"asked for the instances on {host}, Nova lists others, or does not say where",
                right_remedy(f"{ALL_FILTERS.rule} and {SEE_HOST.rule}", self.name),
            )
        return found

    def instances(self) -> list[Instance]:
        """Every instance of every project. Raises: CloudError.

        Without the SDK's objects: of 20,000 instances they alone would cost minutes.
        """
        query, rows = {"all_tenants": "True"}, list[dict[str, Any]]()
        while True:
            page = self._get("/servers/detail", query, newest=(2, 100))
            rows += page["servers"]
            if not page.get("servers_links"):
                return [read_listed(row) for row in rows]
            query["marker"] = rows[-1]["id"]

    def ask_scheduler(self, name: str) -> dict[str, Any]:
        """A round trip to a scheduler and back; see `scheduler_probe`. Raises: CloudError."""
        with self._errors("scheduler round trip"):
            return scheduler_round_trip(self._cloud, name)

    def find_instance(self, instance_id: str) -> Instance | None:
        """One instance; None when it is deleted."""
        try:
            return self.get_instance(instance_id)
        except NotThere:
            return None

    def get_instance(self, instance_id: str) -> Instance:
        """One instance. Raises: NotThere."""
        with self._errors(f"instance {instance_id}"):
            return read_instance(self._compute.get_server(instance_id))

    def migrations(self, changes_since: datetime) -> list[Migration]:
        """All migrations of the cloud that changed since a time (UTC, by Nova's clock).

        Source: GET /os-migrations, changes-since from microversion 2.59.
        """
        since = changes_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = self._read(lambda: self._compute.migrations(changes_since=since))
        return sorted((read_migration(row) for row in rows), key=lambda each: each.id)

    def hosts_with_room(self, need: Need) -> frozenset[str]:
        """Ids of the hypervisors that have room for ``need``, disabled ones left out."""
        with self._errors("placement API"):
            return providers_with_room(self._cloud.placement, need)

    def missing_rights(self, needed: Iterable[Needed]) -> list[Blocker]:
        """Which of these rights the credentials do not have; changes nothing. Raises: CloudError.

        One request a right; see `adapters.rights`.
        """
        with self._errors("rights of the credentials"):
            found = missing_rights(self._compute, needed)
        return [missing_blocker(self.name, *each) for each in found]

    def disable(self, service: ComputeService, reason: str) -> None:
        """Take a nova-compute service out of scheduling, with a reason of at most 255."""
        with self._errors(f"host {service.host}"):
            self._compute.update_service(
                service.id, status="disabled", disabled_reason=reason[:255]
            )

    def enable(self, service: ComputeService) -> None:
        """Give a nova-compute service back to scheduling."""
        with self._errors(f"host {service.host}"):
            self._compute.update_service(service.id, status="enabled")

    def live_migrate(self, instance_id: str, destination: str | None, block_migration: str) -> None:
        """Ask for a live migration; Nova's scheduler checks a named destination, too."""
        flag = block_migration if block_migration == "auto" else block_migration == "true"
        with self._errors(f"instance {instance_id}"):
            # The SDK asks with 2.30: there Nova holds its answer back until the pre-check is done.
            answer = self._compute.post(
                f"/servers/{instance_id}/action",
                json={"os-migrateLive": {"host": destination, "block_migration": flag}},
                microversion="2.34",
            )
            sdk_errors.raise_from_response(answer)

    def cold_migrate(self, instance_id: str, destination: str | None) -> None:
        """Ask for a cold migration; it must be confirmed when it has arrived."""
        with self._errors(f"instance {instance_id}"):
            self._compute.migrate_server(instance_id, host=destination)

    def confirm(self, instance_id: str) -> None:
        """Confirm a cold migration that has arrived."""
        with self._errors(f"instance {instance_id}"):
            self._compute.confirm_server_resize(instance_id)

    def stop_guest(self, instance_id: str) -> None:
        """Shut a guest down, as its owner would."""
        with self._errors(f"instance {instance_id}"):
            self._compute.stop_server(instance_id)

    def start_guest(self, instance_id: str) -> None:
        """Start a guest that is SHUTOFF."""
        with self._errors(f"instance {instance_id}"):
            self._compute.start_server(instance_id)

    def abort(self, migration: Migration) -> None:
        """Abort a live migration: running from 2.24 on, queued or preparing from 2.65 on."""
        with self._errors(f"instance {migration.instance_id}"):
            self._compute.abort_server_migration(migration.id, migration.instance_id)

    def force_complete(self, migration: Migration) -> None:
        """Let a running live migration end at the cost of a pause of the guest."""
        with self._errors(f"instance {migration.instance_id}"):
            self._compute.force_complete_server_migration(migration.id, migration.instance_id)

    def why_it_failed(self, instance_id: str) -> str | None:
        """What Nova noted about an instance's newest failed action, in its words."""
        with self._errors(f"instance {instance_id}"):
            actions = list(self._compute.server_actions(instance_id))
            failed = next((each for each in actions if each.message), None)
            if failed is None:
                return None
            action = self._compute.get_server_action(failed.request_id, instance_id)
        return read_failure(action)

    def _all_hypervisors(self) -> Iterator[Any]:
        return iter(self._compute.hypervisors(details=True))

    def _get(self, path: str, query: Mapping[str, str], newest: tuple[int, int]) -> dict[str, Any]:
        """One answer as Nova sends it, in the newest format that both sides know."""
        with self._errors("compute API"):
            theirs = self._compute.get_endpoint_data().max_microversion or OLDEST
            version = ".".join(map(str, min(newest, theirs)))
            answer = self._compute.get(path, params=query, microversion=version)
            sdk_errors.raise_from_response(answer)
            return dict(answer.json())

    def _read(self, rows: Callable[[], Iterator[Any]]) -> list[Any]:
        with self._errors("compute API"):
            return list(rows())

    def _errors(self, subject: str) -> AbstractContextManager[None]:
        return in_one_sentence(self.name, subject)

    def read_clock(self) -> None:
        """Compare Nova's clock with ours, by the Date header of one cheap answer."""
        with self._errors("compute API"):
            answer = self._compute.get("/", raise_exc=False)
        date = answer.headers.get("Date")
        if date:
            theirs = parsedate_to_datetime(date).timestamp()
            self.clock_offset_seconds = theirs - datetime.now(UTC).timestamp()
