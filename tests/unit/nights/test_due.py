"""Who is due tonight: the policy's reasons, and what keeps a host from being touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.nights.due import Candidate, judge_due, unknown_names, unseen
from openstack_maintenance.domain.policy import Due

NOW = datetime(2026, 11, 22, 1, 5, tzinfo=UTC)
SINCE = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
OURS = str(Mark("compute_host_maintenance", "r1", "failed at reboot: host c01: ..."))


def ago(**length: int) -> datetime:
    return NOW - timedelta(**length)


def candidate(service: dict[str, Any] | None = None, **given: Any) -> Candidate:
    seen = builders.service(zone="az1", updated_at=NOW, **(service or {}))
    return Candidate(**{"service": seen, "booted": ago(days=5), **given})


@pytest.mark.parametrize(
    ("found", "due", "kind", "reason"),
    [
        (candidate(), Due(), "not_due", "booted 5 days ago"),
        (candidate(booted=ago(days=30)), Due(), "due", "booted 30 days ago"),
        (candidate(booted=ago(days=29, hours=23)), Due(), "not_due", "booted 29 days ago"),
        (candidate(reboot_required="a new kernel"), Due(), "due", "a new kernel"),
        (
            candidate(reboot_required="x"),
            Due(reboot_required=False),
            "not_due",
            "booted 5 days ago",
        ),
        (
            candidate(reboot_unread="it did not end in time"),
            Due(),
            "not_due",
            "booted 5 days ago; whether it needs a reboot is unknown: it did not end in time",
        ),
        (
            candidate(reboot_unread="it did not end in time"),
            Due(reboot_required=False),
            "not_due",
            "booted 5 days ago",
        ),
        (candidate(), Due(hosts=("c01",)), "due", "is in the policy's list"),
        (candidate(), Due(hosts=("c02",)), "not_due", "booted 5 days ago"),
        (candidate(), Due(zone="az1"), "due", "is in the zone az1"),
        (
            candidate(aggregates=frozenset({"gold"})),
            Due(aggregate="gold"),
            "due",
            "is in the aggregate gold",
        ),
        (candidate(maintained=ago(days=3)), Due(hosts=("c01",)), "not_due", "booted 5 days ago"),
        (candidate(maintained=ago(days=31)), Due(hosts=("c01",)), "due", "is in the policy's list"),
        (
            candidate(booted=ago(minutes=2), reboot_required="x"),
            Due(hosts=("c01",)),
            "not_due",
            "was rebooted since this night's window began",
        ),
        (
            candidate(booted=ago(days=9000), rebooted=ago(minutes=2), reboot_required="x"),
            Due(hosts=("c01",)),
            "not_due",
            "was maintained since this night's window began",
        ),
        (
            candidate(booted=ago(days=9000), rebooted=ago(days=3)),
            Due(),
            "not_due",
            "booted 9000 days ago",
        ),
        # It was drained, and not rebooted.
        (
            candidate(booted=ago(days=40), maintained=ago(days=3)),
            Due(),
            "due",
            "booted 40 days ago",
        ),
        (
            candidate({"is_up": False, "is_forced_down": True}, booted=ago(days=40)),
            Due(),
            "passed_over",
            "Nova holds its nova-compute forced down: nothing can be migrated off it, and Nova "
            "would not show it up after the reboot. Masakari or a person took it for dead. When it "
            "is not, run `openstack compute service set --up c01 nova-compute`.",
        ),
        (
            Candidate(builders.service(is_up=False), is_bare_metal=True),
            Due(hosts=("c01",)),
            "passed_over",
            "is an Ironic host: its nodes are not maintained by nights",
        ),
        (
            candidate(booted=ago(days=40), unfit="sudo is missing"),
            Due(),
            "passed_over",
            "booted 40 days ago, but sudo is missing",
        ),
        (candidate(unfit="sudo is missing"), Due(), "not_due", "booted 5 days ago"),
        (candidate(booted=None), Due(), "passed_over", "when it booted cannot be read"),
        (
            candidate({"is_enabled": False, "disabled_reason": "ask Ana"}, booted=ago(days=90)),
            Due(hosts=("c01",)),
            "passed_over",
            "it is disabled with the reason 'ask Ana'",
        ),
        (
            candidate({"is_enabled": False, "disabled_reason": OURS}),
            Due(hosts=("c01",)),
            "passed_over",
            "is out: run r1 disabled it (failed at reboot: host c01: ...)",
        ),
        (
            candidate({"is_up": False}),
            Due(hosts=("c01",)),
            "passed_over",
            "its nova-compute is down",
        ),
        (
            candidate(unreadable="SSH refused", booted=None),
            Due(hosts=("c01",)),
            "passed_over",
            "SSH refused",
        ),
    ],
)
def test_a_host_is_due_for_one_of_the_policys_reasons_and_never_when_somebody_has_it(
    found: Candidate, due: Due, kind: str, reason: str
) -> None:
    verdict = judge_due(found, due, SINCE, NOW)
    assert (verdict.host, verdict.kind, verdict.reason) == ("c01", kind, reason)


def test_of_twenty_past_nights_the_first_makes_a_host_due_and_the_others_find_it_done() -> None:
    nights = [SINCE - timedelta(days=days) for days in range(20, 0, -1)]
    booted = ago(days=40)
    due = 0
    for night in nights:
        verdict = judge_due(candidate(booted=booted, reboot_required="x"), Due(), night, NOW)
        if verdict.kind == "due":
            due, booted = due + 1, NOW
    assert due == 1


OUT = candidate({"is_enabled": False, "disabled_reason": OURS})
A_PERSON_S = candidate({"is_enabled": False, "disabled_reason": "ask Ana"})
UNREAD = candidate(unreadable="SSH refused", booted=None)


@pytest.mark.parametrize(
    ("found", "is_open", "is_blind"),
    [
        ([candidate()], False, False),
        ([candidate(booted=ago(days=90))], False, False),
        ([UNREAD, candidate({"is_up": False})], True, True),
        ([candidate(booted=None)], True, True),
        ([UNREAD, A_PERSON_S], True, True),
        ([UNREAD, candidate()], True, False),
        ([candidate(booted=ago(days=90), unfit="no sudo"), UNREAD], True, False),
        ([candidate(outside="is elsewhere", booted=None), UNREAD], True, True),
        ([OUT], True, False),
        ([A_PERSON_S], False, False),
        ([Candidate(builders.service(), is_bare_metal=True)], False, False),
        ([], False, False),
    ],
    ids=[
        "fresh",
        "due",
        "silent",
        "no boot",
        "one is a person's",
        "one seen",
        "one read",
        "one outside",
        "ours",
        "a person's",
        "Ironic's",
        "none",
    ],
)
def test_what_could_not_be_looked_at_stays_open_and_is_a_fault_where_it_is_all(
    found: list[Candidate], is_open: bool, is_blind: bool
) -> None:
    verdicts = [judge_due(each, Due(), SINCE, NOW) for each in found]
    assert any(each.is_open for each in verdicts) is is_open
    assert bool(unseen(found, verdicts)) is is_blind


def test_a_name_that_nova_does_not_know_is_left_by_name() -> None:
    known = [candidate(aggregates=frozenset({"gold"}))]
    assert unknown_names(Due(hosts=("c01",), zone="az1", aggregate="gold"), known) == []
    due = Due(hosts=("c01", "c1"), zone="az", aggregate="golf")
    verdict, zone, aggregate = unknown_names(due, known)
    assert (verdict.host, verdict.kind, verdict.is_open) == ("c1", "passed_over", True)
    assert (zone.host, aggregate.host) == ("zone az", "aggregate golf")
    assert zone.reason == "is due.zone, but no compute host is in it (did you mean az1?)"
    assert aggregate.reason.endswith("no compute host is in it (did you mean gold?)")
    assert verdict.reason == ("is in due.hosts, but Nova has no such host (did you mean c01?)")
