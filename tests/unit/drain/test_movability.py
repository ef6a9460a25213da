"""Which instances move, how, and which stand in the way of a reboot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import builders
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import (
    CRASHED,
    NOSTATE,
    PAUSED,
    RUNNING,
    SHUTDOWN,
    Instance,
)
from openstack_maintenance.domain.drain.movability import movability, plan_drain, still_in_the_way

SEV_FLAVOR: dict[str, Any] = {"extra_specs": {"hw:mem_encryption": "True"}}
SEV_IMAGE: dict[str, Any] = {"image_properties": {"hw_mem_encryption": "true"}}
CYBORG: dict[str, Any] = {"extra_specs": {"accel:device_profile": "fpga"}}


def instance(status: str, **more: Any) -> Instance:
    given = {"name": "web-1", "ram_mib": 2048, "disk_gib": 10, **more}
    return builders.instance("11111111-1111-4111-8111-111111111111", status, **given)


ACTIVE = instance("ACTIVE")
STOPPED = instance("SHUTOFF")
SUSPENDED_ONE = instance("SUSPENDED")
ERROR_RUNNING = instance("ERROR")


# What happens with each on_blocked: "live", "cold", "stop", "left", or "blocks".
TABLE: list[tuple[Any, ...]] = [
    ("ACTIVE", ACTIVE, "live", "live", "live"),
    ("PAUSED", instance("PAUSED"), "live", "live", "live"),
    ("a guest paused by its hypervisor", replace(ACTIVE, power_state=PAUSED), *["live"] * 3),
    ("SHUTOFF", STOPPED, "cold", "cold", "cold"),
    ("SHUTOFF, power_state never reported", replace(STOPPED, power_state=NOSTATE), *["cold"] * 3),
    ("BUILD", instance("BUILD", task_state="spawning"), *["live"] * 3),
    ("a snapshot under way", replace(ACTIVE, task_state="image_uploading"), *["live"] * 3),
    ("a reboot under way", replace(ACTIVE, status="REBOOT", task_state="rebooting"), *["live"] * 3),
    ("a deletion under way", replace(ACTIVE, task_state="deleting"), *["live"] * 3),
    ("ACTIVE, crashed", replace(ACTIVE, power_state=CRASHED), "blocks", "left", "stop"),
    (
        "ACTIVE, its guest is shut down",
        replace(ACTIVE, power_state=SHUTDOWN),
        "blocks",
        "left",
        "stop",
    ),
    (
        "ACTIVE, power_state unknown",
        replace(ACTIVE, power_state=NOSTATE),
        "blocks",
        "blocks",
        "stop",
    ),
    ("SUSPENDED", SUSPENDED_ONE, "blocks", "left", "blocks"),
    (
        "SUSPENDED, power_state unknown",
        replace(SUSPENDED_ONE, power_state=NOSTATE),
        "blocks",
        "blocks",
        "blocks",
    ),
    ("RESCUED, running", instance("RESCUE", power_state=RUNNING), *["blocks"] * 3),
    ("RESCUED, shut down", instance("RESCUE", power_state=SHUTDOWN), "blocks", "left", "blocks"),
    ("RESIZED, running", instance("VERIFY_RESIZE", power_state=RUNNING), *["blocks"] * 3),
    (
        "RESIZED, shut down",
        instance("VERIFY_RESIZE", power_state=SHUTDOWN),
        "blocks",
        "left",
        "blocks",
    ),
    ("SHELVED", instance("SHELVED", power_state=SHUTDOWN), "blocks", "left", "blocks"),
    (
        "SHELVED, power_state unknown",
        instance("SHELVED", power_state=NOSTATE),
        "blocks",
        "left",
        "blocks",
    ),
    ("SOFT_DELETED", instance("SOFT_DELETED"), "blocks", "left", "blocks"),
    ("ERROR, running", ERROR_RUNNING, "blocks", "blocks", "stop"),
    ("ERROR, shut down", replace(ERROR_RUNNING, power_state=SHUTDOWN), "blocks", "left", "stop"),
    (
        "ERROR, launched, power_state unknown",
        replace(ERROR_RUNNING, power_state=NOSTATE),
        "blocks",
        "blocks",
        "stop",
    ),
    # Nova stops only what was launched once: stop is refused with 409 for ever.
    (
        "ERROR, never launched",
        replace(ERROR_RUNNING, power_state=NOSTATE, is_launched=False),
        *("blocks", "left", "blocks"),
    ),
    ("a state that Nova invents tomorrow", instance("FROZEN"), *["blocks"] * 3),
    (
        "a power_state that Nova invents tomorrow",
        instance("ERROR", power_state=9),
        "blocks",
        "blocks",
        "stop",
    ),
    ("no state at all", instance("UNKNOWN", vm_state="", power_state=NOSTATE), *["blocks"] * 3),
    ("SEV by flavor", replace(ACTIVE, **SEV_FLAVOR), "blocks", "blocks", "stop"),
    ("SEV by image", replace(ACTIVE, **SEV_IMAGE), "blocks", "blocks", "stop"),
    ("SEV, SHUTOFF", replace(STOPPED, **SEV_FLAVOR), "cold", "cold", "cold"),
    ("SEV, PAUSED", instance("PAUSED", **SEV_IMAGE), *["blocks"] * 3),
    (
        "SEV said to be off",
        replace(ACTIVE, extra_specs={"hw:mem_encryption": "False"}),
        *["live"] * 3,
    ),
    ("cyborg", replace(ACTIVE, **CYBORG), *["blocks"] * 3),
    ("cyborg, SHUTOFF", replace(STOPPED, **CYBORG), "blocks", "left", "blocks"),
    ("cyborg, ERROR", replace(ERROR_RUNNING, **CYBORG), *["blocks"] * 3),
]


def outcome(one: Instance, on_blocked: Any) -> str:
    plan = plan_drain([one], on_blocked)
    assert len(plan.moves) + len(plan.left) + len(plan.blockers) == 1
    if plan.moves:
        return plan.moves[0].method
    return "left" if plan.left else "blocks"


@pytest.mark.parametrize(
    ("one", "fail", "leave", "stop"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_each_state_moves_is_left_or_blocks(
    one: Instance, fail: str, leave: str, stop: str
) -> None:
    assert (outcome(one, "fail"), outcome(one, "leave"), outcome(one, "stop")) == (
        fail,
        leave,
        stop,
    )


@pytest.mark.parametrize("one", [pytest.param(row[1], id=row[0]) for row in TABLE])
def test_what_leave_would_leave_surely_does_not_run(one: Instance) -> None:
    left = plan_drain([one], "leave").left
    assert not any(each.may_be_running for each in left)
    assert all(each.power_state != RUNNING for each in left)


@pytest.mark.parametrize(
    ("one", "reason", "remedy"),
    [
        pytest.param(SUSPENDED_ONE, "is SUSPENDED", "openstack server resume", id="SUSPENDED"),
        pytest.param(
            replace(ERROR_RUNNING, fault="No valid host"),
            "its guest is running, power_state RUNNING, fault: No valid host",
            "openstack server set --state active",
            id="ERROR",
        ),
        pytest.param(
            instance("RESCUE", power_state=RUNNING),
            "is RESCUE",
            "openstack server unrescue",
            id="R",
        ),
        pytest.param(
            instance("VERIFY_RESIZE", power_state=RUNNING),
            "is VERIFY_RESIZE",
            "openstack server resize confirm",
            id="RESIZED",
        ),
        pytest.param(
            instance("SHELVED", power_state=SHUTDOWN),
            "is SHELVED",
            "shelve --offload",
            id="SHELVED",
        ),
        pytest.param(
            replace(ACTIVE, power_state=SHUTDOWN),
            "its power_state is SHUTDOWN",
            "openstack server start",
            id="ACTIVE but off",
        ),
        pytest.param(
            replace(ACTIVE, **SEV_FLAVOR), "memory encryption (SEV)", "on_blocked=stop", id="SEV"
        ),
        pytest.param(replace(ACTIVE, **CYBORG), "cyborg accelerator", "owner's consent", id="acc"),
        pytest.param(
            instance("FROZEN", power_state=9),
            "power_state 9",
            "Bring it to ACTIVE or SHUTOFF.",
            id="unknown",
        ),
    ],
)
def test_a_blocker_names_the_instance_the_reason_and_the_remedy(
    one: Instance, reason: str, remedy: str
) -> None:
    verdict = movability(one)
    assert isinstance(verdict, Blocker)
    assert verdict.subject == f"instance web-1 ({ACTIVE.id})"
    assert reason in verdict.reason
    assert remedy in verdict.remedy


def test_the_largest_instance_moves_first_and_equal_ones_in_a_fixed_order() -> None:
    many = [
        replace(ACTIVE, id="c", ram_mib=512),
        replace(STOPPED, id="b", ram_mib=4096),
        replace(ACTIVE, id="a", ram_mib=4096),
    ]
    assert [each.instance.id for each in plan_drain(many, "fail").moves] == ["a", "b", "c"]


def test_all_blockers_are_named_at_once() -> None:
    plan = plan_drain([ERROR_RUNNING, ACTIVE, replace(SUSPENDED_ONE, id="2")], "fail")
    assert len(plan.blockers) == 2
    assert len(plan.moves) == 1


# Whether an instance that is on the host right now forbids stopping or rebooting it.
@pytest.mark.parametrize("on_blocked", ["fail", "stop"])
@pytest.mark.parametrize("one", [pytest.param(row[1], id=row[0]) for row in TABLE])
def test_every_instance_is_in_the_way_unless_leave_was_asked_for(
    one: Instance, on_blocked: Any
) -> None:
    assert still_in_the_way([one], on_blocked) == (one,)


@pytest.mark.parametrize(
    ("one", "leave"), [pytest.param(row[1], row[3], id=row[0]) for row in TABLE]
)
def test_leave_lets_stay_only_what_the_plan_left(one: Instance, leave: str) -> None:
    assert (still_in_the_way([one], "leave") == ()) is (leave == "left")


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(replace(SUSPENDED_ONE, task_state="resuming"), id="being resumed"),
        pytest.param(replace(SUSPENDED_ONE, power_state=RUNNING), id="SUSPENDED, yet it runs"),
        pytest.param(replace(SUSPENDED_ONE, power_state=NOSTATE), id="Nova cannot say"),
        pytest.param(replace(SUSPENDED_ONE, power_state=9), id="Nova says what nobody knows"),
        pytest.param(STOPPED, id="SHUTOFF could have moved"),
    ],
)
def test_leave_fails_closed(one: Instance) -> None:
    assert still_in_the_way([one], "leave") == (one,)


def test_an_empty_host_has_nothing_in_the_way() -> None:
    assert still_in_the_way([], "fail") == ()
    plan = plan_drain([], "fail")
    assert (plan.moves, plan.left, plan.blockers) == ((), (), ())


def test_a_guest_that_runs_behind_novas_back_is_not_powered_off_to_move_it() -> None:
    found = movability(replace(STOPPED, power_state=RUNNING))
    assert isinstance(found, Blocker)
    assert "its guest may be running (power_state RUNNING)" in found.reason
