"""Tonight played beforehand: what is certain stays certain, and the same seed tells the same."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.nights.experience import Experience
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.past_run import PHASES, PastRun
from openstack_maintenance.domain.nights.plan import NightLimits, NightPace, NightPlan, plan_night
from openstack_maintenance.domain.nights.rehearsal import (
    BUDGET,
    GROUP,
    OUT,
    ROOM,
    WINDOW,
    Night,
    Rehearsal,
    Rules,
    play_night,
    rehearse,
)
from openstack_maintenance.domain.nights.rehearsal_in_words import (
    rehearsal_as_json,
    rehearsal_in_words,
)
from openstack_maintenance.domain.nights.tonight import Blocking
from planner_bench.fleets import make_fleet

PACE = NightPace()
NEVER = dict.fromkeys(PHASES, 0.0)
# Nothing fails, and everything takes as long as the plan says.
SURE = Experience(failures=NEVER, blocked=0.0, spread=(1.0, 1.0), handover=0.0)
BEGINS = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


def small_fleet(hosts: int = 4, each: int = 2) -> Fleet:
    size = Size(1, 1024)
    names = [f"c{number:02}" for number in range(hosts)]
    return Fleet(
        tuple(FleetHost(name, "az1", Size(64, 65536)) for name in names),
        tuple(FleetInstance(f"{h}-{n}", h, size) for h in names for n in range(each)),
    )


def played(
    fleet: Fleet, experience: Experience = SURE, seed: int = 1, nights: int = 40, **given: Any
) -> tuple[NightPlan, Rehearsal]:
    budget = given.pop("failure_budget", 1)
    limits = NightLimits(**given)
    plan = plan_night(fleet, limits, PACE)
    rules = Rules(limits, PACE, budget)
    return plan, rehearse(fleet, plan, rules, experience, seed=seed, nights=nights)


def failing(rate: float, *phases: str) -> Experience:
    return replace(SURE, failures={**NEVER, **dict.fromkeys(phases or PHASES, rate)})


@pytest.mark.parametrize("given", [{}, {"hosts_out": 3}, {"time": timedelta(minutes=22)}])
@pytest.mark.parametrize("fleet", [small_fleet(), small_fleet(9, 5), make_fleet(30)])
def test_where_nothing_fails_the_night_ends_as_it_is_planned(
    fleet: Fleet, given: dict[str, Any]
) -> None:
    plan, found = played(fleet, nights=3, **given)
    assert found.done == found.worst_done == len(plan.hosts)
    assert found.end == found.worst_end
    assert abs(found.end - plan.makespan) < timedelta(seconds=1)
    assert set(found.chances.values()) <= {1.0}
    assert found.stops == []
    assert found.failures == {}
    assert len(found.left) == len(plan.left)
    if plan.hosts:
        moved = len({move.instance_id for each in plan.hosts for move in each.moves})
        assert found.migrations_per_instance == pytest.approx(plan.migrations / moved)


@pytest.mark.parametrize("phase", PHASES)
def test_what_fails_for_certain_leaves_no_host_a_chance(phase: str) -> None:
    plan, found = played(small_fleet(), failing(1.0, phase), hosts_out=2)
    assert len(plan.hosts) == 4
    assert (found.done, found.worst_done) == (0, 0)
    assert set(found.chances.values()) == {0.0}
    assert found.failures == {phase: 40}


def test_an_instance_that_blocks_for_certain_refuses_its_host_and_leaves_it_in_service() -> None:
    plan, found = played(small_fleet(4), replace(SURE, blocked=1.0), failure_budget=9)
    assert found.failures == {"check": 40}
    assert found.migrations_per_instance is None
    assert found.stops == []  # none was left: each had its turn, and was refused
    assert len(plan.hosts) == 4


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"hosts_out": 1, "failure_budget": 3}, OUT),
        ({"hosts_out": 4, "failure_budget": 0}, BUDGET),
    ],
)
def test_what_stops_a_night_in_which_hosts_fail_is_the_rule_that_leaves_the_others(
    given: dict[str, Any], rule: str
) -> None:
    _, found = played(small_fleet(8), failing(1.0, "boot"), **given)
    assert [(each.rule, each.nights, dict(each.phases)) for each in found.stops] == [
        (rule, 40, {"boot": 40})
    ]


def test_hosts_that_take_longer_than_planned_run_into_the_windows_end() -> None:
    slow = replace(SURE, pace=NightPace(per_host=timedelta(minutes=10)))
    fleet = small_fleet(4, 0)
    _, found = played(fleet, slow, time=timedelta(minutes=18), reserve_hosts=0)
    assert found.planned == 3
    assert found.done == 1  # the second one is under way when the window ends
    assert [each.rule for each in found.stops] == [WINDOW]
    assert found.end <= timedelta(minutes=18)


@pytest.mark.thorough
@pytest.mark.parametrize("phases", [(), *((each,) for each in PHASES)])
@pytest.mark.parametrize("hosts_out", [1, 3])
def test_the_more_often_something_fails_the_fewer_hosts_are_done(
    phases: tuple[str, ...], hosts_out: int
) -> None:
    rates = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
    found = [
        played(
            small_fleet(10, 3),
            failing(rate, *phases),
            hosts_out=hosts_out,
            time=timedelta(hours=1),
        )[1]
        for rate in rates
    ]
    for measure in (
        [each.done for each in found],
        [each.worst_done for each in found],
        [round(sum(each.chances.values()), 6) for each in found],
    ):
        assert measure == sorted(measure, reverse=True)
    assert found[0].done > found[-1].done == 0


def test_the_same_seed_gives_the_same_answer_and_another_one_another() -> None:
    fleet = small_fleet(12, 4)
    told = [played(fleet, Experience(), seed)[1] for seed in (7, 7, 8)]
    assert told[0] == told[1]
    assert told[0].end != told[2].end


def test_a_host_that_always_failed_is_the_only_one_whose_chance_is_small() -> None:
    """What happens to a host hangs on the seed and on its own runs, not on the others' luck."""
    boots = PastRun("c03", "r", BEGINS, BEGINS, frozenset(PHASES), frozenset({"boot"}))
    bad = replace(SURE, runs=[boots] * 15)
    _, found = played(small_fleet(8), bad, hosts_out=8, failure_budget=8, reserve_hosts=0)
    assert {host for host, chance in found.chances.items() if chance < 1} == {"c03"}
    assert found.chances["c03"] < 0.5
    assert next(iter(found.chances)) == "c03"


def test_when_the_time_is_up_fewer_nights_are_played_and_the_words_say_so() -> None:
    fleet = small_fleet()
    plan = plan_night(fleet, NightLimits(), PACE)
    found = rehearse(fleet, plan, Rules(), SURE, is_time_up=lambda: True)
    assert found.nights == 1
    words = rehearsal_in_words(found, BEGINS, None, "UTC")
    assert "played once (seed 1). So few nights give rough numbers only." in words
    assert "without a window" in words


def test_words_tell_the_answer_first_then_who_is_at_risk_and_what_it_goes_by() -> None:
    _, found = played(small_fleet(), failing(0.3, "boot"), time=timedelta(hours=1), nights=100)
    blocking = [Blocking("c09", "db (i1)", "is SUSPENDED", "Resume it.")]
    found = replace(found, blocking=blocking)
    words = rehearsal_in_words(found, BEGINS, BEGINS + timedelta(hours=1), "Europe/Berlin")
    head, outcome, stops, chances, blocked, basis = words.split("\n\n")
    assert head == "Rehearsal: tonight was played 100 times (seed 1)."
    assert outcome.startswith("Done by the window's end (03:00 CET): ")
    assert " of 4 hosts (median), 0 in the worst tenth of the nights." in outcome
    assert stops.startswith("What stops the night, most often first:\n")
    assert "failed hosts stay out, and no more may be out (max_hosts_out)" in stops
    assert "what fails most often: boot" in stops
    rows = [line.split() for line in chances.splitlines()[2:]]
    assert sorted(row[0] for row in rows) == ["c00", "c01", "c02", "c03"]
    shown = [int(row[1]) for row in rows]
    assert shown == sorted(shown)
    assert "c09   db (i1)   is SUSPENDED. Resume it." in blocked
    assert "boot fails" in basis
    assert "assumed: 0 runs known, too few" in basis


def test_a_plan_without_hosts_is_not_played() -> None:
    _, found = played(small_fleet(13), time=timedelta(0))
    words = rehearsal_in_words(found, BEGINS, BEGINS, "UTC")
    assert "there is nothing to play" in words
    assert "the plan leaves them (`make plan` says why): c00, c01, " in words
    assert "c09 and 3 more." in words
    told = rehearsal_as_json(found)
    assert told["migrations_per_instance"] is None
    assert told["chances"] == {f"c{number:02}": 0.0 for number in range(13)}


@pytest.mark.thorough
def test_all_of_500_hosts_are_done_when_nothing_fails() -> None:
    fleet = make_fleet(500)  # how long 200 nights of it take: docs/benchmarks.md
    _, found = played(fleet, replace(SURE, spread=(0.85, 1.5)), nights=20, hosts_out=10)
    assert (found.nights, found.done) == (20, 500)


def night_of(fleet: Fleet, experience: Experience = SURE, seed: str = "1/0", **given: Any) -> Night:
    budget = given.pop("failure_budget", 1)
    limits = NightLimits(**{"reserve_hosts": 0, **given})
    planned = plan_night(fleet, replace(limits, time=None), PACE)
    return play_night(fleet, planned, Rules(limits, PACE, budget), experience, seed)


def test_a_host_that_would_be_back_too_late_is_not_even_started() -> None:
    slow = replace(SURE, pace=NightPace(per_host=timedelta(minutes=10)))
    night = night_of(small_fleet(4, 1), slow, time=timedelta(minutes=23))
    assert len(night.done) == night.moved == 2
    assert dict(night.left) == {WINDOW: 2}


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_when_more_have_failed_than_may_no_other_is_started(budget: int) -> None:
    half = failing(0.5, "boot")
    nights = [
        night_of(small_fleet(12), half, str(seed), failure_budget=budget, hosts_out=5)
        for seed in range(20)
    ]
    stopped = [each for each in nights if BUDGET in each.left]
    assert len(stopped) > 10
    # Those that were out already when one too many failed may fail, too.
    assert all(budget < len(each.failed) <= budget + 5 for each in stopped)
    assert all(BUDGET not in each.left for each in nights if len(each.failed) <= budget)


def test_whom_the_pre_check_refuses_has_not_failed() -> None:
    night = night_of(small_fleet(6), failing(1.0, "check"), failure_budget=0)
    assert set(night.failed.values()) == {"check"}
    assert (len(night.failed), night.migrations, dict(night.left)) == (6, 0, {})


def test_a_host_that_found_no_room_goes_when_another_one_is_back() -> None:
    large = Size(1, 12 * 1024)
    fleet = Fleet(
        (
            *(FleetHost(name, "az1", Size(16, 16 * 1024)) for name in ("a", "b")),
            FleetHost("spare", "az1", Size(16, 16 * 1024), is_due=False),
            # Room enough in all, and on neither of them for one of these instances.
            *(FleetHost(name, "az1", Size(16, 8 * 1024), is_due=False) for name in ("x", "y")),
        ),
        (FleetInstance("i1", "a", large), FleetInstance("i2", "b", large)),
    )
    night = night_of(fleet, hosts_out=2)
    assert night.done == ("a", "b")
    assert dict(night.left) == {}
    stuck = night_of(fleet, failing(1.0, "boot"), hosts_out=2)
    assert set(stuck.failed) == {"a"}
    assert dict(stuck.left) == {ROOM: 1}


def test_members_of_a_server_group_are_not_on_the_move_together() -> None:
    hosts = [FleetHost(name, "az1", Size(16, 16 * 1024)) for name in ("a", "b")]
    spares = [replace(hosts[0], name=name, is_due=False) for name in ("c", "d", "e")]
    members = [FleetInstance(f"i-{h}", h, Size(1, 1024), group="g") for h in ("a", "b")]
    fleet = Fleet((*hosts, *spares), tuple(members))
    alone = PACE.maintenance(1, 1024)
    assert abs(night_of(fleet, hosts_out=2).end - 2 * alone) < timedelta(seconds=1)
    stuck = night_of(fleet, failing(1.0, "drain"), hosts_out=2)
    assert dict(stuck.left) == {GROUP: 1}


def test_of_a_drain_that_fails_some_instances_have_moved() -> None:
    nights = [
        night_of(small_fleet(2, 20), failing(1.0, "drain"), f"1/{number}") for number in range(20)
    ]
    assert all(night.moved == night.migrations <= 20 for night in nights)
    assert len({night.moved for night in nights}) > 5


def test_a_phase_that_a_time_out_ends_takes_that_long() -> None:
    slow = replace(failing(1.0, "boot"), fails_after={"boot": 7200.0, "proofs": 9e9})
    failed = play_night(
        small_fleet(2),
        plan_night(small_fleet(2), NightLimits(hosts_out=2, reserve_hosts=0), PACE),
        Rules(NightLimits(hosts_out=2, reserve_hosts=0, time=timedelta(hours=1)), PACE),
        slow,
        "1/0",
    )
    assert set(failed.failed.values()) == {"boot"}
    course = slow.course("c00", 1, 1024, dice())
    assert 7200 < course.seconds < 7600


def test_the_worst_tenth_is_what_every_tenth_night_does_not_surpass() -> None:
    fleet, experience = small_fleet(10), failing(0.1, "boot")
    plan, found = played(fleet, experience, nights=40, hosts_out=3)
    nights = [
        play_night(fleet, plan, Rules(NightLimits(hosts_out=3), PACE), experience, f"1/{number}")
        for number in range(40)
    ]
    done = sorted(len(night.done) for night in nights)
    assert found.worst_done == done[3] < found.done == done[19]
    assert found.worst_end == sorted((night.end for night in nights), reverse=True)[3]


def dice() -> random.Random:
    return random.Random(1)  # noqa: S311 - no secret
