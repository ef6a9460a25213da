"""`make rehearse` on a saved fleet, `make plan SAVE=`, and the same in the night's dry run."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from airflow_run import context_of
from builders import instance, service
from in_memory_nova import InMemoryNova
from night_plan import __main__ as plan_command
from night_plan import rehearse as rehearse_command
from night_plan.snapshot_file import save
from openstack_maintenance.domain.mark import NIGHT_DAG
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Size
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud
from openstack_maintenance.domain.nights.past_run import PHASES
from openstack_maintenance.domain.nights.record import build_night_record
from openstack_maintenance.domain.nights.tonight import Tonight, compose_tonight
from openstack_maintenance.operators.nights import plan as plan_operator
from openstack_maintenance.operators.nights.plan import PlanNightOperator
from openstack_maintenance.records.page import page_of
from planner_bench.fleets import make_fleet
from planner_bench.snapshot import main as write_synthetic

NOW = datetime.now(UTC)
DOCS = Path(__file__).parents[3] / "docs"
SECRET = "correct horse"


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All day, and half a day from its end: what is planned does not hang on the hour."""
    ends = f"{NOW - timedelta(hours=12):%H:%M}"
    path = tmp_path / "policy.yaml"
    path.write_text(
        f'deployment: lab\nwindow: {{start: "{ends}", end: "{ends}", timezone: UTC}}\n'
        f"records: file://{tmp_path}/records\nmax_hosts_out: 2\nreserve_hosts: 0\n"
    )
    monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(path))
    # Texts that are compared tell times to the minute.
    for command in (rehearse_command, plan_command):
        monkeypatch.setattr(command, "utc_now", lambda: NOW)
    return path


def facts() -> FleetInCloud:
    names = ("c01", "c02", "c03", "c04")
    disabled = service("c04", f"password={SECRET}")
    return FleetInCloud(
        services=(*(service(name) for name in names[:3]), disabled),
        capacities={name: Size(16, 32768, 100) for name in names},
        properties={},
        instances=(
            instance("i1", host="c01", vcpus=1),
            instance("i2", "SUSPENDED", name="db", host="c02"),
        ),
        groups={},
    )


def verdicts() -> list[Verdict]:
    due = [Verdict(name, "due", "booted 40 days ago") for name in ("c01", "c02", "c03")]
    reason = f"a person disabled it with the reason 'password={SECRET}'"
    return [*due, Verdict("c04", "passed_over", reason)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.json"
    save(compose_tonight(facts(), verdicts()), path, NOW, ())
    return path


def rehearsed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["rehearse", *given])
    code = rehearse_command.main()
    return code, *capsys.readouterr()


def write_runs(folder: Path, host: str, count: int, failed: str | None = None) -> None:
    """Records of runs of a host, each an hour long."""
    (folder / "compute_host_maintenance").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        began = NOW - timedelta(days=number + 1)
        tasks = [
            {"task_id": each[0], "map_index": -1, "state": "success", "seconds": 60.0}
            for each in PHASES.values()
        ]
        for task in tasks:
            if task["task_id"] == failed:
                task["state"] = "failed"
        run_id = f"nightly__{host}__scheduled__{began.isoformat()}"
        record = {
            "outcome": "failed" if failed else "done",
            "host": host,
            "run_id": run_id,
            "started_at": began.isoformat(),
            "ended_at": (began + timedelta(hours=1)).isoformat(),
            "tasks": tasks,
            "moves": [],
        }
        path = folder / "compute_host_maintenance" / f"{run_id}.json"
        path.write_text(json.dumps(record))


def test_a_saved_fleet_is_played_with_no_connection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snapshot: Path
) -> None:
    code, out, err = rehearsed(monkeypatch, capsys, "--snapshot", str(snapshot))
    assert (code, err) == (0, "")
    assert f"Fleet: the snapshot {snapshot}." in out
    assert "Rehearsal: tonight was played 200 times (seed 1)." in out
    assert " of 2 hosts (median), " in out
    assert re.search(r"c02 +db \(i2\) +is SUSPENDED, which Nova cannot migrate", out)
    assert "It goes by 0 records of earlier runs" in out


def test_the_same_seed_prints_the_same_and_so_few_nights_are_said_to_be_rough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snapshot: Path
) -> None:
    given = ("--snapshot", str(snapshot), "--nights", "20", "--seed")
    told = [
        rehearsed(monkeypatch, capsys, *given, seed)[1].partition("Rehearsal: ")[2]
        for seed in ("7", "7", "8")
    ]
    assert told[0] == told[1] != told[2]
    assert "played 20 times (seed 7). So few nights give rough numbers only." in told[0]


def test_what_the_records_teach_changes_the_answer_and_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    snapshot: Path,
) -> None:
    write_runs(tmp_path / "records", "c01", 25)
    write_runs(tmp_path / "records", "c03", 25, failed="reboot")
    (tmp_path / "records/compute_host_maintenance/broken.json").write_text('{"outcome": "do')
    code, out, _ = rehearsed(monkeypatch, capsys, "--snapshot", str(snapshot))
    assert code == 0
    assert "It goes by 50 records of earlier runs" in out
    assert re.search(r"boot fails +\d+\.\d\d % +50 runs", out)
    assert re.search(r"boot +60 s +25 runs", out)
    chances = dict(re.findall(r"^(c0\d) +(\d+) %$", out, re.MULTILINE))
    assert int(chances["c03"]) < 40 < int(chances.get("c01", "100"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--snapshot", "/nowhere/f.json"), "snapshot /nowhere/f.json: No such file or directory."),
        (("--nights", "0"), "NIGHTS: '0' is not a whole number from 1 to 100000."),
        (("--nights", "many"), "NIGHTS: 'many' is not a whole number from 1 to 100000."),
        (("--seed", "-1"), "SEED: '-1' is not a whole number from 0 to "),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    said: str,
) -> None:
    code, out, err = rehearsed(monkeypatch, capsys, *given)
    assert (code, out) == (1, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_broken_snapshot_ends_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], snapshot: Path
) -> None:
    snapshot.write_text(snapshot.read_text()[:200])
    code, out, err = rehearsed(monkeypatch, capsys, "--snapshot", str(snapshot))
    assert (code, out) == (1, "")
    assert "it is not JSON" in err
    assert err.strip().endswith("Save the fleet with `make plan SAVE=FILE`, and name that file.")
    assert len(err.strip().splitlines()) == 1


def test_that_the_policy_blocks_otherwise_than_the_saved_fleet_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    snapshot: Path,
    policy: Path,
) -> None:
    policy.write_text(policy.read_text() + "on_blocked: leave\n")
    out = rehearsed(monkeypatch, capsys, "--snapshot", str(snapshot))[1]
    assert "It was saved with on_blocked=fail; the policy says leave." in out


def test_a_synthetic_fleet_is_written_and_played(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "synthetic.json"
    monkeypatch.setattr(sys, "argv", ["snapshot", "--hosts", "60", str(path)])
    assert write_synthetic() == 0
    code, out, _ = rehearsed(monkeypatch, capsys, "--snapshot", str(path), "--nights", "60")
    assert code == 0
    assert "Rehearsal: tonight was played 60 times (seed 1)." in out
    assert "No instance would block now." in out


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cloud as `facts` has it, every host read."""
    for module in (plan_command, rehearse_command):
        monkeypatch.setattr(module, "judge_hosts", lambda *_: (verdicts(), []))
        monkeypatch.setattr(
            module.CloudHook, "get_conn", lambda _: InMemoryNova(secret_texts={SECRET})
        )
    monkeypatch.setattr(plan_operator, "read_cloud", lambda _: facts())


@pytest.mark.usefixtures("cloud")
def test_the_plan_saves_the_fleet_that_it_read_and_the_rehearsal_is_the_same_of_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "saved.json"
    monkeypatch.setattr(sys, "argv", ["plan", "--save", str(path)])
    assert plan_command.main() == 0
    out = capsys.readouterr().out
    assert f"Saved: {path}. Rehearse it with `make rehearse SNAPSHOT={path}`." in out
    assert SECRET not in path.read_text()
    now = rehearsed(monkeypatch, capsys)[1]
    later = rehearsed(monkeypatch, capsys, "--snapshot", str(path))[1]
    assert now.partition("Rehearsal: ")[2] == later.partition("Rehearsal: ")[2] != ""


def dry_run(monkeypatch: pytest.MonkeyPatch, **params: Any) -> dict[str, Any]:
    """What plan tells the report."""
    monkeypatch.setattr(plan_operator, "read_cloud", lambda _: facts())
    step = PlanNightOperator(task_id="plan")
    step.__dict__["nova"] = InMemoryNova(secret_texts={SECRET})
    results = {"select_hosts": [vars(each) for each in verdicts()]}
    asked = {"reason": "", "dry_run": True, "ignore_window": False, **params}
    context = context_of(NIGHT_DAG, params=asked, results=results)
    step.execute(context)
    told: dict[str, Any] = context["ti"].xcoms["night"]
    return told


def test_a_dry_run_rehearses_the_night_and_its_record_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    night = dry_run(monkeypatch)
    played = night["rehearsal"]
    assert (played["nights"], played["planned"], played["seed"]) == (200, 2, 1)
    assert set(played["chances"]) == {"c01", "c02", "c03"}
    assert played["chances"]["c02"] == 0.0  # the plan leaves it
    run = {"dag_id": NIGHT_DAG, "run_id": "x", "started_at": NOW.isoformat()}
    record = build_night_record(
        run={**run, "params": {"dry_run": True}},
        tasks=[],
        found={"due": [], "planned": [], "night": night, "done": [], "skipped": []},
        errors=[],
        now=NOW,
    )
    schema = json.loads((DOCS / "records/night.schema.json").read_text())
    faults = Draft202012Validator(schema).iter_errors(json.loads(json.dumps(record)))
    assert [each.message for each in faults] == []
    page = page_of(record)
    assert "<h2>Rehearsal</h2>" in page
    assert "Tonight was played 200 times" in page
    assert "db (i2) would block" in page


def test_a_night_that_is_not_rehearsed_says_so_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "rehearsal" not in dry_run(monkeypatch, dry_run=False)


def test_a_dry_run_of_a_large_fleet_plays_as_many_nights_as_it_has_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tonight = Tonight(make_fleet(60))
    monkeypatch.setattr(plan_operator, "read_tonight", lambda *_: tonight)
    clock = SimpleNamespace(monotonic=iter(range(10_000)).__next__)
    monkeypatch.setattr(plan_operator, "time", clock)
    assert 1 <= dry_run(monkeypatch)["rehearsal"]["nights"] <= 5
