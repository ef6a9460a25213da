"""The steps of a host's run with its context in their hands, without a cloud or a host: what each
says in its log, and what the report makes of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from airflow_run import context_of, write_policy
from builders import host_facts, instance
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.cloud import SHUT, Instance
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.facts import HostFacts
from openstack_maintenance.domain.mark import Mark, find_mark
from openstack_maintenance.operators.base import StepFailed
from openstack_maintenance.operators.host import drain, emptiness
from openstack_maintenance.operators.host import steps as host_steps
from openstack_maintenance.operators.host.check_host import CheckHostOperator
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.operators.host.service import EnableServiceOperator
from openstack_maintenance.operators.silence import Silence
from openstack_maintenance.records.store import find_record, record_path

DAG, RUN = "compute_host_maintenance", "r1"
NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
SILENT = CloudError("cloud x", "does not answer", "Wait.")
OURS = str(Mark(DAG, RUN, "kernel"))
WEB = instance("i1", name="web-1")
API = instance("i3", name="api-1")
OLD = instance("i2", name="old-1", status="SUSPENDED")


def nova_with(
    *instances: Instance, reason: str | None = OURS, errors: dict[str, Any] | None = None
) -> InMemoryNova:
    """A cloud of two hosts. ``reason``: why c01, which holds ``instances``, is disabled."""
    cloud = CloudState(instances={each.id: each for each in instances})
    cloud.add_host("c01", reason=reason)
    cloud.add_host("c02")
    return InMemoryNova(cloud, errors=errors or {})


def context(
    states: dict[str, str] | None = None, results: dict[str, Any] | None = None, **params: Any
) -> Any:
    given = {"host": "c01", "reason": "kernel", "ignore_window": True, **params}
    return context_of(DAG, run_id=RUN, params=given, states=states, results=results or {})


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_policy(tmp_path, monkeypatch)


Said = Callable[[], list[str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """The lines of the log since it was last asked."""
    return lambda: capsys.readouterr().out.splitlines()


def told(said: Said, line: str) -> bool:
    return sum(line in each for each in said()) == 1


def made(step: type[Any], nova: InMemoryNova, **given: Any) -> Any:
    operator = step(task_id="step", **given)
    operator.__dict__["nova"] = nova
    return operator


# The report.

DONE = {
    "check_host": {"host": "c01"},
    "migrate_instance": [
        {
            "name": "web-1",
            "instance_id": "i1",
            "source": "c01",
            "host": "c02",
            "status": "ACTIVE",
            "method": "live",
            "outcome": "moved to c02",
            "migration": "m1",
            "started_at": "2026-03-10T01:10:00+00:00",
            "ended_at": "2026-03-10T01:10:42+00:00",
        }
    ],
    "wait_for_host": {"boot_id_after": "b2"},
    "assert_amqp": {"kind": "log_line"},
    "enable_service": {"state": "enabled, up"},
}
WRONG = {"subject": "cloud x", "found": "does not answer", "remedy": "Wait."}
GREEN = dict.fromkeys(DONE, "success")
REFUSED = {"check_host": "failed", "disable_service": "upstream_failed"}
REFUSED_SAID = {"check_host.error": WRONG}


def report(nova: InMemoryNova, *given: Any) -> Any:
    return made(ReportOperator, nova).execute(context(*given))


def test_a_green_report_says_in_one_line_what_was_done_and_where_it_is_written(
    said: Said,
) -> None:
    report(nova_with(), GREEN, DONE)
    (line,) = [each for each in said() if "record: " in each]
    assert "c01: done in " in line
    assert ": 1 instance moved live; rebooted, on the bus, enabled; record: file://" in line


def test_a_record_and_its_page_name_who_triggered_the_run(policy: Path) -> None:
    report(nova_with(), GREEN, DONE)
    record = find_record(read_policy(), DAG, RUN)
    assert record is not None
    assert record["triggered_by"] == "anna"
    page = record_path(read_policy(), DAG, RUN).with_suffix(".html").read_text()
    assert "triggered by anna" in page


def test_a_red_report_says_its_sentence_on_a_line_of_its_own(said: Said) -> None:
    with pytest.raises(StepFailed):
        report(nova_with(), REFUSED, REFUSED_SAID)
    lines = [line for line in said() if "cloud x: does not answer. Wait." in line]
    assert len(lines) == 1
    assert "error" in lines[0].lower()


def failed(nova: InMemoryNova, states: dict[str, str]) -> list[str]:
    with pytest.raises(StepFailed):
        report(nova, states, REFUSED_SAID)
    record = find_record(read_policy(), DAG, RUN)
    assert record is not None
    return list(record["notes"])


@pytest.mark.parametrize("state", ["upstream_failed", "skipped", None])
def test_nova_is_not_asked_where_the_run_never_began_to_disable(state: str | None) -> None:
    nova = nova_with(errors={"find_service": SILENT, "get_service": SILENT})
    states = {"check_host": "failed", **({"disable_service": state} if state else {})}
    assert failed(nova, states) == []
    assert nova.calls.total() == 0


@pytest.mark.parametrize("state", ["success", "failed"])
def test_the_reason_is_written_into_nova_where_the_run_may_have_the_host(state: str) -> None:
    nova = nova_with()
    notes = failed(nova, {"disable_service": state, "check_host": "failed"})
    assert len(nova.ordered("disable")) == len(notes) == 1
    mark = find_mark(nova.orders[0].detail)
    assert mark is not None
    assert mark.has_failed
    assert mark.text.startswith("failed at ")


def test_that_the_reason_could_not_be_written_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReportOperator, "begun_silence", lambda step: Silence(NOW))  # long ago
    nova = nova_with(errors={"find_service": SILENT, "get_service": SILENT})
    (note,) = failed(nova, {"check_host": "failed", "disable_service": "success"})
    assert note.startswith("the reason could not be written into Nova: cloud x")


def test_a_host_that_an_earlier_try_disabled_gets_the_reason_of_every_later_one() -> None:
    """All was cleared, and then the pre-check refused: disable_service was not begun again."""
    nova = nova_with()
    failed(nova, {"check_host": "failed", "disable_service": "success"})
    for _ in range(2):
        (note,) = failed(nova, REFUSED)
        assert note.startswith("host c01 stays disabled: ")
    assert len(nova.ordered("disable")) == 3


def test_where_an_earlier_record_cannot_be_read_nova_is_asked() -> None:
    path = record_path(read_policy(), DAG, RUN)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    nova = nova_with()
    assert len(failed(nova, REFUSED)) == 1


def test_however_often_a_done_run_is_cleared_it_does_nothing_and_its_record_stays() -> None:
    report(nova_with(), GREEN, DONE)
    done = find_record(read_policy(), DAG, RUN)
    assert done is not None
    for _ in range(2):
        nova, given = nova_with(), context()
        with pytest.raises(DownstreamTasksSkipped):
            made(CheckHostOperator, nova, first_change="disable_service").execute(given)
        found = given["ti"].xcoms["return_value"]
        assert found == {"host": "c01", "already_done": True}
        report(nova, {"check_host": "success"}, {"check_host": found})
        assert nova.calls.total() == 0
        assert find_record(read_policy(), DAG, RUN) == done | {"outcome": "already_done"}


# A dry run.


def test_a_dry_runs_plan_stands_in_its_record_in_the_words_of_the_log(
    monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    async def read_facts(self: Any, address: str) -> HostFacts:
        return host_facts()

    monkeypatch.setattr(CheckHostOperator, "_read_facts", read_facts)
    monkeypatch.setattr(CheckHostOperator, "_check_room", lambda *given: [])
    nova = nova_with(WEB, reason=None)
    given = context(dry_run=True)
    with pytest.raises(DownstreamTasksSkipped):
        made(CheckHostOperator, nova, first_change="disable_service").execute(given)
    found = given["ti"].xcoms["return_value"]
    log = "\n".join(said())
    assert found["would"][0] == f"1. disable nova-compute on c01: {OURS}"
    assert "2. move web-1 (i1), ACTIVE, 512 MiB: live, to where Nova's" in found["would"][1]
    assert all(line in log for line in found["would"])

    again = context({"check_host": "success"}, {"check_host": found}, dry_run=True)
    made(ReportOperator, nova).execute(again)
    assert "c01: dry run, nothing was changed; record: " in "\n".join(said())
    page = record_path(read_policy(), DAG, RUN).with_suffix(".html").read_text()
    assert "2. move web-1 (i1), ACTIVE, 512 MiB: live, to where Nova" in page


# Each step says one line about what it found or proved.


@pytest.mark.parametrize(
    ("listed", "line"),
    [
        ([], "host c01: to be moved: no instance"),
        ([WEB], "host c01: to be moved: 1 instance (1 live)"),
        ([WEB, API], "host c01: to be moved: 2 instances (2 live)"),
    ],
)
def test_what_is_to_be_moved_is_said(listed: list[Instance], line: str, said: Said) -> None:
    nova = nova_with(*listed)
    made(drain.ListInstancesOperator, nova).execute(context())
    assert told(said, line)


@pytest.mark.parametrize(
    ("listed", "line"),
    [
        ([], "host c01: holds no instance and none is on its way"),
        ([OLD], "host c01: holds only what is left there, old-1 (SUSPENDED), and none is on"),
    ],
)
def test_an_empty_host_is_said_to_be(listed: list[Instance], line: str, said: Said) -> None:
    nova = nova_with(*listed)
    made(drain.CheckHostEmptyOperator, nova).execute(context(on_blocked="leave"))
    assert told(said, line)


def test_a_host_on_which_more_is_placed_than_nova_lists_is_not_said_to_be_empty(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emptiness.time, "sleep", lambda seconds: None)
    nova = nova_with(OLD)
    nova.cloud.placed = {"c01": frozenset({"i2", "gone"})}
    with pytest.raises(StepFailed, match="openstack resource provider allocation delete gone"):
        made(drain.CheckHostEmptyOperator, nova).execute(context(on_blocked="leave"))
    assert not any("and none is on its way" in line for line in said())


@pytest.mark.parametrize(
    ("step", "params", "line"),
    [
        (host_steps.RunScriptOperator, {}, "no script was asked for"),
        (host_steps.RebootOperator, {"reboot": False}, "no reboot was asked for"),
    ],
)
def test_a_step_that_is_skipped_says_why(
    step: type[Any], params: dict[str, Any], line: str, said: Said
) -> None:
    with pytest.raises(AirflowSkipException):
        made(step, nova_with()).execute(context(**params))
    assert told(said, line)


BACK = {
    "boot_id_before": "b1",
    "boot_id_after": "b2",
    "ordered_at": "2026-03-10T01:10:00.5+01:00",
    "back_at": "2026-03-10T00:11:42.5+00:00",
}
BEATS = [f"2026-03-10T12:00:{second}.25+00:00" for second in ("01", "06", "11")]


@pytest.mark.parametrize(
    ("step", "result", "line"),
    [
        (
            host_steps.StopNovaComputeOperator,
            {"state": "nova-compute (systemd): inactive/dead, no process"},
            "host c01: nova-compute is stopped: nova-compute (systemd): inactive/dead, no process",
        ),
        (
            host_steps.RunScriptOperator,
            {"script": "fstrim.sh", "exit_code": 0, "output": ["a", "b"]},
            "script fstrim.sh: succeeded; its last line: b",
        ),
        (
            host_steps.WaitForHostOperator,
            BACK,
            "host c01: has rebooted and is back, 1 min 42 s after nova-compute was stopped",
        ),
        (
            host_steps.WaitForNovaComputeOperator,
            {"heartbeats": BEATS},
            "host c01: nova-compute is up, heartbeats 12:00:01, 12:00:06, 12:00:11",
        ),
        (
            host_steps.AssertAmqpOperator,
            {"reason": "connected to ctl:5672 since nova-compute was stopped"},
            "host c01: nova-compute is on the message bus: connected to ctl:5672 since",
        ),
    ],
)
def test_what_a_wait_has_proved_is_said_when_it_ends(
    step: type[Any], result: dict[str, Any], line: str, said: Said
) -> None:
    assert made(step, nova_with()).execute_complete(context(), {"result": result}) == result
    assert told(said, line)


@pytest.mark.parametrize("back_at", ["2026-03-10T00:09:00+00:00", None])
def test_a_clock_that_does_not_tell_how_long_a_host_was_away_is_not_quoted(
    back_at: str | None,
) -> None:
    ordered = BACK["ordered_at"] if back_at else None
    back = {"ordered_at": ordered, "back_at": back_at}
    assert host_steps.since_in_words(back, "x") == ""


def enabling(shut: str) -> InMemoryNova:
    """A Nova whose Placement has every host as disabled until it is told often enough."""
    found = nova_with()
    found.cloud.traits = {SHUT}
    told_by = found.enable
    asked: list[str] = []

    def enable(service: Any) -> None:
        told_by(service)
        asked.append(service.host)
        if shut == "once" and len(asked) > 1:
            found.cloud.traits.clear()

    found.enable = enable  # type: ignore[method-assign]
    return found


def test_a_host_that_placement_still_has_as_disabled_is_enabled_once_more(said: Said) -> None:
    nova = enabling("once")
    assert made(EnableServiceOperator, nova).execute(context())["state"] == "enabled, up"
    assert told(said, "host c01: Placement still has it as disabled: told once more")
    assert nova.cloud.traits == set()


def test_one_that_a_person_has_disabled_in_this_moment_stays_his(said: Said) -> None:
    """Placement has it as disabled for that very reason."""
    nova = enabling("always")
    traits, theirs = nova.traits, "RAM is broken, ask Kim"

    def read(hypervisors: Any) -> Any:
        nova.cloud.add_host("c01", reason=theirs)
        return traits(hypervisors)

    nova.traits = read  # type: ignore[method-assign]
    assert made(EnableServiceOperator, nova).execute(context())["state"] == "enabled, up"
    assert told(said, "host c01: somebody has disabled it since this run enabled it")
    assert nova.get_service("c01").disabled_reason == theirs


def test_one_that_stays_so_is_not_said_to_be_in_service() -> None:
    with pytest.raises(StepFailed, match=r"nothing is scheduled there.*Restart nova-compute"):
        made(EnableServiceOperator, enabling("always")).execute(context())


def test_where_placement_may_not_be_asked_it_is_given_back_all_the_same(said: Said) -> None:
    refused = Refused("placement API", "the cloud x forbids it", "Allow it.")
    nova = nova_with(errors={"traits": refused})
    assert made(EnableServiceOperator, nova).execute(context())["state"] == "enabled, up"
    assert told(said, "whether Placement has it as disabled is not known")


def test_a_host_that_is_given_back_is_said_to_be(said: Said) -> None:
    made(EnableServiceOperator, nova_with()).execute(context())
    assert told(said, "host c01: in service again: its nova-compute is enabled and up")
