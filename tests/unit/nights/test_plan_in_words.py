"""A night as a person reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from openstack_maintenance.domain.nights.bound import Bound
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.plan import LeftOver, NightPlan, PlannedHost, PlannedMove
from openstack_maintenance.domain.nights.plan_in_words import plan_in_words, verdicts_in_words

BEGINS = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
UNTIL = BEGINS + timedelta(hours=1)
ZONE = "Europe/Berlin"


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def turn(host: str, starts: float, ends: float, *to: str) -> PlannedHost:
    moves = tuple(PlannedMove(f"i{number}", name) for number, name in enumerate(to))
    return PlannedHost(
        host=host, zone="az1", starts=minutes(starts), ends=minutes(ends), moves=moves
    )


def test_a_plan_is_its_bound_a_table_a_timeline_and_who_is_left() -> None:
    plan = NightPlan(
        hosts=(turn("c01", 0, 10), turn("c02.example.com", 10, 40, "c01", "c01", "c04")),
        left=(LeftOver("c03", "its zone would keep less than 1 hosts' capacity free"),),
        instances=3,
    )
    assert plan_in_words(plan, Bound(3, minutes(36)), BEGINS, UNTIL, ZONE) == (
        "2 hosts from 01:00 to 01:40 CET: 40 min, at best 36 min; the window ends at 02:00.\n"
        "Instances on them: 3, migrations: 3; 1.00 for each, at best 1.00.\n"
        "Pace: 5 min a host, 10 s an instance and 5 s a GiB of its RAM, as assumed at first.\n"
        "\n"
        "host             zone  instances  out    back   they go to\n"
        "c01              az1           0  01:00  01:10  -\n"
        "c02.example.com  az1           3  01:10  01:40  c01 (2), c04 (1)\n"
        "\n"
        "                 01:00                                01:40\n"
        "c01              |==========                              |\n"
        "c02.example.com  |          ==============================|\n"
        "\n"
        "Left for another night:\n"
        "c03  its zone would keep less than 1 hosts' capacity free"
    )


def test_a_night_without_anybody_says_so() -> None:
    nobody = plan_in_words(
        NightPlan(hosts=(), left=(), instances=0), Bound(0, minutes(0)), BEGINS, UNTIL, ZONE
    )
    assert nobody == "No host is to be maintained now."


def test_a_single_empty_host_moves_nothing() -> None:
    plan = NightPlan(hosts=(turn("c01", 0, 5),), left=(), instances=0)
    said = plan_in_words(plan, Bound(0, minutes(5)), BEGINS, None, "UTC").splitlines()
    assert said[:2] == [
        "1 host from 00:00 to 00:05 UTC: 5 min, at best 5 min; the window is ignored.",
        "There are no instances on them: nothing moves.",
    ]


def test_the_clocks_are_those_on_the_wall_when_they_are_put_forward() -> None:
    """At 02:00 on 29 March 2026 it becomes 03:00 in Berlin."""
    begins = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    plan = NightPlan(hosts=(turn("c01", 0, 60),), left=(), instances=0)
    said = plan_in_words(plan, Bound(0, minutes(60)), begins, None, ZONE)
    assert said.startswith("1 host from 01:30 to 03:30 CET: 1 h 0 min")


def test_many_destinations_are_counted_not_listed() -> None:
    to = ["c09", "c09", "c02", "c03", "c04", "c05"]
    said = plan_in_words(
        NightPlan(hosts=(turn("c01", 0, 10, *to),), left=(), instances=6),
        Bound(6, minutes(10)),
        BEGINS,
        UNTIL,
        ZONE,
    )
    assert "c09 (2), c02 (1), c03 (1), 2 more hosts\n" in said


def test_a_bar_never_leaves_the_timeline() -> None:
    """In a long night the last of many hosts begins at the very end."""
    turns = tuple(turn(f"c{number:03}", number, number + 1) for number in range(200))
    said = plan_in_words(
        NightPlan(hosts=turns, left=(), instances=0), Bound(0, minutes(200)), BEGINS, None, ZONE
    ).splitlines()
    bars = [line for line in said if "|" in line]
    assert len(bars) == 200
    assert {len(bar) for bar in bars} == {len("c000  |") + 40 + 1}
    assert all("=" in bar for bar in bars)


def test_who_is_due_comes_first_then_who_is_passed_over() -> None:
    said = verdicts_in_words(
        [
            Verdict("c01", "not_due", "booted 3 days ago"),
            Verdict("c02", "passed_over", "its nova-compute is down"),
            Verdict("c03", "due", "booted 45 days ago"),
        ]
    )
    assert said == (
        "host  tonight      why\n"
        "c03   due          booted 45 days ago\n"
        "c02   passed over  its nova-compute is down\n"
        "c01   not due      booted 3 days ago"
    )
