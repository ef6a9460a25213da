"""The verdict over one service of a controller: a table of what is, and what is a fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import builders
from openstack_maintenance.domain.checks.controller_facts import SeenController, SeenService
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.service_rules import (
    LastCheck,
    judge_service,
    judge_services,
    read_last_check,
    restarts_of,
)
from openstack_maintenance.domain.deployment import (
    Deployment,
    NovaCompute,
    Service,
    ServiceGroup,
)
from openstack_maintenance.domain.host.facts import UnitState

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
BOOTED = NOW - timedelta(days=40)
LONG_AGO = NOW - timedelta(days=39)
LAST_NIGHT = NOW - timedelta(days=1)
SERVICE = Service("nova-scheduler")
UNIT = UnitState(
    "nova-scheduler.service",
    "systemd",
    active_state="active",
    sub_state="running",
    main_pid=7,
    active_enter=LONG_AGO,
    starts_at_boot="enabled",
)


def on(state: UnitState, **changes: object) -> SeenController:
    seen = SeenService(name="nova-scheduler", state=state, journal=("a line of its journal",))
    given = {"booted": BOOTED, "clock_now": NOW, "services": (seen,), **changes}
    return builders.controller(**given)


def judge(
    state: UnitState, service: Service = SERVICE, last: LastCheck | None = None, **changes: object
) -> Finding:
    controller = on(state, **changes)
    return judge_service(service, controller.services[0], controller, last or LastCheck())


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({}, "ok", "active"),
        ({"active_state": "reloading"}, "ok", "active"),
        ({"sub_state": "exited", "main_pid": 0}, "ok", "active"),  # a oneshot such as openvswitch
        ({"active_state": "failed", "sub_state": "failed"}, "bad", "failed"),
        ({"active_state": "inactive", "sub_state": "dead"}, "bad", "inactive"),
        (
            {"active_state": "inactive", "sub_state": "dead", "starts_at_boot": "disabled"},
            "bad",
            "inactive",
        ),
        (
            {"active_state": "activating", "sub_state": "start-pre"},
            "bad",
            "activating (start-pre)",
        ),
        (
            {"active_state": "activating", "sub_state": "auto-restart", "n_restarts": 12},
            "bad",
            "flapping (waits to be restarted, after 12 times)",
        ),
        (
            {"active_state": "failed", "sub_state": "failed", "n_restarts": 5},
            "bad",
            "failed, restarted 5 times before",
        ),
        (
            {"active_state": "inactive", "sub_state": "dead", "starts_at_boot": "masked"},
            "bad",
            "masked",
        ),
        (
            {"starts_at_boot": "masked-runtime"},
            "bad",
            "masked (it runs, but will not start again)",
        ),
        ({"kind": "absent"}, "bad", "missing (there is no unit nova-scheduler)"),
        ({"kind": "docker", "starts_at_boot": "unless-stopped"}, "ok", "active"),
        (
            {"kind": "docker", "active_state": "restarting", "n_restarts": 3},
            "bad",
            "flapping (waits to be restarted, after 3 times)",
        ),
    ],
)
def test_a_required_service_is_active_or_a_fault(
    changes: dict[str, object], verdict: str, text: str
) -> None:
    finding = judge(replace(UNIT, **changes))  # type: ignore[arg-type]  # the table's own words
    assert (finding.verdict, finding.text) == (verdict, text)


def test_what_is_bad_carries_its_journal_and_what_is_well_does_not() -> None:
    assert judge(replace(UNIT, active_state="failed")).journal == ("a line of its journal",)
    assert judge(UNIT).journal == ()


@pytest.mark.parametrize(
    ("changes", "verdict", "text"),
    [
        ({}, "ok", "active"),
        ({"kind": "absent"}, "absent", "absent"),
        (
            {"active_state": "inactive", "starts_at_boot": "disabled"},
            "absent",
            "not in use (disabled)",
        ),
        ({"active_state": "inactive", "sub_state": "dead"}, "bad", "inactive"),
        (
            {
                "kind": "docker",
                "active_state": "inactive",
                "sub_state": "exited",
                "starts_at_boot": "unless-stopped",
            },
            "bad",
            "inactive",
        ),
        (
            {"active_state": "failed", "sub_state": "failed", "starts_at_boot": "disabled"},
            "bad",
            "failed",
        ),
        ({"active_state": "inactive", "starts_at_boot": "masked"}, "bad", "masked"),
    ],
)
def test_an_optional_service_may_be_absent_but_not_broken(
    changes: dict[str, object], verdict: str, text: str
) -> None:
    finding = judge(replace(UNIT, **changes), Service("nova-scheduler", required=False))  # type: ignore[arg-type]  # the table's own words
    assert (finding.verdict, finding.text) == (verdict, text)


@pytest.mark.parametrize(("kind", "word"), [("absent", "absent"), ("systemd", "masked")])
def test_a_retired_service_says_what_became_of_it(kind: str, word: str) -> None:
    service = Service("nova-cert", required=False, retired="removed in Pike")
    state = replace(UNIT, kind=kind, active_state="inactive", starts_at_boot="masked")  # type: ignore[arg-type]  # the table's own words
    finding = judge(state, service)
    assert (finding.verdict, finding.text) == ("absent", f"{word} (removed in Pike)")


def test_a_container_that_cannot_be_asked_about_is_not_called_absent() -> None:
    service = Service("nova-api", container="nova_api", unit="kolla-nova_api", required=False)
    state = replace(UNIT, kind="absent")
    finding = judge(state, service, container_error="docker: Cannot connect")
    assert (finding.verdict, finding.text) == ("bad", "unknown (docker: Cannot connect)")


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("before", "restarts", "entered", "verdict"),
    [
        (0, 0, LONG_AGO, "ok"),
        (2, 2, LONG_AGO, "ok"),  # it flapped, and has been told of
        (2, 3, minutes_ago(60 * 20), "bad"),
        (5, 0, minutes_ago(60 * 20), "ok"),  # a person's restart sets the count to 0
        (5, 2, minutes_ago(60 * 20), "bad"),  # a person's restart, then two of its own
        (None, 0, minutes_ago(1), "ok"),
        (None, 1, minutes_ago(1), "bad"),
        (None, 4, minutes_ago(60), "ok"),  # nobody knows when the others were
    ],
)
def test_flapping_is_a_restart_of_its_own_since_the_last_check(
    before: int | None, restarts: int, entered: datetime, verdict: str
) -> None:
    last = LastCheck(
        boot_id="b1",
        clock=LAST_NIGHT,
        restarts={} if before is None else {"nova-scheduler": before},
    )
    finding = judge(replace(UNIT, n_restarts=restarts, active_enter=entered), last=last)
    assert finding.verdict == verdict
    assert ("flapping" in finding.text) is (verdict == "bad")


def test_flapping_says_how_often_and_since_when() -> None:
    last = LastCheck(boot_id="b1", clock=LAST_NIGHT, restarts={"nova-scheduler": 1})
    finding = judge(replace(UNIT, n_restarts=4, active_enter=minutes_ago(3)), last=last)
    assert finding.text == (
        "flapping (restarted by itself 3 times since the last check, 2026-11-21 01:00:00 UTC)"
    )
    assert finding.journal


def test_a_persons_restart_is_told_and_no_fault() -> None:
    last = LastCheck(boot_id="b1", clock=LAST_NIGHT, restarts={"nova-scheduler": 0})
    finding = judge(replace(UNIT, active_enter=minutes_ago(30)), last=last)
    assert (finding.verdict, finding.text) == ("ok", "active (restarted 2026-11-22 00:30:00 UTC)")


def test_a_boot_explains_restarts_of_its_first_minutes() -> None:
    state = replace(UNIT, n_restarts=1, active_enter=minutes_ago(1))
    assert judge(state, booted=minutes_ago(2)).verdict == "ok"
    assert judge(state, booted=minutes_ago(8)).verdict == "bad"


def test_without_a_count_of_restarts_a_young_activation_is_flapping() -> None:
    controller = on(replace(UNIT, active_enter=minutes_ago(2)))
    old_systemd = replace(controller.services[0], has_restart_count=False)
    assert judge_service(SERVICE, old_systemd, controller, LastCheck()).text == (
        "flapping (started only 2026-11-22 00:58:00 UTC, after the boot)"
    )


def test_another_boot_is_not_compared_with() -> None:
    deployment = Deployment(
        "one", (ServiceGroup("Nova services", (SERVICE,)),), NovaCompute("c", ("/l",))
    )
    controller = on(replace(UNIT, n_restarts=2, active_enter=minutes_ago(60)))
    for boot, verdict in (("b0", "ok"), ("b1", "bad")):
        last = LastCheck(boot_id=boot, clock=LAST_NIGHT, restarts={"nova-scheduler": 1})
        (finding,) = judge_services(deployment, controller, last)["Nova services"]
        assert finding.verdict == verdict


def test_what_is_remembered_is_what_is_compared() -> None:
    controller = on(replace(UNIT, n_restarts=3))
    stored = {"boot_id": "b1", "clock": NOW.isoformat(), "restarts": restarts_of(controller)}
    assert read_last_check(stored) == LastCheck(
        boot_id="b1", clock=NOW, restarts={"nova-scheduler": 3}
    )


@pytest.mark.parametrize(
    "stored",
    [
        None,
        1,
        [1],
        "x",
        {},
        {"boot_id": 1, "clock": None, "restarts": None},
        {"boot_id": "b1", "clock": "9999-13-45", "restarts": []},
    ],
)
def test_what_is_no_check_compares_nothing(stored: object) -> None:
    assert read_last_check(stored) == LastCheck()


@pytest.mark.parametrize(
    "clock", [None, 5, "x", "2026-11-22T01:00:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_clock_that_cannot_be_read_is_left_out(clock: object) -> None:
    stored = {"boot_id": "b1", "clock": clock, "restarts": {"a": 1, "b": "2", "c": None, "d": True}}
    assert read_last_check(stored) == LastCheck(boot_id="b1", clock=None, restarts={"a": 1})
