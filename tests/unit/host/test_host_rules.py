"""What forbids taking a compute host out: each rule blocks, allows, and fails closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import builders
from openstack_maintenance.domain.blocker import Blocker, in_words
from openstack_maintenance.domain.cloud import (
    ComputeService,
    Hypervisor,
    Instance,
)
from openstack_maintenance.domain.drain.movability import plan_drain
from openstack_maintenance.domain.host.request import Request
from openstack_maintenance.domain.host.rules import (
    HostInCloud,
    check_host_rules,
    check_known,
    check_plan,
    in_the_way_in_words,
    rebooted_blocker,
)
from openstack_maintenance.domain.mark import LONGEST_RUN_ID, Mark
from openstack_maintenance.domain.policy import Controller, Policy

DAG = "compute_host_maintenance"
MARK = Mark(DAG, "this_run", "kernel")
EARLIER = Mark(DAG, "earlier_run", "failed at reboot")


def service(host: str, binary: str = "nova-compute", **given: Any) -> ComputeService:
    up = builders.service(host, id=f"id-{host}-{binary}", binary=binary)
    return replace(up, **given)


def disabled(host: str, reason: object) -> ComputeService:
    return service(host, is_enabled=False, disabled_reason=str(reason) if reason else None)


HYPERVISOR = builders.hypervisor()
INSTANCE = builders.instance("i1", name="web-1")
CONTROL = (service("ctl01", "nova-scheduler"), service("ctl01", "nova-conductor"))
CLOUD = (*CONTROL, service("c01"), service("c02"), service("c03"))


def blockers(
    *,
    services: tuple[ComputeService, ...] = CLOUD,
    hypervisor: Hypervisor | None = HYPERVISOR,
    instances: tuple[Instance, ...] = (INSTANCE,),
    policy: Policy | None = None,
    mark: Mark = MARK,
    running: frozenset[str] = frozenset(),
    **request: Any,
) -> list[str]:
    facts = HostInCloud(services, hypervisor, instances)
    asked = Request("c01", **request)
    found = check_host_rules(asked, policy or Policy(), facts, mark, running)
    return [str(each) for each in found]


def with_c01(changed: ComputeService) -> tuple[ComputeService, ...]:
    return (*CONTROL, changed, service("c02"), service("c03"))


# Rows: the facts, and how the one blocker begins; None where nothing forbids.
RULES: list[tuple[str, dict[str, Any], str | None]] = [
    ("a healthy host", {}, None),
    ("a healthy host, empty", {"instances": ()}, None),
    # Who has it.
    ("this run disabled it", {"services": with_c01(disabled("c01", MARK))}, None),
    (
        "this run disabled it and failed there before",
        {"services": with_c01(disabled("c01", Mark(DAG, "this_run", "failed at reboot: x")))},
        None,
    ),
    ("a finished run of ours left it", {"services": with_c01(disabled("c01", EARLIER))}, None),
    (
        "another run of ours is at it",
        {"services": with_c01(disabled("c01", EARLIER)), "running": frozenset({"earlier_run"})},
        f"host c01: the run earlier_run of {DAG} is maintaining it. Wait for that run",
    ),
    (
        "a person disabled it",
        {"services": with_c01(disabled("c01", "broken DIMM, Anna"))},
        "host c01: it is disabled with the reason 'broken DIMM, Anna'. Find out",
    ),
    (
        "a person disabled it and said nothing",
        {"services": with_c01(disabled("c01", None))},
        "host c01: it is disabled without a reason. Find out",
    ),
    (
        "a person quotes a mark",
        {"services": with_c01(disabled("c01", f"was {MARK}, hands off"))},
        "host c01: it is disabled with the reason",
    ),
    ("a mark on an enabled host is history", {"services": with_c01(service("c01"))}, None),
    # How many are out.
    (
        "another host is out by us",
        {"services": (service("c01"), disabled("c02", EARLIER), service("c03"))},
        "host c01: 1 of at most 1 hosts (max_hosts_out) are out already: c02. Finish these",
    ),
    (
        "another host is out by us, two may be",
        {
            "services": (service("c01"), disabled("c02", EARLIER), service("c03")),
            "policy": Policy(max_hosts_out=2),
        },
        None,
    ),
    (
        "another host is out by a person",
        {"services": (service("c01"), disabled("c02", "Anna"), service("c03"))},
        None,
    ),
    (
        "an enabled host with an old mark is not out",
        {"services": (service("c01"), service("c02", disabled_reason=str(EARLIER)))},
        None,
    ),
    # Is it a compute host that can be emptied?
    (
        "a controller, too",
        {"services": (*CLOUD, service("c01", "nova-conductor"))},
        "host c01: is a controller, too (nova-conductor). Drain it with reboot=false",
    ),
    (
        "a controller by the policy",
        {"policy": Policy(controllers=(Controller("c01"),))},
        "host c01: is a controller, too (the policy lists it under controllers)",
    ),
    (
        "a controller, too, without a reboot",
        {"services": (*CLOUD, service("c01", "nova-conductor")), "reboot": False},
        None,
    ),
    (
        "its nova-compute is down",
        {"services": with_c01(service("c01", is_up=False))},
        "host c01: its nova-compute is down: nothing can be migrated off it",
    ),
    (
        "it is forced down",
        {"services": with_c01(service("c01", is_up=False, is_forced_down=True))},
        "host c01: Nova holds its nova-compute forced down",
    ),
    (
        "its nova-compute is down, but it is empty",
        {"services": with_c01(service("c01", is_up=False)), "instances": ()},
        None,
    ),
    (
        "no hypervisor record",
        {"hypervisor": None},
        "host c01: has no hypervisor record in Nova. See `openstack hypervisor list`",
    ),
    (
        "Ironic",
        {"hypervisor": replace(HYPERVISOR, hypervisor_type="ironic")},
        "host c01: is an Ironic host",
    ),
    (
        "a run id that Nova cannot keep",
        {"mark": Mark(DAG, "r" * (LONGEST_RUN_ID + 1))},
        "run rrrr",
    ),
    (
        "a run id that a mark could not be read back with",
        {"mark": Mark(DAG, "a][closed")},
        "run 'a][closed'",
    ),
    ("the longest run id that fits", {"mark": Mark(DAG, "r" * LONGEST_RUN_ID)}, None),
    # Where the instances go.
    ("a good destination", {"destination": "c02"}, None),
    (
        "an unknown destination",
        {"destination": "c22"},
        "destination c22: Nova knows no compute host of that name (did you mean c02",
    ),
    (
        "a controller as destination",
        {"destination": "ctl01"},
        "destination ctl01: Nova knows no compute host of that name",
    ),
    (
        "the host itself as destination",
        {"destination": "c01"},
        "destination c01: is the host that is to be emptied",
    ),
    (
        "a destination that is down",
        {"destination": "c02", "services": (service("c01"), service("c02", is_up=False))}
        | {"instances": ()},
        "destination c02: its nova-compute is down. Name another host",
    ),
    (
        "a destination that a person disabled",
        {"destination": "c02", "services": (*with_c01(service("c01"))[:3], disabled("c02", "x"))}
        | {"instances": ()},
        "destination c02: is disabled (x)",
    ),
    (
        "a destination that was disabled without a reason",
        {"destination": "c02", "services": (service("c01"), disabled("c02", None))}
        | {"instances": ()},
        "destination c02: is disabled (no reason given)",
    ),
    (
        "no other host at all",
        {"services": (service("c01"),)},
        "host c01: no other compute host is enabled and up",
    ),
    (
        "no other host is enabled and up",
        {"services": (service("c01"), disabled("c02", "x"), service("c03", is_up=False))},
        "host c01: no other compute host is enabled and up",
    ),
    ("no other host, but nothing to move", {"services": (service("c01"),), "instances": ()}, None),
]


@pytest.mark.parametrize(("given", "blocker"), [pytest.param(*row[1:], id=row[0]) for row in RULES])
def test_each_rule_blocks_or_allows(given: dict[str, Any], blocker: str | None) -> None:
    found = blockers(**given)
    assert len(found) == (0 if blocker is None else 1), found
    if blocker is not None:
        assert found[0].startswith(blocker)


def test_all_blockers_are_named_at_once() -> None:
    found = blockers(
        services=(disabled("c01", "Anna"), disabled("c02", EARLIER)),
        hypervisor=None,
        destination="c09",
    )
    assert len(found) == 5


def test_the_rules_refuse_to_judge_a_host_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="check_known comes first"):
        blockers(services=(service("c02"),))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("c01", None),
        (
            "c01.example.com",
            "host c01.example.com: Nova knows no compute host of that name (did you mean c01?)",
        ),
        ("c1", "host c1: Nova knows no compute host of that name (did you mean c0"),
        ("C01", "host C01: Nova knows no compute host of that name"),
        ("ctl01", "host ctl01: is a controller: it runs nova-conductor, nova-scheduler"),
    ],
)
def test_only_an_exact_name_is_a_compute_host(host: str, said: str | None) -> None:
    found = check_known(Request(host), CLOUD)
    assert (found is None) if said is None else str(found).startswith(said)


def test_a_nova_that_leaves_out_silent_cells_may_hide_a_host_and_that_is_said() -> None:
    sure, unsure = (
        check_known(Request("c77"), CLOUD, may_hide_some=hides) for hides in (False, True)
    )
    assert sure is not None and "cell" not in sure.remedy
    assert unsure is not None and "its cell does not answer" in unsure.remedy
    assert "Wait until it is there, then run again." in unsure.remedy
    assert check_known(Request("c01"), CLOUD, may_hide_some=True) is None


def test_the_instances_that_cannot_move_block_and_so_do_more_than_airflow_maps() -> None:
    stuck = replace(INSTANCE, id="i2", status="SUSPENDED", vm_state="suspended", power_state=7)
    plan = plan_drain([INSTANCE, stuck], "fail")
    assert [each.subject for each in check_plan(Request("c01"), plan, 1)] == [
        f"instance {stuck.label}"
    ]
    many = plan_drain([replace(INSTANCE, id=str(number)) for number in range(3)], "fail")
    assert check_plan(Request("c01"), many, 3) == []
    (blocker,) = check_plan(Request("c01"), many, 2)
    assert "holds 3 instances, Airflow maps at most 2" in blocker.reason
    assert "max_map_length to 3" in blocker.remedy


@pytest.mark.parametrize(
    ("found", "due_in", "blocks"),
    [
        (service("c01"), "boot-1", False),
        (service("c01"), None, False),  # a run by hand
        (service("c01"), "boot-0", True),  # another night's run has done it
        (disabled("c01", EARLIER), "boot-0", True),
        (disabled("c01", MARK), "boot-0", False),  # this run has rebooted it
    ],
)
def test_a_night_takes_a_host_only_in_the_boot_that_it_found_due(
    found: ComputeService, due_in: str | None, blocks: bool
) -> None:
    blocker = rebooted_blocker(found, MARK, due_in, "boot-1")
    assert (blocker is not None) is blocks
    assert blocker is None or "rebooted since this night found it due" in blocker.reason


def test_what_is_in_the_way_is_named_with_where_it_comes_from() -> None:
    coming = builders.migration(instance_id="i9", source="c02", destination="c01")
    assert in_the_way_in_words([INSTANCE], [coming]) == (
        "web-1 (i1) ACTIVE; incoming migration of i9 from c02 (running)"
    )


def test_blockers_are_numbered_for_people() -> None:
    many = [Blocker("host c01", "is on fire.", "Put it out."), Blocker("a", "b", "C.")]
    assert in_words(many) == "1. host c01: is on fire. Put it out.\n2. a: b. C."
