"""What is proven of a past night: a table of histories, and one recorded from a real systemd."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders import unit_state
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.history import Boot, Event, History, UnitNow, parse_history
from openstack_maintenance.domain.checks.past_night import judge_night, judge_then
from openstack_maintenance.domain.deployment import Service
from openstack_maintenance.domain.host.answers import parse_answers
from openstack_maintenance.domain.host.facts import UnitState

FIXTURES = Path(__file__).parents[2] / "fixtures/controller"
PROJECT = Path(__file__).parents[3]
UNIT = "nova-api.service"
SERVICE = Service("nova-api")
OPENS = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
NIGHT = (OPENS, OPENS + timedelta(hours=1))
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ACTIVE = unit_state(UNIT, main_pid=7, pids=(), starts_at_boot="enabled")
OLD_BOOT = Boot(
    id="b0", first=OPENS - timedelta(days=9), last=OPENS - timedelta(days=5), was_shut_down=True
)
BOOT = Boot(id="b1", first=OPENS - timedelta(days=5), last=NOW)


def at(text: str) -> datetime:
    """A time of day of the night's date."""
    return datetime.fromisoformat(f"2026-11-20T{text}+00:00")


def days_before(days: float) -> datetime:
    return OPENS - timedelta(days=days)


def up(moment: datetime) -> Event:
    return Event(at=moment, is_up=True, text="started")


def down(moment: datetime, text: str = "stopped") -> Event:
    return Event(at=moment, is_up=False, text=text)


def history(
    *events: Event, boots: tuple[Boot, ...] = (OLD_BOOT, BOOT), **changes: object
) -> History:
    found = History(
        hostname="ctl01",
        boot_id="b1",
        booted=boots[-1].first if boots else None,
        clock_now=NOW,
        units=(),
        boots=boots,
        events={UNIT: tuple(events)},
        reaches_to=boots[0].first if boots else None,
    )
    return replace(found, **changes)  # type: ignore[arg-type]  # the table's own words


def judge(
    found: History,
    entered: datetime | None = NOW,
    inactive: datetime | None = None,
    state: UnitState = ACTIVE,
    service: Service = SERVICE,
) -> Finding:
    unit = UnitNow(
        name="nova-api", state=replace(state, active_enter=entered), inactive_enter=inactive
    )
    return judge_then(service, unit, found, NIGHT)


def test_what_has_been_active_since_before_the_night_was_active_then() -> None:
    finding = judge(history(boots=()), entered=days_before(3))
    assert (finding.verdict, finding.text) == ("ok", "active then (since 2026-11-17 01:00:00)")


def test_what_has_been_down_since_before_the_night_was_not() -> None:
    failed = replace(ACTIVE, active_state="failed", main_pid=0)
    finding = judge(history(boots=()), days_before(3), days_before(2), failed)
    assert (finding.verdict, finding.text) == (
        "bad",
        "not active then (failed since 2026-11-18 01:00:00)",
    )


def test_what_was_never_started_in_this_boot_was_not() -> None:
    dead = replace(ACTIVE, active_state="inactive", main_pid=0)
    finding = judge(history(), entered=None, state=dead)
    assert finding.text == "not active then (not started since the boot at 2026-11-15 01:00:00)"


@pytest.mark.parametrize(
    ("events", "verdict", "text"),
    [
        ([up(days_before(4))], "ok", "active then (started 2026-11-16 01:00:00)"),
        (
            [up(days_before(4)), down(days_before(1), "failed")],
            "bad",
            "not active then (failed 2026-11-19 01:00:00 to 2026-11-20 02:00:00)",
        ),
        (
            [up(days_before(4)), down(days_before(2)), up(days_before(1))],
            "ok",
            "active then (started 2026-11-19 01:00:00)",
        ),
        (
            [up(days_before(4)), down(at("01:10:00")), up(at("01:10:03"))],
            "ok",
            "active then (but for a restart, 2026-11-20 01:10:00 to 2026-11-20 01:10:03)",
        ),
        (
            [up(days_before(4)), down(at("01:10:00")), up(at("01:40:00"))],
            "bad",
            "not active then (down 2026-11-20 01:10:00 to 2026-11-20 01:40:00)",
        ),
        (
            [up(days_before(4)), down(at("01:59:59"))],
            "bad",
            "not active then (down 2026-11-20 01:59:59 to 2026-11-20 02:00:00)",
        ),
        (
            [up(days_before(4))]
            + [
                event
                for n in range(10, 20)
                for event in (down(at(f"01:{n}:00")), up(at(f"01:{n}:05")))
            ],
            "bad",
            "not active then (down 2026-11-20 01:10:00 to 2026-11-20 01:10:05, "
            "2026-11-20 01:11:00 to 2026-11-20 01:11:05, "
            "2026-11-20 01:12:00 to 2026-11-20 01:12:05, and 7 times more)",
        ),
        # After the night nothing counts.
        ([up(days_before(4)), down(at("02:00:01"))], "ok", "active then"),
        # An earlier boot's start says nothing about this one.
        (
            [up(days_before(8))],
            "bad",
            "not active then (not started since the boot at 2026-11-15 01:00:00)",
        ),
        ([up(at("01:30:00"))], "bad", "not active then (down 2026-11-20 01:30:00"),
    ],
)
def test_the_journals_events_decide(events: list[Event], verdict: str, text: str) -> None:
    finding = judge(history(*events))
    assert finding.verdict == verdict
    assert finding.text.startswith(text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"boots": (replace(BOOT, first=at("01:00:01")),)},
            "unknown (the journal reaches back only to 2026-11-20 01:00:01)",
        ),
        ({"boots": ()}, "unknown (the journal is empty)"),
        (
            {"journal_error": "the login may not read it"},
            "unknown (the journal cannot be read: the login may not read it)",
        ),
        (
            {"boots": (BOOT,), "booted": days_before(30)},
            "unknown (the journal, back to 2026-11-15 01:00:00, says neither start nor stop)",
        ),
        (
            {"reaches_to": days_before(1)},
            "unknown (the journal, back to 2026-11-19 01:00:00, says neither start nor stop)",
        ),
    ],
)
def test_what_the_journal_cannot_prove_is_unknown_and_says_why(
    changes: dict[str, object], text: str
) -> None:
    assert judge(history(**changes)).text == text  # type: ignore[arg-type]  # the table's own words


@pytest.mark.parametrize(
    ("boots", "verdict", "text"),
    [
        (
            (replace(OLD_BOOT, last=at("00:30:00")), replace(BOOT, first=at("03:00:00"))),
            "bad",
            "not active then (the controller was down from 2026-11-20 00:30:00 to "
            "2026-11-20 03:00:00)",
        ),
        (
            (
                replace(OLD_BOOT, last=at("00:30:00"), was_shut_down=False),
                replace(BOOT, first=at("03:00:00")),
            ),
            "unknown",
            "unknown (the journal breaks off at 2026-11-20 00:30:00)",
        ),
        (
            (replace(OLD_BOOT, last=at("01:10:00")), replace(BOOT, first=at("01:11:00"))),
            "bad",
            "not active then (the controller booted at 2026-11-20 01:11:00)",
        ),
    ],
)
def test_a_controller_that_was_down_ran_nothing(
    boots: tuple[Boot, ...], verdict: str, text: str
) -> None:
    finding = judge(history(up(days_before(8)), boots=boots))
    assert (finding.verdict, finding.text) == (verdict, text)


def test_a_container_has_no_history() -> None:
    finding = judge(history(up(days_before(4))), state=replace(ACTIVE, kind="docker"))
    assert finding.text == "unknown (docker keeps no history of it)"


def test_an_optional_service_that_nobody_uses_is_absent() -> None:
    optional = Service("nova-api", required=False)
    unused = replace(ACTIVE, active_state="inactive", main_pid=0, starts_at_boot="disabled")
    assert judge(history(), None, days_before(3), unused, optional).verdict == "absent"
    none = UnitState(UNIT, "absent")
    empty = history(boots=())
    assert judge(empty, None, None, none, optional).verdict == "absent"
    assert judge(empty, None, None, none).verdict == "unknown"
    retired = Service("nova-api", required=False, retired="gone in Pike")
    assert judge(empty, None, None, none, retired).text == "absent (gone in Pike)"


def recorded() -> History:
    answers = parse_answers((FIXTURES / "history.txt").read_text())
    assert answers is not None
    deployment = load_deployment("lab", PROJECT / "include/deployments")
    return parse_history(answers, [(each.name, f"{each.name}.service") for each in deployment])


def test_a_recorded_history_is_read() -> None:
    found = recorded()
    assert len(found.boots) == 1
    assert found.boots[0].id == found.boot_id
    assert found.reaches_to == found.boots[0].first
    loops = [event for event in found.events["placement-api.service"] if event.text == "failed"]
    assert len(loops) >= 10
    assert found.events["nova-scheduler.service"][-1].is_up


def test_a_recorded_night_differs_by_what_happened_in_it() -> None:
    """13:41:35 to 13:42:01: nova-scheduler was stopped, and started at the end."""
    found = recorded()
    deployment = load_deployment("lab", PROJECT / "include/deployments")

    def texts(opens: str, closes: str) -> dict[str, str]:
        span = [datetime.fromisoformat(f"2026-11-22T{each}+00:00") for each in (opens, closes)]
        judged = judge_night(deployment, found, (span[0], span[1]))
        return {each.name: each.text for group in judged.values() for each in group}

    quiet, broken = texts("13:00:00", "13:20:00"), texts("13:41:40", "13:41:58")
    before = texts("11:00:00", "12:00:00")
    assert quiet["nova-scheduler"].startswith("active then (started 2026-11-22 12:50:39)")
    assert broken["nova-scheduler"].startswith("not active then (stopped 2026-11-22 13:41:35 to")
    assert broken["memcached"].startswith("active then (since 2026-11-22 12:50:16)")
    assert "flapping" not in str(broken)
    assert broken["placement-api"].startswith("not active then")
    assert all(text.startswith("unknown (the journal reaches") for text in before.values())


def test_a_cut_list_of_events_reaches_back_only_to_its_first() -> None:
    rows = [
        json.dumps({"__REALTIME_TIMESTAMP": str(1_795_354_000_000_000 + n), "UNIT": UNIT})
        for n in range(8000)
    ]
    found = parse_history(
        {
            "clock": ("2026-11-22T14:00:00+0000",),
            "boot": ("0 " + "a" * 32 + " Sun 2026-11-22 12:50:16 UTC Sun 2026-11-22 13:16:08 UTC",),
            "event": ("-- a hint of journalctl", *rows),
        },
        [],
    )
    assert found.reaches_to == datetime.fromtimestamp(1_795_354_000, UTC)


@pytest.mark.parametrize("dash", [" ", "—"])
def test_boots_are_read_from_old_and_new_journalctl(dash: str) -> None:
    line = f" -1 {'a' * 32} Sun 2026-11-22 12:50:16 UTC{dash}Sun 2026-11-22 13:16:08 UTC"
    found = parse_history({"clock": ("2026-11-22T14:00:00+0000",), "boot": (line,)}, [])
    (boot,) = found.boots
    assert boot.first == datetime(2026, 11, 22, 12, 50, 16, tzinfo=UTC)
    assert boot.last == datetime(2026, 11, 22, 13, 16, 8, tzinfo=UTC)


ROW = {
    "__REALTIME_TIMESTAMP": "1795351816895578",
    "UNIT": "nova-api.service",
    "MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf",
}
NOW_SAID = {"clock": ("2026-11-22T13:42:05+0000",), "boot_id": ("b",)}


def with_events(*lines: str, boots: tuple[str, ...] = ()) -> History:
    return parse_history({**NOW_SAID, "event": lines, "boot": boots}, [])


@pytest.mark.parametrize(
    "change",
    [
        {"__REALTIME_TIMESTAMP": "²"},
        {"__REALTIME_TIMESTAMP": "9" * 18},
        {"__REALTIME_TIMESTAMP": "9" * 4_000},
        {"__REALTIME_TIMESTAMP": "-1"},
        {"__REALTIME_TIMESTAMP": 1795351816895578},
        {"__REALTIME_TIMESTAMP": None},
        {"__REALTIME_TIMESTAMP": ["1"]},
        {"UNIT": ["nova-api.service"]},
        {"UNIT": None},
        {"MESSAGE_ID": ["39f53479d3a045ac8e11786248231fbf"], "MESSAGE": [1, 2]},
        {"MESSAGE_ID": {}, "MESSAGE": {"a": 1}},
    ],
)
def test_an_entry_of_the_journal_that_cannot_be_read_is_no_event(change: dict[str, Any]) -> None:
    found = with_events(json.dumps({**ROW, **change}), json.dumps(ROW))
    assert [len(events) for events in found.events.values()] == [1]


@pytest.mark.parametrize("line", ["[" * 8_000, '{"a":' * 1_500, "null", "[1]", "9" * 5_000, '"x"'])
def test_a_line_that_is_no_entry_is_no_event(line: str) -> None:
    assert list(with_events(line, json.dumps(ROW)).events) == ["nova-api.service"]


@pytest.mark.parametrize(
    "times",
    [
        "Sun 2026-13-22 12:50:16 UTC—Sun 2026-11-22 13:42:05 UTC",
        "Sun 2026-11-22 12:50:16 UTC—Sun 9999-12-31 23:59:59 UTC",
        "Sun ٢٠٢٦-11-22 12:50:16 UTC—Sun 2026-11-22 13:42:05 UTC",
    ],
)
def test_a_boot_of_no_calendar_is_none(times: str) -> None:
    assert with_events(boots=(f"0 {'a' * 32} {times}",)).boots == ()


def test_a_journal_that_was_cut_short_reaches_no_further_than_its_oldest_entry() -> None:
    """One of the 8,000 that were sent cannot be read: there may be older ones all the same."""
    boot = f"0 {'a' * 32} Sun 2026-11-01 12:50:16 UTC—Sun 2026-11-22 13:42:05 UTC"
    found = with_events("{cut", *[json.dumps(ROW)] * 7_999, boots=(boot,))
    assert found.reaches_to == datetime(2026, 11, 22, 12, 50, 16, 895578, tzinfo=UTC)
    assert with_events(*["{cut"] * 8_000, boots=(boot,)).reaches_to is None
