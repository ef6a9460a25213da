"""The triggers that wait for something on a host, and how they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from openstack_maintenance.domain.errors import (
    CheckFailed,
)
from openstack_maintenance.domain.host.facts import UnitState
from openstack_maintenance.triggers.host_steps import (
    NovaComputeGoneTrigger,
    NovaComputeUpTrigger,
    RebootedTrigger,
    ScriptTrigger,
)
from openstack_maintenance.triggers.waiting import Waiting
from trigger_runs import (
    DEFECT,
    FAILED,
    GONE,
    LATER,
    NOW,
    PAST,
    SCRIPT,
    SILENCE,
    STOPPING,
    UNREACHABLE,
    UP,
    Host,
    error_of,
    facts,
    on,
    result_of,
    service,
    with_services,
)

pytestmark = pytest.mark.usefixtures("hurry")


@pytest.mark.parametrize("last", [GONE, FAILED], ids=["inactive", "failed"])
async def test_nova_compute_is_gone_when_no_process_is_left(last: UnitState) -> None:
    host = Host(facts(UP), facts(STOPPING), UNREACHABLE, facts(last))
    found = await result_of(on(host, NovaComputeGoneTrigger))
    assert found["boot_id"] == "b1"
    assert "no process" in found["state"]


async def test_a_nova_compute_that_does_not_stop_is_named() -> None:
    error = await error_of(on(Host(facts(STOPPING)), NovaComputeGoneTrigger, PAST))
    assert "does not stop" in error["found"]
    assert "812" in error["found"]
    assert "clear stop_nova_compute" in error["remedy"]


async def test_a_script_that_ends_well_gives_its_output() -> None:
    done = replace(SCRIPT, status="succeeded", exit_code=0, output=("ok",))
    known = {"unit": SCRIPT.unit, "script": "fstrim.sh"}
    found = await result_of(on(Host(SCRIPT, UNREACHABLE, done), ScriptTrigger, **known))
    assert (found["exit_code"], found["output"]) == (0, ["ok"])


async def test_a_script_that_fails_ends_the_run() -> None:
    bad = replace(SCRIPT, status="failed", exit_code=3, result="exit-code", output=("no space",))
    known = {"unit": SCRIPT.unit, "script": "fstrim.sh"}
    error = await error_of(on(Host(SCRIPT, bad), ScriptTrigger, **known))
    assert error["found"].startswith("failed, exit code 3")
    assert "no space" in error["found"]


async def test_how_a_script_ended_whose_unit_is_gone_is_not_known() -> None:
    gone = replace(SCRIPT, status="absent")
    known = {"unit": SCRIPT.unit, "script": "fstrim.sh"}
    error = await error_of(on(Host(SCRIPT, gone), ScriptTrigger, **known))
    assert error["found"].startswith(f"its unit {SCRIPT.unit} is gone: the host was rebooted")
    assert "clear run_script with Downstream" in error["remedy"]


async def test_only_another_boot_id_proves_a_reboot() -> None:
    host = Host(facts(), UNREACHABLE, facts(), facts(boot_id="b2"))
    known = {"boot_id_before": "b1", "ordered_at": NOW.isoformat()}
    found = await result_of(on(host, RebootedTrigger, **known))
    assert (found["boot_id_before"], found["boot_id_after"]) == ("b1", "b2")


@pytest.mark.parametrize(
    ("look", "happened", "said"),
    [
        (facts(), "was not rebooted", "still in the boot from before"),
        (UNREACHABLE, "did not come back", "does not answer"),
    ],
    ids=["it never went down", "it never came back"],
)
async def test_a_host_that_does_not_reboot_is_named(look: Any, happened: str, said: str) -> None:
    known = {"boot_id_before": "b1", "ordered_at": NOW.isoformat()}
    error = await error_of(on(Host(look), RebootedTrigger, PAST, **known))
    assert happened in error["found"]
    assert said in error["found"]


async def test_nova_compute_is_up_when_its_heartbeat_advanced_twice() -> None:
    down = service(0, is_up=False)
    beats = (down, service(0), service(0), SILENCE, service(10), service(20))
    trigger = with_services(on(Host(UP), NovaComputeUpTrigger), *beats)
    found = await result_of(trigger)
    assert len(found["heartbeats"]) == len(set(found["heartbeats"])) == 3
    assert found["started_by_run"] is False


async def test_heartbeats_from_before_a_restart_do_not_count() -> None:
    host = Host(UP, UP, GONE, UP, UP, UP)
    beats = (service(0), service(10), service(20), service(30), service(40))
    found = await result_of(with_services(on(host, NovaComputeUpTrigger), *beats))
    assert found["heartbeats"][0] == (NOW + timedelta(seconds=20)).isoformat()


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(service(0), id="its heartbeat stands still"),
        pytest.param(service(0, is_up=False), id="Nova calls it down"),
        pytest.param(service(0, updated_at=None), id="it never beat"),
    ],
)
async def test_a_nova_compute_that_is_not_healthy_is_named_with_its_journal(one: Any) -> None:
    error = await error_of(with_services(on(Host(UP), NovaComputeUpTrigger, PAST), one))
    assert "is not healthy (" in error["found"]
    assert "cannot reach libvirt" in error["found"]


async def test_a_unit_that_does_not_start_by_itself_is_started_once() -> None:
    host = Host(GONE, GONE, GONE, UP)
    beats = (service(0), service(10), service(20))
    trigger = with_services(on(host, NovaComputeUpTrigger, start_after_seconds=0), *beats)
    found = await result_of(trigger)
    assert found["started_by_run"] is True
    assert host.started == 1


async def test_a_unit_gets_the_time_to_start_by_itself() -> None:
    host = Host(GONE, GONE, UP)
    beats = (service(0), service(10), service(20))
    trigger = with_services(on(host, NovaComputeUpTrigger, start_after_seconds=60), *beats)
    assert (await result_of(trigger))["started_by_run"] is False
    assert host.started == 0


async def test_what_can_never_come_true_ends_at_once() -> None:
    pointless = CheckFailed("host c01", "is another host", "Fix the address.")
    error = await error_of(on(Host(pointless), RebootedTrigger, boot_id_before="b1"))
    assert error["found"] == "is another host"


async def test_an_error_that_nobody_foresaw_is_waited_for_like_a_silence() -> None:
    host = Host(DEFECT, DEFECT, facts(), DEFECT, facts(boot_id="b2"))
    found = await result_of(on(host, RebootedTrigger, boot_id_before="b1"))
    assert found["boot_id_after"] == "b2"


async def test_an_error_that_nobody_foresaw_is_told_at_the_deadline() -> None:
    error = await error_of(on(Host(DEFECT), RebootedTrigger, PAST, boot_id_before="b1"))
    assert "did not come back" in error["found"]
    assert "still waiting, last error: ZeroDivisionError: division by zero" in error["found"]


async def test_the_traceback_of_a_surprise_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *args: lines.append(text % args))
    looks: list[Any] = [DEFECT, DEFECT, DEFECT, {"done": True}]

    async def look() -> Any:
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def too_late(found: str) -> CheckFailed:
        return CheckFailed("a", found, "c")

    waiting = Waiting("host c01", look, too_late, log)
    assert await waiting.until(datetime.fromisoformat(LATER), 0) == {"done": True}
    assert sum("Traceback" in line for line in lines) == 1
    assert sum("last error: ZeroDivisionError" in line for line in lines) == 1


async def test_the_last_words_come_even_where_the_journal_cannot_be_read() -> None:
    class Mute(Host):
        async def journal_tail(self) -> list[str]:
            raise DEFECT

    trigger = with_services(on(Mute(UP), NovaComputeUpTrigger, PAST), service(0))
    error = await error_of(trigger)
    assert error["subject"] == "host c01"
    assert "the deadline has passed" in error["found"]
    assert "Clear this task" in error["remedy"] or "clear this task" in error["remedy"]


async def test_a_host_that_says_one_boot_id_and_then_the_old_one_is_asked_again() -> None:
    class Torn(Host):
        async def read_facts(self) -> Any:
            return facts(boot_id="b1") if len(self.looks) > 1 else self.seen

    host = Torn(facts(boot_id="b2"), facts(boot_id="b3"), facts(boot_id="b4"))
    found = await result_of(on(host, RebootedTrigger, boot_id_before="b1"))
    assert found["boot_id_after"] == "b3"
