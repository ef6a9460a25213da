"""Verdicts over what the controllers are together: broker, database, memcached, clocks."""

from __future__ import annotations

from collections.abc import Mapping

from openstack_maintenance.domain.checks.controller_facts import (
    Broker,
    Cache,
    Clock,
    Database,
    SeenController,
)
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.foreign_text import brief, brief_list, whole_number

# Tokens and heartbeats bear more, but clocks that are kept agree far better.
MOST_APART_SECONDS = 2.0
_GALERA_WANTED = {
    "wsrep_cluster_status": "Primary",
    "wsrep_local_state_comment": "Synced",
    "wsrep_connected": "ON",
    "wsrep_ready": "ON",
}


def judge_cluster(seen: Mapping[str, SeenController]) -> dict[str, list[Finding]]:
    """All verdicts of this module over controllers that were read, by the names of their checks."""
    return {
        "check_broker_cluster": judge_broker({host: each.broker for host, each in seen.items()}),
        "check_database": judge_database({host: each.database for host, each in seen.items()}),
        "check_memcached": judge_cache({host: each.cache for host, each in seen.items()}),
        "check_clocks": judge_clocks({host: each.clock for host, each in seen.items()}),
    }


def judge_broker(seen: Mapping[str, Broker | None]) -> list[Finding]:
    """One finding for each controller's view, and one where the views contradict each other."""
    asked = {host: broker for host, broker in seen.items() if broker is not None}
    if not asked:
        return [Finding("broker", "absent", "absent")]
    findings = [_broker(host, broker) for host, broker in asked.items()]
    views = {broker.running for broker in asked.values() if not broker.error}
    if len(views) > 1:
        told = "; ".join(
            f"{host} sees {', '.join(brief_list(broker.running))}"
            for host, broker in asked.items()
            if not broker.error
        )
        findings.append(Finding("broker cluster", "bad", f"split: {told}"))
    return findings


def _broker(host: str, broker: Broker) -> Finding:
    if broker.error:
        return Finding(f"broker on {host}", "bad", broker.error)
    missing = sorted(set(broker.members) - set(broker.running))
    faults = [f"{', '.join(brief_list(missing))} not running"] if missing else []
    faults += [f"partition: {each}" for each in brief_list(broker.partitions, longest=500)]
    faults += [f"alarm: {each}" for each in brief_list(broker.alarms)]
    count = f"{len(broker.running)} of {len(broker.members)} members running"
    if faults or not broker.running:
        return Finding(f"broker on {host}", "bad", "; ".join(faults or ["no member runs"]))
    return Finding(f"broker on {host}", "ok", f"{count}, no partitions, no alarms")


def judge_database(seen: Mapping[str, Database | None]) -> list[Finding]:
    """One finding for each database, and one where the nodes are not one cluster."""
    asked = {host: database for host, database in seen.items() if database is not None}
    if not asked:
        return [Finding("database", "absent", "absent")]
    findings = [_database(host, database, len(asked)) for host, database in asked.items()]
    clusters = {
        database.galera["wsrep_cluster_state_uuid"]
        for database in asked.values()
        if is_galera(database) and database.galera.get("wsrep_cluster_state_uuid")
    }
    if len(clusters) > 1:
        text = f"the nodes belong to {len(clusters)} different clusters"
        findings.append(Finding("database cluster", "bad", text))
    return findings


def is_galera(database: Database) -> bool:
    """Whether the database is a node of a Galera cluster."""
    # Without Galera, MariaDB shows these variables too: size 0, Disconnected.
    galera = database.galera
    size = galera.get("wsrep_cluster_size", "0")
    return size != "0" or galera.get("wsrep_cluster_state_uuid", "") != ""


def _database(host: str, database: Database, nodes: int) -> Finding:
    name = f"database on {host}"
    if not database.answers:
        return Finding(name, "bad", database.error or "it does not answer a query")
    if not is_galera(database):
        return Finding(name, "ok", "answers a query; not a cluster")
    galera = database.galera
    faults = [
        f"{key} is {brief(galera.get(key) or 'empty', 100)}, not {wanted}"
        for key, wanted in _GALERA_WANTED.items()
        if galera.get(key) != wanted
    ]
    size = galera.get("wsrep_cluster_size", "0")
    if (whole_number(size) or 0) < nodes:
        faults.append(f"the cluster has {brief(size, 100)} of at least {nodes} nodes")
    if faults:
        return Finding(name, "bad", "; ".join(faults))
    return Finding(name, "ok", f"answers a query; Galera synced, {size} nodes")


def judge_cache(seen: Mapping[str, Cache | None]) -> list[Finding]:
    """One finding for each memcached."""
    findings = [_cache(host, cache) for host, cache in seen.items() if cache is not None]
    return findings or [Finding("memcached", "absent", "absent")]


def _cache(host: str, cache: Cache) -> Finding:
    if cache.error:
        return Finding(f"memcached on {host}", "bad", f"does not answer: {cache.error}")
    return Finding(f"memcached on {host}", "ok", f"answers (version {cache.version})")


def judge_clocks(seen: Mapping[str, Clock]) -> list[Finding]:
    """Who keeps each controller's time, and whether the clocks agree with each other."""
    if not seen:
        return [Finding("time", "absent", "absent")]
    findings = [_time_service(host, clock) for host, clock in seen.items()]
    if len(seen) == 1:
        return findings
    # Each clock is known to lie between two bounds: only what is surely too far apart is bad.
    first = max(seen, key=lambda host: seen[host].ahead_at_least)
    last = min(seen, key=lambda host: seen[host].ahead_at_most)
    apart = seen[first].ahead_at_least - seen[last].ahead_at_most
    if apart > MOST_APART_SECONDS:
        text = f"{first} is at least {apart:.1f} s ahead of {last}"
        return [*findings, Finding("clocks", "bad", text)]
    spread = max(each.ahead_at_most for each in seen.values()) - min(
        each.ahead_at_least for each in seen.values()
    )
    if spread > 2 * MOST_APART_SECONDS:
        text = f"they were read too slowly to compare (within {spread:.1f} s)"
        return [*findings, Finding("clocks", "unknown", text)]
    return [*findings, Finding("clocks", "ok", f"agree within {max(spread, 0):.1f} s")]


def _time_service(host: str, clock: Clock) -> Finding:
    name = f"time service on {host}"
    if not clock.service:
        return Finding(name, "absent", "absent")
    if clock.service_state != "active":
        return Finding(name, "bad", f"{clock.service} is {clock.service_state}")
    if clock.synchronised is None:
        return Finding(name, "unknown", f"{clock.service} is active; the kernel was not asked")
    if not clock.synchronised:
        return Finding(name, "bad", f"{clock.service} is active, but the clock is not synchronised")
    return Finding(name, "ok", f"{clock.service} is active, the clock is synchronised")
