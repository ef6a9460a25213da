"""Nova: its services, instances and migrations; hosts are in `nova_fleet`, orders in `nova_orders`.

Source: https://docs.openstack.org/api-ref/compute/ (microversions are negotiated by
openstacksdk; 2.60, Queens, is the oldest that this project works with).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from openstack_maintenance.adapters.api_answers import (
    Row,
    Unreadable,
    object_in,
    rows_in,
)
from openstack_maintenance.adapters.cloud_errors import NotThere, Refused
from openstack_maintenance.adapters.compute_api import COMPUTE
from openstack_maintenance.adapters.nova_fleet import NovaFleet
from openstack_maintenance.adapters.nova_orders import NovaOrders
from openstack_maintenance.adapters.nova_rows import (
    HOST,
    read_failure,
    read_instance,
    read_left,
    read_migration,
    read_service,
)
from openstack_maintenance.adapters.rights_probe import missing_rights
from openstack_maintenance.adapters.scheduler_probe import scheduler_round_trip
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import ComputeService, Instance, Migration
from openstack_maintenance.domain.drain.left_behind import IDLE, may_be_left_behind
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.holders import Holder
from openstack_maintenance.domain.host.rights import (
    ALL_FILTERS,
    SEE_HOST,
    Needed,
    missing_blocker,
    right_remedy,
)

# The newest format of each list that this project has seen.
_SERVICES = (2, 69)
_SERVERS = (2, 100)
_MIGRATIONS = (2, 80)
_ACTIONS = (2, 84)
# What decides whether a guest runs, and is not asked for by an operator who empties a host.
_OWNERS = frozenset(
    {"start", "stop", "reboot", "pause", "unpause", "suspend", "resume", "shelve", "unshelve"}
    | {"delete", "softDelete", "restore", "rebuild", "rescue", "unrescue", "resize"}
)


class Nova(NovaFleet, NovaOrders):
    """One cloud's compute API. Thread-safe for reads; every call may take a minute."""

    def services(self, binary: str | None = None, host: str | None = None) -> list[ComputeService]:
        """All services, or those of one binary such as nova-compute, and of one host.

        Nova filters what all cells have said: of a silent cell it says the same with a filter as
        without. Source: ServiceController._get_services, Liberty to Nova 34.
        """
        query = {"binary": binary} if binary else {}
        if host:
            query["host"] = host
        return self._list("/os-services", "services", read_service, _SERVICES, query)

    @property
    def shows_silent_cells(self) -> bool:
        """Whether `services` has the hosts of a cell that does not answer. Raises: CloudError."""
        with self._errors(COMPUTE):
            return self._newest() >= _SERVICES

    def find_service(self, host: str) -> ComputeService | None:
        """The nova-compute service of a host; None where there is none.

        Raises: CloudError, also where nobody can know: see `shows_silent_cells`.
        """
        rows = self.services("nova-compute", host)
        found = next((row for row in rows if row.host == host), None)
        if found is None and not self.shows_silent_cells:
            raise CloudError(
                f"host {host}",
                "Nova does not list its nova-compute: it was deleted, or its cell does not answer "
                "(a Nova older than 2.69 leaves out the hosts of such a cell)",
                "See `openstack compute service list`. When it is there again, clear the failed "
                "task.",
            )
        return found

    def get_service(self, host: str) -> ComputeService:
        """The nova-compute service of a host. Raises: NotThere; CloudError."""
        service = self.find_service(host)
        if service is None:
            raise NotThere(
                f"host {host}",
                "Nova lists no nova-compute service on it",
                "See `openstack compute service list`.",
            )
        return service

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

    def secrets(self) -> set[str]:
        """What must never be repeated: passwords, secrets and the token, as far as known."""
        return self._session.secrets()

    def ask_scheduler(self, name: str) -> dict[str, Any]:
        """A round trip to a scheduler and back; see `scheduler_probe`. Raises: CloudError."""
        with self._errors("scheduler round trip"):
            return scheduler_round_trip(self._cloud, name, self._session.secrets)

    def without_left_behind(self, rows: Iterable[Migration]) -> list[Migration]:
        """Leave out what deleted instances have left: Nova lists that as moving for ever.

        Asks for the instances of what was not touched for long. Raises: CloudError.
        """
        now, found = self.now(), []
        for row in rows:
            is_odd = may_be_left_behind(row, now) and now - row.updated_at > IDLE
            if not (is_odd and self.find_instance(row.instance_id) is None):
                found.append(row)
        return found

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

    def left_to_copy(self, migration: Migration) -> int | None:
        """The bytes of RAM and disks that a running live migration has still to copy.

        None where Nova does not say it (its driver does not, or the migration has just ended).
        Source: GET /servers/{id}/migrations, from microversion 2.23; it lists those in progress.
        """
        subject = f"instance {migration.instance_id}"
        path = f"/servers/{_quoted(migration.instance_id)}/migrations"
        with self._errors(subject):
            rows = rows_in(self._get(path, {}, _MIGRATIONS, subject), "migrations")
            found = {each.number("id"): each for each in map(_migration, rows)}
            return read_left(found[migration.id]) if migration.id in found else None

    def unconfirmed(self, host: str) -> list[Migration]:
        """Resizes and cold migrations from or to a host that wait for their confirmation."""
        query = {"host": host, "status": "finished"}
        path = "/os-migrations"
        return self._list(path, "migrations", read_migration, _MIGRATIONS, query, marker="uuid")

    def holders(self, consumers: Iterable[str], host: str, since: datetime) -> list[Holder]:
        """Who the consumers of a host's room in Placement are. Raises: CloudError.

        ``since``: migrations that changed after it are known, and those that wait for their
        confirmation, whenever that was.
        """
        known = sorted(consumers)
        if not known:
            return []
        rows = [*self.migrations(since), *self.unconfirmed(host)]
        migrations = {each.uuid: each for each in rows if each.uuid}
        return [self._holder(each, migrations.get(each)) for each in known]

    def _holder(self, consumer: str, migration: Migration | None) -> Holder:
        instance = self.find_instance(migration.instance_id if migration else consumer)
        return Holder(consumer, instance, migration)

    def missing_rights(self, needed: Iterable[Needed]) -> list[Blocker]:
        """Which of these rights the credentials do not have; changes nothing. Raises: CloudError.

        One request a right; see `rights_probe`.
        """
        with self._errors("rights of the credentials"):
            found = missing_rights(self._compute, needed, self._session.secrets)
        return [missing_blocker(self.name, *each) for each in found]

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


def _migration(values: Mapping[str, Any]) -> Row:
    return Row("migrations", values)


def _quoted(part: str) -> str:
    return quote(part, safe="")
