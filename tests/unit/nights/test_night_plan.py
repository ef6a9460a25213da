"""The plan of a night, replayed move by move against everything that it promises."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.plan import (
    NightLimits,
    NightPace,
    NightPlan,
    NoTurn,
    PlannedHost,
    plan_night,
    plan_turn,
)
from openstack_maintenance.domain.nights.room import Place
from planner_bench.replay import violations_of

GIB = 1024
HOST = Size(vcpus=16, ram_mib=16 * GIB, disk_gib=100)
SMALL, NINE = Size(vcpus=2, ram_mib=2 * GIB, disk_gib=10), Size(9, 9 * GIB)
X = frozenset({"CUSTOM_X"})
PACE = NightPace(
    per_host=timedelta(minutes=5), per_move=timedelta(seconds=10), per_gib=timedelta(seconds=5)
)
NIGHT = timedelta(days=1)
DRAIN = timedelta(seconds=20)  # of one SMALL instance


def host(name: str, zone: str = "az1", **given: object) -> FleetHost:
    return replace(FleetHost(name=name, zone=zone, capacity=HOST), **given)  # type: ignore[arg-type]


def on(where: str, count: int, size: Size = SMALL, **given: object) -> list[FleetInstance]:
    made = [FleetInstance(id=f"{where}-{number}", host=where, size=size) for number in range(count)]
    return [replace(each, **given) for each in made]  # type: ignore[arg-type]


def fleet(hosts: list[FleetHost], *instances: list[FleetInstance]) -> Fleet:
    return Fleet(tuple(hosts), tuple(each for some in instances for each in some))


def plan(fleet: Fleet, **limits: object) -> NightPlan:
    made = plan_night(fleet, NightLimits(**limits), PACE)  # type: ignore[arg-type]
    assert violations_of(fleet, made, NightLimits(**limits)) == []  # type: ignore[arg-type]
    return made


def test_with_an_empty_host_everything_moves_once_to_hosts_that_are_finished() -> None:
    made = plan(
        fleet([host("a"), host("b"), host("c"), host("spare")], on("a", 3), on("b", 4), on("c", 5))
    )
    assert [each.host for each in made.hosts] == ["spare", "a", "b", "c"]
    assert made.migrations == made.instances == 12
    assert made.hosts[1].starts == made.hosts[0].ends == PACE.per_host
    assert made.makespan == 4 * PACE.per_host + 12 * DRAIN


def test_without_a_spare_the_emptiest_host_goes_first_and_only_its_instances_move_twice() -> None:
    made = plan(fleet([host("a"), host("b"), host("c"), host("d")], *(on(n, 4) for n in "abcd")))
    assert [each.host for each in made.hosts] == ["a", "b", "c", "d"]
    assert (made.instances, made.migrations) == (16, 20)


def test_a_host_that_needs_nothing_takes_instances_and_has_no_turn() -> None:
    made = plan(fleet([host("a"), host("b"), host("done", is_due=False)], on("a", 2), on("b", 2)))
    assert [each.host for each in made.hosts] == ["a", "b"]
    assert {move.to for each in made.hosts for move in each.moves} <= {"done", "a"}
    assert made.migrations == 4


def test_members_of_one_anti_affinity_group_are_never_together_nor_on_the_move_together() -> None:
    hosts = [host(name) for name in ("a", "b", "c", "d", "e")]
    grouped = [on(name, 1, group="g") for name in ("a", "b", "c")]
    made = plan(fleet(hosts, *grouped, on("d", 1)), hosts_out=3, reserve_hosts=0)
    turns = {each.host: each for each in made.hosts}
    assert len(turns) == 5
    assert turns["a"].ends <= turns["b"].starts
    assert turns["b"].ends <= turns["c"].starts


def test_as_many_hosts_are_out_as_may_be_and_the_next_goes_when_one_is_back() -> None:
    hosts = [host(f"h{number}") for number in range(6)]
    made = plan(fleet(hosts, on("h5", 1)), hosts_out=2, reserve_hosts=1)
    assert [each.starts for each in made.hosts] == [PACE.per_host * (n // 2) for n in range(6)]


def test_zones_do_not_mix() -> None:
    hosts = [host("a1"), host("a2"), host("b1", "az2"), host("b2", "az2")]
    made = plan(fleet(hosts, on("a1", 3), on("b1", 3)), reserve_hosts=0)
    assert {each.host for each in made.hosts} == {"a1", "a2", "b1", "b2"}
    assert made.migrations == made.instances


def test_an_instance_goes_only_where_its_traits_and_aggregates_are() -> None:
    gpu = frozenset({"CUSTOM_GPU"})
    hosts = [host("a", provides=gpu), host("b", provides=gpu), host("big", is_due=False)]
    made = plan(fleet(hosts, on("a", 1, requires=gpu)))
    assert made.migrations == 1
    assert all(move.to == "b" for each in made.hosts for move in each.moves)


@pytest.mark.parametrize(
    ("others", "order", "migrations"),
    [
        # Somewhere to go: who was left is the first, though the fullest.
        ([host("done", is_due=False)], ["b", "a", "c"], 6),
        # An empty host that is due costs nothing, so it opens the zone.
        ([host("spare"), host("spare2")], ["spare", "b", "spare2", "a", "c"], 6),
        # With nothing empty the emptiest opens it: its one instance moves twice.
        ([], ["a", "b", "c"], 7),
        # Who was left is the emptiest anyway.
        ([host("left-and-empty", left_for=NIGHT)], ["left-and-empty", "b", "a", "c"], 6),
        # A host that takes nothing is no place to go, finished or not; nor is one without room.
        ([host("off", is_due=False, is_open=False)], ["a", "b", "c"], 7),
        (
            [host("full", is_due=False, capacity=Size(vcpus=2, ram_mib=2 * GIB, disk_gib=10))],
            ["a", "b", "c"],
            6,
        ),
    ],
)
def test_who_was_left_comes_before_the_other_due_hosts_and_after_the_one_that_opens_the_zone(
    others: list[FleetHost], order: list[str], migrations: int
) -> None:
    hosts = [host("a"), host("b", left_for=NIGHT), host("c"), *others]
    made = plan(fleet(hosts, on("a", 1), on("b", 3), on("c", 2)))
    assert [each.host for each in made.hosts] == order
    assert (made.instances, made.migrations) == (6, migrations)


def test_who_was_left_does_not_cost_more_migrations_than_the_bound() -> None:
    hosts = [host(f"h{n}", left_for=NIGHT * (n in (3, 4))) for n in range(6)]
    made = plan(fleet(hosts, *(on(f"h{n}", 2 + n % 3) for n in range(6))), reserve_hosts=1)
    assert [each.host for each in made.hosts][:3] == ["h0", "h3", "h4"]
    assert made.migrations <= made.instances * (1 + 1 / 6)


def test_a_night_after_the_other_everybody_has_a_turn() -> None:
    """Two turns fit into a night: who is left is done on the next, before who came to be due."""
    waiting, done, nights = {f"h{n}" for n in range(5)}, set[str](), list[list[str]]()
    left: set[str] = set()
    load = {f"h{n}": n + 1 for n in range(5)} | {"new1": 0, "new2": 0, "new3": 0}
    for new in (None, "new1", "new2", "new3"):
        waiting |= {new} if new else set()
        hosts = [
            host(each, is_due=each in waiting, left_for=NIGHT * (each in left))
            for each in sorted(waiting | done)
        ]
        given = fleet(hosts, *(on(each, load[each]) for each in sorted(waiting)))
        made = plan(given, time=timedelta(minutes=13), reserve_hosts=0)
        nights.append([each.host for each in made.hosts])
        done |= set(nights[-1])
        waiting -= done
        left = {each.host for each in made.left}
    assert nights == [["h0", "h1"], ["h2", "h3"], ["new1", "h4"], ["new2", "new3"]]


def test_nobody_starves_where_a_night_has_time_for_one() -> None:
    """50 hosts, each as full as another but for a little, due every 30 days."""
    names = [f"h{n:02}" for n in range(50)]
    load = {each: 4 + n % 4 for n, each in enumerate(names)}
    last, left, gaps = dict.fromkeys(names, -30), dict[str, int](), list[int]()
    one = Size(vcpus=1, ram_mib=GIB, disk_gib=1)
    for night in range(300):
        due = {each for each in names if night - last[each] >= 30}
        hosts = [
            host(each, is_due=each in due, left_for=NIGHT * (night - left[each]))
            if each in left
            else host(each, is_due=each in due)
            for each in names
        ]
        given = fleet(hosts, *(on(each, load[each], one) for each in names))
        made = plan_night(given, NightLimits(time=timedelta(minutes=15)), PACE)
        for each in made.hosts[:1]:
            gaps.append(night - last[each.host])
            last[each.host] = night
            left.pop(each.host, None)
        left |= {each.host: left.get(each.host, night) for each in made.left}
    assert len(gaps) > 250
    assert max(night - last[each] for each in names) <= 60 and max(gaps) <= 80


def test_who_demands_nothing_leaves_the_rare_hosts_to_those_who_can_go_nowhere_else() -> None:
    hosts = [
        host("a"),
        host("g", provides=X),
        host("plain", is_due=False),
        host("rare", is_due=False, provides=X),  # with the most free room of all
    ]
    made = plan(fleet(hosts, on("a", 4), on("g", 7, requires=X), on("plain", 2)), reserve_hosts=0)
    assert made.left == ()
    assert {each.host: {move.to for move in each.moves} for each in made.hosts} == {
        "a": {"plain"},
        "g": {"rare"},
    }


def test_planning_for_rare_hosts_does_not_look_at_all_the_others_each_time() -> None:
    rare = [host(f"z{n}", provides=X) for n in range(20)]
    common = [host(f"h{n:03}") for n in range(400)]
    instances = [on(each.name, 6, requires=X) for each in rare]
    instances += [on(each.name, 6) for each in common]
    looked = 0
    takes = Place.takes

    def count(place: Place, instance: FleetInstance) -> bool:
        nonlocal looked
        looked += 1
        return takes(place, instance)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "takes", count)
        made = plan_night(fleet([*rare, *common], *instances), NightLimits(), PACE)
    assert made.left == ()
    assert looked <= 2 * made.migrations


@pytest.mark.parametrize(
    ("given", "limits", "left", "reason"),
    [
        (
            fleet([host("a", keeps_out="a person disabled it: ask Ana"), host("b")]),
            {},
            ["a"],
            "a person disabled it: ask Ana",
        ),
        (
            fleet([host("a"), host("b")], on("a", 1), on("b", 7)),
            {},
            ["a", "b"],
            "its zone would keep less than 1 hosts' capacity free (reserve_hosts)",
        ),
        (
            fleet([host("a"), host("b")], on("a", 1, NINE), on("b", 1, NINE)),
            {"reserve_hosts": 0},
            ["a", "b"],
            "its instances have no room on the other hosts of its zone",
        ),
        (
            fleet([host("a", provides=X), host("b")], on("a", 1, requires=X)),
            {"reserve_hosts": 0},
            ["a"],
            "instance a-0 fits on no other host of its zone",
        ),
        (
            fleet([host("a"), host("b"), host("c")]),
            {"time": timedelta(minutes=12)},
            ["c"],
            "would be back after 15 min, beyond the window's end",
        ),
    ],
)
def test_who_is_left_over_is_named_with_the_reason(
    given: Fleet, limits: dict[str, object], left: list[str], reason: str
) -> None:
    made = plan(given, **limits)
    assert [each.host for each in made.left] == left
    assert made.left[0].reason == reason


@pytest.mark.parametrize("seed", range(40))
def test_any_fleet_is_maintained_within_its_limits_and_always_in_the_same_way(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a test, no secret
    hosts = [
        host(f"h{n:02}", f"az{n % 2}", is_due=dice.random() < 0.9, is_open=dice.random() < 0.95)
        for n in range(dice.randint(4, 24))
    ]
    instances: list[list[FleetInstance]] = []
    for each in hosts:
        for number in range(dice.randint(0, 6)):
            size = dice.choice(
                [
                    SMALL,
                    Size(vcpus=1, ram_mib=GIB, disk_gib=5),
                    Size(vcpus=4, ram_mib=4 * GIB, disk_gib=10),
                ]
            )
            group = f"{each.zone}-g{number}" if dice.random() < 0.2 else None
            made = FleetInstance(id=f"{each.name}-{number}", host=each.name, size=size, group=group)
            total = Size()
            for some in instances:
                total += some[0].size if some[0].host == each.name else Size()
            if HOST.holds(total + size):
                instances.append([made])
    given = fleet(hosts, *instances)
    limits = {"hosts_out": dice.randint(1, 3), "reserve_hosts": dice.randint(0, 1)}

    made = plan(given, **limits)

    again = Fleet(tuple(reversed(given.hosts)), tuple(reversed(given.instances)))
    assert plan_night(again, NightLimits(**limits), PACE) == made


def turn(made: Fleet, name: str, *out: str, **limits: object) -> PlannedHost:
    return plan_turn(made, name, out, NightLimits(**limits), PACE)  # type: ignore[arg-type]


def why_not(made: Fleet, name: str, *out: str, **limits: object) -> str:
    with pytest.raises(NoTurn) as raised:
        turn(made, name, *out, **limits)
    return raised.value.reason


def test_a_turn_is_planned_on_the_fleet_as_it_is_with_finished_hosts_first() -> None:
    hosts = [host("a", is_due=False), host("b"), host("c")]

    planned = turn(fleet(hosts, on("b", 2), on("c", 2)), "b")

    assert {move.to for move in planned.moves} == {"a"}
    assert planned.ends - planned.starts == PACE.maintenance(2, 2 * SMALL.ram_mib)


def test_what_is_still_on_hosts_that_are_out_will_need_room_too() -> None:
    hosts = [host("a", is_due=False), host("b"), host("c", is_open=False)]
    made = fleet(hosts, on("b", 3), on("c", 3))

    assert turn(made, "b", reserve_hosts=0).host == "b"
    assert turn(made, "b", "c", reserve_hosts=0).host == "b"
    full = fleet(hosts, on("b", 5), on("c", 5))
    assert turn(full, "b", reserve_hosts=0).host == "b"
    assert "room" in why_not(full, "b", "c", reserve_hosts=0)


def test_a_turn_waits_while_a_member_of_its_group_is_on_a_host_that_is_out() -> None:
    hosts = [host("a", is_due=False), host("b"), host("c", is_open=False)]
    made = fleet(hosts, on("b", 1, group="g"), on("c", 1, group="g"))

    assert "server group" in why_not(made, "b", "c", reserve_hosts=0)
    assert turn(made, "b", reserve_hosts=0).host == "b"


def test_a_turn_says_what_keeps_its_host_out() -> None:
    assert why_not(fleet([host("a", keeps_out="an instance is in the way")]), "a") == (
        "an instance is in the way"
    )
    assert why_not(fleet([host("a", is_due=False)]), "a") == "it is not due any more"
