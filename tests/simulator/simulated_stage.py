"""The stage of a test on the simulated cloud: the words of the end-to-end tests' stage
(tests/e2e/harness), in virtual time. All judges of the campaign watch each test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from picture import Picture
from simulator import events
from simulator.airflow.records import Run as ModelRun
from simulator.airflow.records import TaskInstance
from simulator.cloud import fleet
from simulator.cloud.model import Instance, Migration
from simulator.judges import all_judges
from simulator.stage import Stage as WatchedStage
from simulator.stage import Undo
from simulator.story import Story, build, flavor_of
from simulator.whole_world import WholeWorld

HOST, NIGHT = "compute_host_maintenance", "nightly_compute_maintenance"
CONTROLLERS = "controller_maintenance"
HOSTS = ("c01", "c02", "c03", "c04")
SCHEMAS = Path(__file__).resolve().parents[2] / "docs/records"
_A_DAY = 86_400.0
_STATES = {
    "ACTIVE": ("active", 1),
    "PAUSED": ("paused", 3),
    "SHUTOFF": ("stopped", 4),
    "SUSPENDED": ("suspended", 4),
    "ERROR": ("error", 1),
}
_STATUS = {vm_state: status for status, (vm_state, _) in _STATES.items()}


@dataclass(frozen=True)
class Run:
    """One DAG run: what it does, what it handed on, and how to make it go on."""

    stage: Stage
    model: ModelRun

    @property
    def run_id(self) -> str:
        return self.model.run_id

    def wait(self, at_most: float = _A_DAY) -> str:
        """Let time pass until the run has ended; its state."""
        assert self.stage.airflow.run_until(lambda: self.model.is_finished, at_most), self.states()
        return self.model.state

    def wait_for(self, task_id: str, *states: str, count: int = 1) -> None:
        """Let time pass until a task, or so many elements of it, are in one of these states."""

        def is_so() -> bool:
            found = [ti for ti in self.model.instances(task_id) if ti.state in states]
            return len(found) >= count or self.model.is_finished

        assert self.stage.airflow.run_until(is_so)
        assert not self.model.is_finished, f"it is over: {self.states()}"

    def states(self) -> dict[str, str | None]:
        """Each task's state, by the name that the UI shows."""
        return self.stage.airflow.states(self.model)

    def tasks(self, task_id: str) -> list[TaskInstance]:
        """The elements of a task."""
        return list(self.model.instances(task_id))

    def xcom(self, task_id: str) -> Any:
        return self.stage.airflow.xcom(self.model, task_id)

    def log(self, task_id: str, map_index: int | None = None) -> str:
        """All that a task, or that element of it, has logged."""
        found = self.tasks(task_id)
        (task,) = found if map_index is None else [ti for ti in found if ti.map_index == map_index]
        return "\n".join(self.stage.airflow.log(task))

    def clear(self, *task_ids: str) -> None:
        """Clear tasks with Downstream; without names, all."""
        self.stage.airflow.clear(self.model, list(task_ids) or None)

    def clear_failed(self) -> None:
        """Clear what failed, and what could not run because of it."""
        self.clear(*sorted({ti.task_id for ti in self.model.instances() if ti.state == "failed"}))

    def mark_failed(self, task_id: str, map_index: int) -> None:
        """End a task as a person does in the UI."""
        self.stage.airflow.mark(self.model, (task_id, map_index), "failed")

    def answer(self, task_id: str, option: str) -> None:
        """Answer a task that waits for a person."""
        self.wait_for(task_id, "awaiting_input")
        self.stage.airflow.answer(self.model, task_id, option)


class Stage:
    """A test's hands: Airflow, hosts and cloud, at rest when the test begins."""

    def __init__(self, world: WholeWorld, watched: WatchedStage) -> None:
        self.world, self.cloud, self.airflow = world, world.cloud, world.airflow
        self._watched = watched
        self._live_seconds: dict[str, float] = {}
        self.cloud.settings.live_seconds = lambda instance, migration: self._live_seconds.get(
            migration.source, 3.0
        )
        for dag_id in (HOST, NIGHT, CONTROLLERS):
            self.airflow.pause(dag_id, False)

    # What there is.

    def set_policy(self, **fields: Any) -> None:
        """The policy, from now on."""
        self.world.hosts.policy = self._watched.story.policy = fields
        path = self.world.hosts.folder / "policy.yaml"
        path.write_text(yaml.safe_dump(self.world.hosts.whole_policy()))

    def place(self, host: str, *states: str, prefix: str = "") -> None:
        """Create instances on a host; they are called after their states: active-01, ..."""
        flavor = flavor_of(self.cloud, 512)
        for number, state in enumerate(states):
            count = states[: number + 1].count(state)
            vm_state, power = _STATES[state]
            instance = fleet.add_instance(
                self.cloud,
                f"{prefix}{state.lower()}-{count:02}",
                host,
                flavor,
                is_running=state not in ("SHUTOFF", "SUSPENDED"),
            )
            self.cloud.state.update(instance, vm_state=vm_state, power_state=power)
            guest = self.cloud.state.guest_of(instance.id)
            if state == "PAUSED" and guest is not None:
                guest.state = "paused"

    def instance(self, name: str) -> Instance:
        found = self._watched.instance(name)
        assert found is not None, f"there is no instance {name}"
        return found

    def on(self, host: str) -> list[str]:
        """The names of the instances that Nova has on a host."""
        return [each.name for each in self.cloud.state.instances.values() if each.host == host]

    def where(self, *names: str) -> dict[str, tuple[str | None, str]]:
        """The host and the status of these instances."""
        found = (self.instance(name) for name in names)
        return {each.name: (each.host, _STATUS[each.vm_state]) for each in found}

    def migrations_of(self, name: str) -> list[Migration]:
        """Nova's migrations of an instance, oldest first."""
        wanted = self.instance(name)
        return [each for each in self._migrations() if each.instance is wanted]

    def _migrations(self) -> list[Migration]:
        cells = self.cloud.state.cells.values()
        return [each for cell in cells for each in cell.migrations.values()]

    def boot_id(self, host: str) -> str:
        return self.world.hosts.machines[host].state.boot_id

    def service(self, host: str) -> tuple[str, str | None]:
        """Whether Nova has a host enabled or disabled, and why."""
        service = self.cloud.state.hosts[host].service
        return ("disabled" if service.is_disabled else "enabled"), service.disabled_reason

    def picture(self) -> Picture:
        """Take a picture of the cloud and its hosts."""
        state = self.cloud.state
        instances = [each for each in state.instances.values() if not each.is_deleted]
        return Picture(
            services={host: self.service(host) for host in HOSTS},
            boots={host: self.boot_id(host) for host in HOSTS},
            instances={each.name: (each.host, _STATUS[each.vm_state]) for each in instances},
            migrations=len(self._migrations()),
        )

    # What others do.

    def happens(self, what: str, **event: Any) -> Undo:
        """Let an event of the campaign happen (simulator/events.py); what it gives ends it."""
        return events.perform(self._watched, {"do": what, **event}) or (lambda: None)

    def set_migration_seconds(self, host: str, seconds: float) -> None:
        """How long a live migration off a host runs, when it begins."""
        self._live_seconds[host] = seconds

    def refuse_live_migrations(self, why: str) -> None:
        """Every host's own check refuses what would come; an empty text: none does."""
        for host in self.cloud.state.hosts.values():
            host.refuses_incoming = why

    def live_migrate(self, name: str, to: str, *, is_forced: bool = False) -> None:
        """As another administrator. ``is_forced``: onto a host that is disabled."""
        self.cloud.live.accept(self.instance(name), to, is_forced=is_forced, who="another admin")

    def complete_migration(self, name: str) -> None:
        """Let the live migration that runs end now, as an administrator can."""
        self.cloud.live.force_complete(self.instance(name), str(self.migrations_of(name)[-1].id))

    def disable(self, host: str, reason: str) -> None:
        service = self.cloud.state.hosts[host].service
        self.cloud.services.update(service, "disabled", reason, who="another admin")

    def enable(self, host: str) -> None:
        service = self.cloud.state.hosts[host].service
        self.cloud.services.update(service, "enabled", who="another admin")

    # What is asked, and what comes of it.

    def maintain(self, host: str, **conf: Any) -> Run:
        """Trigger the maintenance of one host, outside of the window too."""
        return self.trigger(HOST, host=host, **{"ignore_window": True, "reason": "test", **conf})

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        return Run(self, self.airflow.trigger(dag_id, conf))

    def backfill(self, dag_id: str, first: datetime, last: datetime, at_a_time: int) -> list[Run]:
        """The runs of past nights, oldest first, when all have ended."""
        made = self.airflow.backfill(dag_id, first, last, max_active_runs=at_a_time)
        assert self.airflow.run_until(lambda: all(run.is_finished for run in made))
        return [Run(self, run) for run in made]

    def until(self, is_so: Callable[[], bool], wanted: str) -> None:
        """Let time pass until something is so."""
        assert self.airflow.run_until(is_so, 7200), f"after two hours there is not: {wanted}"

    def wait_for_migration(self, name: str, *states: str) -> None:
        """Let time pass until the last migration of an instance is in one of these states."""

        def is_so() -> bool:
            found = self.migrations_of(name)
            return bool(found) and found[-1].status in states

        self.until(is_so, f"a migration of {name} that is {' or '.join(states)}")

    def record(self, run: Run) -> dict[str, Any]:
        """The run's record; it is what its published schema says."""
        folder = self.world.hosts.folder / "records" / run.model.dag_id
        record: dict[str, Any] = json.loads((folder / f"{run.run_id}.json").read_text())
        kind = record["schema"]["name"].rpartition("/")[2]
        Draft202012Validator(json.loads((SCHEMAS / f"{kind}.schema.json").read_text())).validate(
            record
        )
        return record

    def finish(self, run: Run) -> dict[str, Any]:
        """Wait for a run's end, which must be a good one; its record."""
        state = run.wait()
        record = self.record(run)
        assert (state, record["outcome"]) == ("success", "done"), record["problem"]
        return record

    def fail(self, run: Run, task_id: str) -> str:
        """Wait for a run's end, which must be the failure of this task; the problem."""
        assert run.wait() == "failed", "it should not have succeeded"
        record = self.record(run)
        failed = {task["task_id"] for task in record["tasks"] if task["state"] == "failed"}
        assert failed == {task_id}, record["problem"]
        assert record["outcome"] == "failed"
        return str(record["problem"])

    def assert_stays_out(self, host: str, run: Run, task_id: str) -> None:
        """A host that failed is disabled, and Nova's reason names the run, the step and why."""
        mark = f"[airflow {run.model.dag_id} {run.run_id}][failed] failed at {task_id}: "
        assert self.service(host) == ("disabled", f"{mark}{self.record(run)['problem']}"[:255])

    def assert_given_back(self, host: str, boot_before: str) -> None:
        """The host was rebooted and is enabled and empty."""
        assert self.service(host) == ("enabled", None)
        assert self.boot_id(host) != boot_before
        assert self.on(host) == []


@contextmanager
def a_stage(folder: Path, controllers: Sequence[str] = ("ctl01",), **story: Any) -> Iterator[Stage]:
    """A cloud of four empty hosts; at the end every judge is asked. ``story``: more of one."""
    hosts = [{"name": name} for name in HOSTS]
    fleet_now = {"hosts": hosts, "controllers": list(controllers)}
    told = Story.of({"fleet": fleet_now, **story})
    world = build(told, folder)
    watched = WatchedStage(told, world)
    with world.installed():
        watched.recorder.watch_airflow()
        judges = all_judges(watched)
        yield Stage(world, watched)
        said = [f"{name}: {each}" for name, judge in judges.items() for each in judge.verdicts()]
        assert not said, "\n".join([*said, *watched.recorder.timeline()])
