"""The project's own DAGs in the model of Airflow, on a cloud of plain objects."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plain_cloud import PlainCloud
from simulator.airflow import Airflow, BadRequest, Settings
from simulator.airflow.records import Run
from simulator.clock import VirtualTime

DAGS = Path(__file__).resolve().parents[2] / "dags"
DAG = "compute_host_maintenance"
ASKED = {"host": "c01", "reason": "kernel", "ignore_window": True}
STEPS = [
    "check_host",
    "disable_service",
    "list_instances",
    "migrate_instance",
    "list_arrivals",
    "check_host_empty",
    "stop_nova_compute",
    "reboot",
    "wait_for_host",
    "wait_for_nova_compute",
    "assert_amqp",
    "enable_service",
    "report",
]

World = Callable[..., tuple[Airflow, PlainCloud]]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Makes a world of one Airflow and one cloud, and lets it live until the test's end."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(**settings: int) -> tuple[Airflow, PlainCloud]:
            stack.close()
            number = len(list(tmp_path.iterdir()))
            policy = tmp_path / f"policy-{number}.yaml"
            policy.write_text(f"deployment: lab\nrecords: file://{tmp_path}/records-{number}\n")
            monkeypatch.setenv("OPENSTACK_MAINTENANCE_POLICY", str(policy))
            clock = VirtualTime()
            airflow = Airflow(clock, DAGS, Settings(**settings))
            cloud = PlainCloud(clock)
            for each in (clock.installed(), airflow.installed(), cloud.installed()):
                stack.enter_context(each)
            return airflow, cloud

        yield make


def states_of(airflow: Airflow, run: Run, task_id: str) -> set[str | None]:
    return {ti.state for ti in run.instances(task_id)}


def test_a_whole_maintenance_runs_every_task_and_costs_little(world: World) -> None:
    world()  # whatever is imported only once
    airflow, cloud = world()
    began = time.process_time()
    run = airflow.trigger(DAG, ASKED)
    assert airflow.run_until_idle(at_most=3600)
    print(time.process_time() - began)
    assert run.state == "success", airflow.states(run)
    assert all(states_of(airflow, run, step) == {"success"} for step in STEPS)
    assert states_of(airflow, run, "run_script") == {"skipped"}
    assert states_of(airflow, run, "migrate_arrival") == {"skipped"}
    assert [each.host for each in cloud.instances.values()] == ["c02", "c02"]
    assert (cloud.boots, cloud.reasons["c01"]) == (2, None)
    assert any("has rebooted and is back" in line for line in told(airflow, run, "wait_for_host"))
    names = {ti.rendered_map_index for ti in run.instances("migrate_instance")}
    assert names == {"web", "db"}


def told(airflow: Airflow, run: Run, task_id: str) -> list[str]:
    return [line for ti in run.instances(task_id) for line in airflow.log(ti)]


def test_the_same_world_gives_the_same_history(world: World) -> None:
    seen = []
    for _ in range(2):
        airflow, cloud = world()
        run = airflow.trigger(DAG, ASKED)
        airflow.run_until(
            lambda a=airflow, r=run: a.state(r, ("migrate_instance", 1)) == "deferred"
        )
        airflow.kill_triggerer()
        airflow.start_triggerer()
        assert airflow.run_until_idle(at_most=3600)
        seen.append(([str(each) for each in airflow.history], cloud.requests))
    assert seen[0] == seen[1]


def test_a_killed_triggerers_moves_are_found_by_the_next_one_and_not_started_again(
    world: World,
) -> None:
    airflow, cloud = world()
    run = airflow.trigger(DAG, ASKED)
    assert airflow.run_until(lambda: len(cloud.rows) == 1)
    airflow.kill_triggerer()
    airflow.start_triggerer()
    assert airflow.run_until_idle(at_most=3600)
    assert run.state == "success", airflow.states(run)
    assert [row.instance_id for row in cloud.rows].count("web") == 1
    assert [row.instance_id for row in cloud.rows].count("db") == 1
    assert cloud.nova.cloud.conflicts == []


def test_a_worker_that_dies_while_it_disables_is_followed_by_another_try(world: World) -> None:
    airflow, cloud = world()
    run = airflow.trigger(DAG, ASKED)
    assert airflow.run_until(lambda: "disable" in cloud.requests)
    ti = airflow.find(run, "disable_service")
    assert ti is not None
    airflow.kill_worker(ti)
    assert airflow.run_until_idle(at_most=3600)
    assert (run.state, ti.try_number) == ("success", 2)
    tries = [each.state for each in airflow.history if each.task_id == "disable_service"]
    assert tries == [
        *("scheduled", "queued", "running", "up_for_retry"),
        *("scheduled", "queued", "running", "success"),
    ]


def test_a_move_that_a_person_ends_is_aborted(world: World) -> None:
    airflow, cloud = world()
    run = airflow.trigger(DAG, ASKED)
    assert airflow.run_until(lambda: bool(cloud.rows))
    moving = cloud.rows[0].instance_id
    index = next(
        ti.map_index for ti in run.instances("migrate_instance") if ti.rendered_map_index == moving
    )
    airflow.mark(run, ("migrate_instance", index), "failed")
    assert airflow.run_until_idle(at_most=3600)
    assert (run.state, cloud.rows[0].status) == ("failed", "cancelled")
    assert f"abort {moving}" in cloud.requests


def test_params_are_checked_as_airflow_does(world: World) -> None:
    airflow, _ = world()
    with pytest.raises(BadRequest, match="host"):
        airflow.trigger(DAG, {"host": 7})


def test_a_night_is_made_when_it_is_due_and_not_while_its_dag_is_paused(world: World) -> None:
    airflow, _ = world()
    airflow.clock.run(at_most=7200)
    assert not airflow.runs
    airflow.pause("controller_checks", is_paused=False)
    assert airflow.run_until(lambda: bool(airflow.runs), at_most=60)
    assert airflow.runs[0].run_type == "scheduled"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_dies_a_run_comes_to_its_end(world: World, seed: int) -> None:
    airflow, cloud = world(schedulers=1 + seed % 2, triggerers=1 + seed // 2 % 2)
    dice = random.Random(seed)  # noqa: S311  the same again is what is wanted
    run = airflow.trigger(DAG, ASKED)
    for _ in range(4):
        airflow.clock.run(at_most=dice.uniform(0.1, 40))
        fault = dice.choice([kill_a_worker, lose_a_task, new_triggerer, new_scheduler, no_api])
        fault(airflow, dice)
    assert airflow.run_until_idle(at_most=6 * 3600), airflow.states(run)
    assert (run.state == "success") == (cloud.reasons["c01"] is None)


def kill_a_worker(airflow: Airflow, dice: random.Random) -> None:
    for ti in list(airflow.workers.running.values())[:1]:
        dice.choice([airflow.kill_worker, airflow.kill_task])(ti)


def lose_a_task(airflow: Airflow, _: random.Random) -> None:
    for ti in list(airflow.workers.running.values())[:1]:
        airflow.lose(ti)


def new_triggerer(airflow: Airflow, _: random.Random) -> None:
    airflow.kill_triggerer()
    airflow.start_triggerer()


def new_scheduler(airflow: Airflow, _: random.Random) -> None:
    airflow.kill_scheduler()
    airflow.start_scheduler()


def no_api(airflow: Airflow, dice: random.Random) -> None:
    airflow.api_away()
    airflow.clock.after(dice.uniform(1, 60), lambda: airflow.api_away(False))
