"""Nova, Keystone and their failures: reads facts, performs one action each.

Source: https://docs.openstack.org/api-ref/compute/ (microversions are negotiated by
openstacksdk; 2.60, Queens, is the oldest that this project works with).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from openstack import exceptions as sdk_errors

from openstack_maintenance.adapters.answers import (
    MOST_PAGES,
    Row,
    Unreadable,
    object_in,
    rows_in,
)
from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.compute_api import COMPUTE, ComputeApi
from openstack_maintenance.adapters.nova_rows import (
    HOST,
    read_failure,
    read_hypervisor,
    read_instance,
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
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import ComputeService, Hypervisor, Instance, Migration
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.host.rights import (
    ALL_FILTERS,
    SEE_HOST,
    Needed,
    missing_blocker,
    right_remedy,
)
from openstack_maintenance.domain.nights.fleet import Size

# The newest format of each list that this project has seen.
_SERVICES = (2, 69)
_HYPERVISORS = (2, 88)
_AGGREGATES = (2, 81)
_GROUPS = (2, 64)
_SERVERS = (2, 100)
_MIGRATIONS = (2, 80)
_ACTIONS = (2, 84)
# What decides whether a guest runs, and is not asked for by an operator who empties a host.
_OWNERS = frozenset(
    {"start", "stop", "reboot", "pause", "unpause", "suspend", "resume", "shelve", "unshelve"}
    | {"delete", "softDelete", "restore", "rebuild", "rescue", "unrescue", "resize"}
)


class Nova(ComputeApi):
    """One cloud's compute API. Thread-safe for reads; every call may take a minute."""

    def services(self, binary: str | None = None) -> list[ComputeService]:
        """All services, or those of one binary such as nova-compute."""
        query = {"binary": binary} if binary else {}
        return self._list("/os-services", "services", read_service, _SERVICES, query)

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
                "Nova lists no nova-compute service on it",
                "See `openstack compute service list`.",
            )
        return service

    def find_hypervisor(self, host: str) -> Hypervisor | None:
        """The hypervisor record of a compute host."""
        try:
            found = self._hypervisors({"hypervisor_hostname_pattern": host})
        except NotThere:
            # Nova answers 404 when no hypervisor's name contains the host's.
            found = self.hypervisors()
        return next((each for each in found if each.host == host), None)

    def hypervisors(self) -> list[Hypervisor]:
        """The hypervisor records of all hosts. Raises: CloudError."""
        return self._hypervisors({})

    def _hypervisors(self, query: Mapping[str, str]) -> list[Hypervisor]:
        path = "/os-hypervisors/detail"
        return self._list(path, "hypervisors", read_hypervisor, _HYPERVISORS, query)

    def aggregates(self) -> dict[str, frozenset[str]]:
        """The names of each host's aggregates, by host. Raises: CloudError."""
        of_host: dict[str, set[str]] = defaultdict(set)
        for name, hosts, _ in self._aggregates():
            for host in hosts:
                of_host[host].add(name)
        return {host: frozenset(names) for host, names in of_host.items()}

    def properties(self) -> dict[str, frozenset[str]]:
        """The metadata of each host's aggregates, ``KEY=VALUE``, by host. Raises: CloudError.

        A value with commas is several, as Nova's filters read it.
        """
        of_host: dict[str, set[str]] = defaultdict(set)
        for _, hosts, metadata in self._aggregates():
            for host in hosts:
                of_host[host].update(
                    f"{key}={value.strip()}"
                    for key, values in metadata.items()
                    for value in values.split(",")
                )
        return {host: frozenset(found) for host, found in of_host.items()}

    def _aggregates(self) -> list[tuple[str, list[str], dict[str, str]]]:
        def read(values: Mapping[str, Any]) -> tuple[str, list[str], dict[str, str]]:
            row = Row("aggregates", values)
            return row.name("name"), row.find_names("hosts"), row.find_texts("metadata")

        return self._list("/os-aggregates", "aggregates", read, _AGGREGATES, {})

    def anti_affinity_groups(self) -> dict[str, str]:
        """The id of the anti-affinity group of each instance that is in one. Raises: CloudError.

        A group whose policy is "soft-anti-affinity" wishes, and forbids nothing: it is left out.
        Source: GET /os-server-groups; `policies`, a list, before microversion 2.64.
        """
        with self._errors(COMPUTE):
            return {
                instance_id: row.id("id")
                for row in self._server_groups()
                if "anti-affinity" in (row.find_name("policy"), *row.find_names("policies"))
                for instance_id in row.find_names("members")
            }

    def _server_groups(self) -> list[Row]:
        """All of them. Nova gives at most osapi_max_limit (1000) at a time and, unlike elsewhere,
        no link to the rest, so that the SDK would end there: the next page is asked by offset.
        """
        found: dict[str, Row] = {}
        offset = 0
        for _ in range(MOST_PAGES):
            query = {"all_projects": "True", "offset": str(offset)}
            body = self._get("/os-server-groups", query, _GROUPS)
            rows = [Row("server_groups", each) for each in rows_in(body, "server_groups")]
            if not rows:
                return list(found.values())
            known, offset = len(found), offset + len(rows)
            found |= {row.id("id"): row for row in rows}
            if len(found) == known:
                break
        raise Unreadable("the pages of server_groups do not end")

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
        query = {"all_tenants": "True", "host": host}
        found = self._list("/servers/detail", "servers", read_instance, _SERVERS, query)
        if any(each.host != host for each in found):
            raise Refused(
                f"cloud {self.name}",
                f"Nova was asked for the instances on {host}, but it lists others, or does not "
                "show their hosts",
                right_remedy(f"{ALL_FILTERS.rule} and {SEE_HOST.rule}", self.name),
            )
        return found

    def instances(self) -> list[Instance]:
        """Every instance of every project.

        Raises: CloudError; Refused where the credentials are not shown where instances are.
        """
        query = {"all_tenants": "True"}
        return self._list("/servers/detail", "servers", self._placed, _SERVERS, query)

    def _placed(self, row: Mapping[str, Any]) -> Instance:
        """An instance of which no host means that it is on none. Raises: Refused, Unreadable."""
        found = read_instance(
            row
        )  # before HOST is asked for: a silent cell does not say it, either
        if HOST not in row:
            raise Refused(
                f"cloud {self.name}",
                f"Nova does not say on which host instance {found.id} is",
                right_remedy(SEE_HOST.rule, self.name),
            )
        return found

    def ask_scheduler(self, name: str) -> dict[str, Any]:
        """A round trip to a scheduler and back; see `scheduler_probe`. Raises: CloudError."""
        with self._errors("scheduler round trip"):
            return scheduler_round_trip(self._cloud, name, self._session.secrets)

    def find_instance(self, instance_id: str) -> Instance | None:
        """One instance; None when it is deleted."""
        try:
            return self.get_instance(instance_id)
        except NotThere:
            return None

    def get_instance(self, instance_id: str) -> Instance:
        """One instance. Raises: NotThere."""
        subject = f"instance {instance_id}"
        with self._errors(subject):
            body = self._get(f"/servers/{_quoted(instance_id)}", {}, _SERVERS, subject)
            found = self._placed(object_in(body, "server"))
            if found.id != instance_id:
                raise Unreadable(f"Nova was asked for {instance_id} and answered about {found.id}")
            return found

    def migrations(self, changes_since: datetime) -> list[Migration]:
        """All migrations of the cloud that changed since a time (UTC, by Nova's clock).

        Source: GET /os-migrations, changes-since from microversion 2.59.
        """
        since = changes_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"changes-since": since}
        found = self._list(
            "/os-migrations", "migrations", read_migration, _MIGRATIONS, query, marker="uuid"
        )
        return sorted(found, key=lambda each: each.id)

    def hosts_with_room(self, need: Need) -> frozenset[str]:
        """Ids of the hypervisors that have room for ``need``, disabled ones left out."""
        with self._errors("placement API"):
            return providers_with_room(self._cloud.placement, need)

    def missing_rights(self, needed: Iterable[Needed]) -> list[Blocker]:
        """Which of these rights the credentials do not have; changes nothing. Raises: CloudError.

        One request a right; see `adapters.rights`.
        """
        with self._errors("rights of the credentials"):
            found = missing_rights(self._compute, needed, self._session.secrets)
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

    def acted_since(self, instance_id: str, since: datetime) -> str | None:
        """What somebody else than this connection's user did last to a guest's power since a time.

        In words; None where it was this user, or nobody. What failed does not count, nor does a
        migration. Nova notes no user where a guest was shut down from inside.
        """
        subject = f"instance {instance_id}"
        with self._errors(subject):
            ours = self._cloud.current_user_id
            for row in self._actions(instance_id):
                by, what, at = row.find_name("user_id"), row.name("action"), row.time("start_time")
                if at < since or what not in _OWNERS or row.words("message"):
                    continue
                who = f"user {by} asked for" if by else "Nova itself noted a"
                return None if by == ours else f"{who} {what} at {at:%Y-%m-%d %H:%M:%S} UTC"
        return None

    def _actions(self, instance_id: str) -> list[Row]:
        """An instance's actions, newest first."""
        subject, path = f"instance {instance_id}", f"/servers/{_quoted(instance_id)}"
        body = self._get(f"{path}/os-instance-actions", {}, _ACTIONS, subject)
        return [Row("instanceActions", each) for each in rows_in(body, "instanceActions")]

    def why_it_failed(self, instance_id: str) -> str | None:
        """What Nova noted about an instance's newest failed action, in its words."""
        subject, path = f"instance {instance_id}", f"/servers/{_quoted(instance_id)}"
        with self._errors(subject):
            actions = self._actions(instance_id)
            failed = next((each for each in actions if each.words("message")), None)
            if failed is None:
                return None
            path = f"{path}/os-instance-actions/{failed.id('request_id')}"
            action = object_in(self._get(path, {}, _ACTIONS, subject), "instanceAction")
            message = Row("instanceAction", action).words("message")
            said = read_failure(rows_in({"events": action.get("events") or []}, "events"), message)
        return cleaned(said, self._session.secrets()) if said else None


def _quoted(part: str) -> str:
    return quote(part, safe="")
