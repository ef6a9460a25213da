"""Whether instances noticed a maintenance, and heartbeats that prove that services are back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from builders import instance, service
from openstack_maintenance.domain.cloud import ComputeService
from openstack_maintenance.domain.controllers.heartbeats import Heartbeats
from openstack_maintenance.domain.controllers.instance_changes import compare_instances, picture_of

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
CALM: dict[str, Any] = {
    "id": "i1",
    "name": "web",
    "host": "c01",
    "status": "ACTIVE",
    "power_state": "RUNNING",
    "task_state": None,
}


def test_a_picture_has_what_is_compared() -> None:
    assert picture_of(instance("i1", name="web")) == CALM


@pytest.mark.parametrize(
    ("was", "is_now", "finding", "told"),
    [
        (CALM, CALM, "", ""),
        (CALM, {**CALM, "host": "c02"}, "web (i1): host was c01, is c02", ""),
        (
            CALM,
            {**CALM, "status": "SHUTOFF", "power_state": "SHUTDOWN"},
            "web (i1): status was ACTIVE, is SHUTOFF, power_state was RUNNING, is SHUTDOWN",
            "",
        ),
        (CALM, {**CALM, "status": "ERROR"}, "web (i1): status was ACTIVE, is ERROR", ""),
        (CALM, None, "", "web (i1) was deleted"),
        (CALM, {**CALM, "task_state": "migrating"}, "", "web (i1) is being worked on (migrating)"),
        (
            {**CALM, "task_state": "powering-off"},
            {**CALM, "status": "SHUTOFF"},
            "",
            "web (i1): status was ACTIVE, is SHUTOFF",
        ),
        ({**CALM, "status": "BUILD"}, CALM, "", "web (i1): status was BUILD, is ACTIVE"),
        (
            {**CALM, "status": "BUILD", "task_state": "spawning"},
            {**CALM, "status": "ERROR"},
            "web (i1): status was BUILD, is ERROR",
            "",
        ),
    ],
)
def test_a_change_is_a_finding_unless_somebody_was_at_work(
    was: dict[str, Any], is_now: dict[str, Any] | None, finding: str, told: str
) -> None:
    new = {**CALM, "id": "i2", "name": "new"}
    found = compare_instances([was], [each for each in (is_now, new) if each])
    assert found.findings == ((finding,) if finding else ())
    assert found.told == ((told,) if told else ())


def row(host: str, beat: int, is_up: bool = True) -> ComputeService:
    at = NOW + timedelta(seconds=beat)
    return service(host, is_up=is_up, updated_at=at)


def test_a_service_is_back_when_its_heartbeat_has_advanced_twice() -> None:
    beats = Heartbeats([("nova-compute", "c01")])
    for beat, is_missing in ((0, True), (0, True), (10, True), (20, False)):
        beats.note([row("c01", beat), row("c02", beat)])
        assert bool(beats.missing()) is is_missing
    assert list(beats.plain()) == ["nova-compute on c01"]
    assert len(beats.plain()["nova-compute on c01"]) == 3


def test_a_service_that_is_down_or_gone_is_not_back() -> None:
    beats = Heartbeats([("nova-compute", "c01")])
    for beat in (0, 10, 20):
        beats.note([row("c01", beat)])
    beats.note([row("c01", 30, is_up=False)])
    assert beats.missing() == ["nova-compute on c01"]
    beats.note([])
    assert beats.missing() == ["nova-compute on c01"]
