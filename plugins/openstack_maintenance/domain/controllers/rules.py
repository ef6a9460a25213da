"""What forbids a controller's maintenance: each rule reads facts and names its blockers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.checks.checked import Checked
from openstack_maintenance.domain.checks.cluster_rules import is_galera
from openstack_maintenance.domain.checks.controller_facts import SeenController
from openstack_maintenance.domain.controllers.plan import runs
from openstack_maintenance.domain.deployment import Service

# Without the last of these nobody can use the cloud's APIs, or no request gets through.
_NEEDED_ROLES = ("database", "broker", "api")


def masked_blockers(
    host: str, wanted: Sequence[Service], controller: SeenController
) -> list[Blocker]:
    """What was asked for by name and cannot be restarted there."""
    seen = {each.name: each.state for each in controller.services}
    return [
        Blocker(
            f"service {service.name} on {host}",
            "is masked: somebody forbade it to start",
            f"Ask who did it. Then run `systemctl unmask {seen[service.name].name}` there, or "
            "leave it out.",
        )
        for service in wanted
        if seen[service.name].starts_at_boot.startswith("masked")
    ]


def redundancy_blocker(
    host: str, touched: Sequence[Service], seen: Mapping[str, SeenController], is_reboot: bool
) -> Blocker | None:
    """What would be gone from the cloud while the controller's services are down; None: nothing.

    ``seen``: all controllers that could be read; one that could not is no redundancy.
    """
    lost = _unlisted_database(host, touched, seen) if is_reboot else []
    for service in touched:
        if service.role not in _NEEDED_ROLES or not runs(seen[host], service.name):
            continue
        others = [each for name, each in seen.items() if name != host and runs(each, service.name)]
        if not others:
            lost.append(f"{service.name} (the last {_role(service)})")
        elif service.role == "broker":
            lost += _broker_quorum(service, seen[host])
        elif service.role == "database":
            lost += _database_quorum(service, seen[host])
    if not lost:
        return None
    return Blocker(
        f"controller {host}",
        f"maintaining it would leave the cloud without: {', '.join(lost)}",
        "Bring up another one first, or accept the outage with allow_outage=true.",
    )


def _unlisted_database(
    host: str, touched: Sequence[Service], seen: Mapping[str, SeenController]
) -> list[str]:
    """A database that the catalog does not list (the runbook's list has none) goes down as well."""
    answering = [name for name, each in seen.items() if each.database and each.database.answers]
    if host not in answering or any(service.role == "database" for service in touched):
        return []
    database = Service("the database on it", unit="mariadb", role="database")
    if answering == [host]:
        return [f"{database.name} (the last database)"]
    return _database_quorum(database, seen[host])


def _role(service: Service) -> str:
    return "API of its kind" if service.role == "api" else str(service.role)


def _broker_quorum(service: Service, controller: SeenController) -> list[str]:
    broker = controller.broker
    if broker is None or broker.error:
        return [f"{service.name} (its cluster could not be asked)"]
    members, left = len(broker.members), len(broker.running) - 1
    # Brokers that are no cluster stand in for each other: the other one that runs will do.
    if members > 1 and left * 2 <= members:
        return [f"{service.name} (only {left} of {members} cluster members would be left)"]
    return []


def _database_quorum(service: Service, controller: SeenController) -> list[str]:
    database = controller.database
    if database is None or not database.answers:
        return [f"{service.name} (it could not be asked)"]
    if not is_galera(database):
        return [f"{service.name} (not a cluster: the others do not have its data)"]
    size = database.galera.get("wsrep_cluster_size", "")
    if not size.isdigit() or (int(size) - 1) * 2 <= int(size):
        return [f"{service.name} (no majority of its {size or '?'} cluster nodes would be left)"]
    return []


def others_blockers(host: str, checked: Checked) -> list[Blocker]:
    """The other controllers that are not healthy, so that this one must stay in service."""
    return [
        Blocker(
            f"controller {other}",
            f"is not healthy, so {host} must stay in service: {faults}",
            "Fix it first. If it is gone for good, remove it from controllers in the policy.",
        )
        for other in checked.services
        if other != host and (faults := checked.service_faults(other))
    ]


def health_blockers(host: str, asked: Collection[str], checked: Checked) -> list[Blocker]:
    """What is not healthy, and so forbids to begin with ``host``.

    ``asked``: the services to be restarted there: they may be down, and so may be what the cloud
    says of itself for that reason.
    """
    blockers = others_blockers(host, checked)
    if own := checked.service_faults(host, but=asked):
        blockers.append(
            Blocker(
                f"controller {host}",
                f"is not healthy before its maintenance: {own}",
                "Fix it first, or restart these: name them in services with action=restart.",
            )
        )
    is_explained = checked.service_faults(host) != checked.service_faults(host, but=asked)
    if checked.cloud_faults and not is_explained:
        blockers.append(
            Blocker(
                "the cloud",
                f"is not healthy before the maintenance: {checked.cloud_faults}",
                "Fix it first: see include/runbooks/controller_checks.md.",
            )
        )
    return blockers


def one_machine_blockers(seen: Mapping[str, SeenController]) -> list[Blocker]:
    """Two names of the inventory that lead to one and the same machine."""
    by_boot: dict[str, list[str]] = {}
    for host, controller in seen.items():
        by_boot.setdefault(controller.boot_id, []).append(host)
    return [
        Blocker(
            f"controllers {', '.join(hosts)}",
            "are the same machine (same boot_id)",
            "Fix their addresses in the policy.",
        )
        for hosts in by_boot.values()
        if len(hosts) > 1
    ]
