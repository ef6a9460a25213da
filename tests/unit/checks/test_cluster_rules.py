"""Verdicts over broker, database, memcached and clocks of several controllers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openstack_maintenance.domain.checks.cluster_rules import (
    judge_broker,
    judge_cache,
    judge_clocks,
    judge_database,
)
from openstack_maintenance.domain.checks.controller_facts import Broker, Cache, Clock, Database
from openstack_maintenance.domain.checks.finding import Finding, worst

NODES = ("rabbit@a", "rabbit@b", "rabbit@c")
WHOLE = Broker(NODES, NODES)
GALERA = {
    "wsrep_cluster_size": "3",
    "wsrep_cluster_status": "Primary",
    "wsrep_cluster_state_uuid": "u1",
    "wsrep_local_state_comment": "Synced",
    "wsrep_connected": "ON",
    "wsrep_ready": "ON",
}
NO_GALERA = {
    "wsrep_cluster_size": "0",
    "wsrep_cluster_state_uuid": "",
    "wsrep_cluster_status": "Disconnected",
    "wsrep_connected": "OFF",
    "wsrep_ready": "OFF",
}


def bad(findings: list[Finding]) -> list[str]:
    return [str(each) for each in findings if each.verdict == "bad"]


def test_what_no_controller_has_is_absent_and_never_ok() -> None:
    for judged in (
        judge_broker({"a": None, "b": None}),
        judge_database({"a": None}),
        judge_cache({"a": None}),
        judge_clocks({}),
    ):
        assert worst(judged) == "absent"


def test_a_whole_cluster_is_well() -> None:
    judged = judge_broker({"a": WHOLE, "b": WHOLE, "c": WHOLE})
    assert worst(judged) == "ok"
    assert judged[0].text == "3 of 3 members running, no partitions, no alarms"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"running": NODES[:2]}, "rabbit@c not running"),
        ({"running": ()}, "rabbit@a, rabbit@b, rabbit@c not running"),
        ({"members": (), "running": ()}, "no member runs"),
        ({"partitions": ("rabbit@a does not see rabbit@b",)}, "partition: rabbit@a does not"),
        ({"alarms": ("rabbit@a disk",)}, "alarm: rabbit@a disk"),
        ({"error": "rabbitmq-server.service is inactive"}, "rabbitmq-server.service is inactive"),
    ],
)
def test_a_fault_of_the_broker_is_named_with_its_controller(
    changes: dict[str, object], text: str
) -> None:
    judged = judge_broker({"ctl01": replace(WHOLE, **changes), "ctl02": None})  # type: ignore[arg-type]  # the table's own words
    (said,) = bad(judged)
    assert said.startswith(f"broker on ctl01: {text}")


def test_brokers_that_contradict_each_other_are_split() -> None:
    alone = Broker(("rabbit@b",), ("rabbit@b",))
    judged = judge_broker({"a": WHOLE, "b": alone})
    assert bad(judged) == [
        "broker cluster: split: a sees rabbit@a, rabbit@b, rabbit@c; b sees rabbit@b"
    ]


def test_a_database_alone_needs_only_to_answer() -> None:
    (finding,) = judge_database({"ctl01": Database(True, NO_GALERA)})
    assert (finding.verdict, finding.text) == ("ok", "answers a query; not a cluster")
    (older,) = judge_database({"ctl01": Database(True, {})})
    assert older.verdict == "ok"


def test_a_galera_cluster_is_whole_and_synced() -> None:
    node = Database(True, GALERA)
    judged = judge_database({"a": node, "b": node, "c": node})
    assert worst(judged) == "ok"
    assert judged[0].text == "answers a query; Galera synced, 3 nodes"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"wsrep_cluster_status": "non-Primary"}, "wsrep_cluster_status is non-Primary"),
        ({"wsrep_local_state_comment": "Donor/Desynced"}, "is Donor/Desynced, not Synced"),
        ({"wsrep_ready": "OFF"}, "wsrep_ready is OFF"),
        ({"wsrep_connected": ""}, "wsrep_connected is empty"),
        ({"wsrep_cluster_size": "1"}, "the cluster has 1 of at least 2 nodes"),
        ({"wsrep_cluster_state_uuid": "u2"}, "2 different clusters"),
        # Cut off: the size is 0, but the state says that it is a member of a cluster.
        ({"wsrep_cluster_size": "0", "wsrep_cluster_status": "Disconnected"}, "Disconnected"),
    ],
)
def test_a_fault_of_galera_is_named(changes: dict[str, str], text: str) -> None:
    judged = judge_database(
        {"a": Database(True, GALERA), "b": Database(True, {**GALERA, **changes})}
    )
    (said,) = bad(judged)
    assert text in said


def test_a_database_that_does_not_answer_says_why() -> None:
    judged = judge_database({"a": Database(error="ERROR 2002"), "b": None})
    assert bad(judged) == ["database on a: ERROR 2002"]


def test_each_memcached_is_asked() -> None:
    judged = judge_cache({"a": Cache("1.6"), "b": Cache(error="refused"), "c": None})
    assert [each.verdict for each in judged] == ["ok", "bad"]
    assert bad(judged) == ["memcached on b: does not answer: refused"]


KEPT = Clock(
    ahead_at_least=-0.1,
    ahead_at_most=0.1,
    service="chronyd.service",
    service_state="active",
    synchronised=True,
)


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [
        (KEPT, "ok"),
        (replace(KEPT, service="", service_state=""), "absent"),
        (replace(KEPT, synchronised=False), "bad"),
        (replace(KEPT, synchronised=None), "unknown"),
        (replace(KEPT, service_state="failed"), "bad"),
    ],
)
def test_the_time_service_is_judged(clock: Clock, verdict: str) -> None:
    (finding,) = judge_clocks({"ctl01": clock})
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("bounds", "verdict", "text"),
    [
        ((0.0, 0.2), "ok", "agree within 0.3 s"),
        ((2.0, 2.2), "ok", "agree within 2.3 s"),
        ((2.2, 2.4), "bad", "b is at least 2.1 s ahead of a"),
        ((-9.0, -8.0), "bad", "a is at least 7.9 s ahead of b"),
        ((-3.0, 3.0), "unknown", "they were read too slowly to compare (within 6.0 s)"),
    ],
)
def test_clocks_are_apart_only_where_that_is_sure(
    bounds: tuple[float, float], verdict: str, text: str
) -> None:
    judged = judge_clocks(
        {"a": KEPT, "b": replace(KEPT, ahead_at_least=bounds[0], ahead_at_most=bounds[1])}
    )
    assert (judged[-1].verdict, judged[-1].text) == (verdict, text)


@pytest.mark.parametrize("size", ["²", "٣", "x", "9" * 5_000, "-3", "3.0"])
def test_a_cluster_whose_size_cannot_be_read_is_not_whole(size: str) -> None:
    galera = {**GALERA, "wsrep_cluster_size": size}
    finding = judge_database({"ctl01": Database(answers=True, galera=galera)})[0]
    assert finding.verdict == "bad"
    assert "of at least 1 nodes" in finding.text
    assert len(finding.text) < 1_000
