"""What Nova and Placement say of hosts: hypervisors, aggregates, groups, and the room there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openstack_maintenance.adapters.api_answers import MOST_PAGES, Row, Unreadable, rows_in
from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.compute_api import COMPUTE, ComputeApi
from openstack_maintenance.adapters.nova_rows import read_hypervisor
from openstack_maintenance.adapters.placement import (
    capacities_of,
    consumers_of,
    providers_with_room,
    traits_of,
)
from openstack_maintenance.domain.cloud import Hypervisor
from openstack_maintenance.domain.drain.affinity import AffinityGroup
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.nights.fleet import Size

# The newest format of each list that this project has seen.
_HYPERVISORS = (2, 88)
_AGGREGATES = (2, 81)
_GROUPS = (2, 64)


@dataclass(frozen=True)
class HardGroups:
    """Server groups that the scheduler enforces. ``apart``: the group's id by instance."""

    apart: dict[str, str]
    together: tuple[AffinityGroup, ...]


def _policies_of(group: Row) -> tuple[str | None, ...]:
    """`policies`, a list, before microversion 2.64. A soft policy has another name."""
    return group.find_name("policy"), *group.find_names("policies")


def _most_on_a_host(group: Row) -> int:
    rules = group.part("rules") if group.has("rules") else None
    return (rules.find_number("max_server_per_host") if rules else None) or 1


class NovaFleet(ComputeApi):
    """What is known of all hosts, and of the room on them."""

    def find_hypervisor(self, host: str) -> Hypervisor | None:
        """The hypervisor record of a compute host."""
        try:
            named = self._hypervisors({"hypervisor_hostname_pattern": host})
        except NotThere:
            named = []  # Nova answers 404 when no hypervisor's name contains the host's.
        found = next((each for each in named if each.host == host), None)
        # Its name may be another than the host's, and contained in that of another hypervisor.
        return found or next((each for each in self.hypervisors() if each.host == host), None)

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
        return self.hard_groups().apart

    def one_a_host_groups(self) -> dict[str, str]:
        """Of `anti_affinity_groups` those that allow one member a host, not several (as of 2.64).

        Raises: CloudError.
        """
        with self._errors(COMPUTE):
            return {
                instance_id: row.id("id")
                for row in self._server_groups()
                if "anti-affinity" in _policies_of(row) and _most_on_a_host(row) == 1
                for instance_id in row.find_names("members")
            }

    def affinity_groups(self) -> tuple[AffinityGroup, ...]:
        """The groups whose members must be on one host. Raises: CloudError."""
        return self.hard_groups().together

    def hard_groups(self) -> HardGroups:
        """The groups of both kinds, read once. Raises: CloudError."""
        with self._errors(COMPUTE):
            rows = [(row, _policies_of(row)) for row in self._server_groups()]
            return HardGroups(
                apart={
                    instance_id: row.id("id")
                    for row, policies in rows
                    if "anti-affinity" in policies
                    for instance_id in row.find_names("members")
                },
                together=tuple(
                    AffinityGroup(
                        row.id("id"),
                        row.words("name") or row.id("id"),
                        frozenset(row.find_names("members")),
                    )
                    for row, policies in rows
                    if "affinity" in policies
                ),
            )

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

    def consumers(self, hypervisor_id: str) -> frozenset[str]:
        """Ids of the instances and migrations that hold room on a hypervisor.

        Placement does not live in the host's cell: it answers where the cell does not.
        Raises: CloudError; Refused, where Placement does not have the hypervisor.
        """
        with self._errors("placement API"):
            found = consumers_of(self._cloud.placement, hypervisor_id)
        if found is None:
            raise Refused(
                f"hypervisor {hypervisor_id}",
                "Placement has no resource provider of that id, so what is on the host cannot be "
                "proven",
                "See `openstack resource provider list` and the log of nova-compute, which makes "
                "it.",
            )
        return found

    def hosts_with_room(self, need: Need) -> frozenset[str]:
        """Ids of the hypervisors that have room for ``need``, disabled ones left out."""
        with self._errors("placement API"):
            return providers_with_room(self._cloud.placement, need)
