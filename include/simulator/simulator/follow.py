"""An operator who does what a red run says, to the letter, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from simulator import reading
from simulator.airflow import BadRequest
from simulator.airflow.records import Run
from simulator.cloud.model import Instance
from simulator.cloud.refusals import Refusal
from simulator.events import HOST_DAG
from simulator.judges.limits import MARK
from simulator.judges.records import records_of
from simulator.stage import Stage

MOST_ROUNDS = 6
DEADLINE = 86_400.0 * 1.5  # seconds, until every run must have ended
_A_DAY = 86_400.0
_QUARTER = 900.0
_ID = r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"

# What a task logs whose end Airflow does not take any more, as its run was marked by hand.
_AFTER_A_MARK = ("Failed to report terminal task state", "Traceback (most recent call last)")
# Faults of Airflow itself, after which nobody is there who could say anything.
_SILENT = {"marked by hand", "airflow_api_away", "kill_worker", "kill_task", "lose_task"}
_SILENT |= {"kill_scheduler", "kill_triggerer"}


class Operator:
    """Follows the sentences of a world's red runs until all is green, or nothing is left to do."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.rounds = 0
        self._most = int(stage.story.must.get("rounds", MOST_ROUNDS))
        self.complaints: list[str] = []
        self._last: dict[Run, str] = {}
        self._over: set[Run] = set()
        self._instead_of: dict[Run, Run] = {}

    def work(self) -> None:
        """Until every run that is red is green, or was run again with success.

        A run that the scheduler has begun meanwhile comes to its end first.
        """
        while self._all_have_ended() and (red := self._red_runs()):
            self.rounds += 1
            if self.rounds > self._most:
                for run in red if self._most else ():
                    said = self._stage.recorder.named(_brief(self.sentence(run)))
                    self.complaints.append(
                        f"after {self._most} rounds {self._name(run)} is still red: {said}"
                    )
                return
            for run in red:
                if run in self._red_runs() and not self._follow(run):
                    return

    def sentence(self, run: Run) -> str:
        """What a run says: its record's errors and problem, or the log of what failed."""
        for record in records_of(self._stage):
            if (record["dag_id"], record["run_id"]) == run.key and record["outcome"] == "failed":
                errors = [f"{e['subject']}: {e['found']}. {e['remedy']}" for e in record["errors"]]
                return "\n".join(dict.fromkeys([str(record["problem"]), *errors]))
        said = [
            text
            for ti in run.instances()
            if ti.state == "failed"
            for _, level, text in ti.logs.get(ti.try_number, [])
            if level in ("error", "critical")
        ]
        if "marked by hand" in self._stage.faults:
            said = [text for text in said if not text.startswith(_AFTER_A_MARK)]
        return "\n".join(dict.fromkeys(said))

    # What is to be done.

    def _red_runs(self) -> list[Run]:
        """The newest run of each host, of each night and of the rest, where it is red."""
        newest: dict[Any, Run] = {}
        for run in self._stage.world.airflow.runs:
            if run.dag_id == "controller_checks":
                continue  # it reports what is wrong: it need not become green
            first = self._instead_of.get(run, run)
            newest[run.dag_id, run.conf.get("host") or first.logical_date or ""] = run
        red = [run for run in newest.values() if run.state == "failed" and run not in self._over]
        return sorted(red, key=lambda run: run.dag_id != HOST_DAG)

    def _name(self, run: Run) -> str:
        return self._stage.recorder.run_name(run.dag_id, run.run_id)

    def _follow(self, run: Run) -> bool:
        """One round with one run; False when nobody could know what to do."""
        stage, text = self._stage, self.sentence(run)
        stage.note("operator", f"reads of {self._name(run)}: {_brief(text)}")
        if reading.is_nothing_left(text):
            return self._leaves(run)
        if not text and _SILENT & set(stage.faults):
            text = "clear the failed task"  # where nothing could be said, Airflow's own way is left
        if not text:
            self.complaints.append(f"{self._name(run)} is red and says nothing")
            return False
        did = list(self._repairs(run, text))
        if reading.is_patience_asked(text) or self._last.get(run) == text:
            stage.world.clock.run(at_most=_QUARTER)
            did.append("waits a quarter of an hour")
        self._last[run] = text
        ways = self._goes_on(run, text)
        for each in [*did, *ways]:
            stage.note("operator", each)
        if not ways:
            said = stage.recorder.named(_brief(text))
            self.complaints.append(f"{self._name(run)} tells no way to go on: {said}")
            return False
        stage.world.airflow.run_until(self._is_quiet, at_most=2 * _A_DAY)
        return True

    def _leaves(self, run: Run) -> bool:
        """It says that there is nothing left to do."""
        self._over.add(run)
        self._stage.note("operator", f"is done with {self._name(run)}")
        return True

    def _all_have_ended(self) -> bool:
        return self._stage.world.airflow.run_until(self._is_quiet, at_most=DEADLINE)

    def _is_quiet(self) -> bool:
        runs = self._stage.world.airflow.runs
        return all(run.is_finished for run in runs)

    def _goes_on(self, run: Run, text: str) -> list[str]:
        """Clear, or run again, as it says."""
        airflow = self._stage.world.airflow
        failed = [ti for ti in run.instances() if ti.state == "failed" and ti.task_id != "report"]
        failed = failed or [ti for ti in run.instances() if ti.state == "failed"]
        way = reading.way_on(text, list(run.tasks), [ti.task_id for ti in failed])
        if way is None:
            return []
        if way.do == "vouch":
            return self._vouches(run, way.task)
        if way.do == "clear failed":
            # As Airflow's UI does it: what has succeeded stays, of a mapped task as well.
            airflow.clear(run, only_failed=True)
            return [f"clears the failed tasks of {self._name(run)}"]
        if way.do == "clear":
            airflow.clear(run, [way.task])
            return [f"clears {way.task} of {self._name(run)} with Downstream"]
        return [self._run_again(run, way)]

    def _vouches(self, run: Run, task: str) -> list[str]:
        """Whoever has changed an instance says that it was meant; the rest of the run goes on."""
        airflow = self._stage.world.airflow
        for ti in list(run.instances()):
            if ti.task_id.rpartition(".")[2] == task and ti.state == "failed":
                which: Any = (ti.task_id, ti.map_index) if ti.map_index >= 0 else ti.task_id
                airflow.mark(run, which, "success")
        return [f"marks {task} of {self._name(run)} as success"]

    def _run_again(self, run: Run, way: reading.Way) -> str:
        conf = {**run.conf, **way.params}
        if way.params.get("ignore_window"):
            conf["reason"] = conf.get("reason") or "it must be done"
        try:
            made = self._stage.world.airflow.trigger(run.dag_id, conf)
        except BadRequest as refused:
            return f"cannot run it again: {refused}"
        self._instead_of[made] = self._instead_of.get(run, run)
        return f"runs it again as {self._name(made)}"

    # Repairs.

    def _repairs(self, run: Run, text: str) -> Iterator[str]:
        for command in reading.commands_in(text):
            if self._types(command):
                yield f"openstack {command}"
        yield from self._on_fleet(text)
        yield from self._on_hosts(run, text)
        for instance in self._named(text):
            yield from self._on_instance(instance, text)

    def _types(self, command: str) -> bool:
        """A command of the client; False where it only looks, or is none of these."""
        words, state = command.split(), self._stage.world.cloud.state
        instance = next((state.instances[each] for each in words if each in state.instances), None)
        if words[:3] == ["compute", "service", "set"]:
            host = next((each for each in words if each in state.hosts), None)
            return host is not None and self._sets_service(host, command)
        if words[:4] == ["resource", "provider", "allocation", "delete"] and len(words) == 5:
            state.release(words[4])
            return True
        if words[:1] != ["server"] or instance is None:
            return False
        if "--state" in words:
            state_wanted = words[words.index("--state") + 1]
            self._stage.world.cloud.lifecycle.reset_state(instance, state_wanted, "person")
            return True
        if words[1] in _ORDERS:
            return self._tries(lambda: _ORDERS[words[1]](self._stage, instance))
        return False

    def _sets_service(self, host: str, command: str) -> bool:
        cloud = self._stage.world.cloud
        service = cloud.state.hosts[host].service
        if "--enable" in command:
            cloud.services.update(service, "enabled", who="person")
        elif "--up" in command:
            cloud.services.update(service, is_forced_down=False, who="person")
        else:
            return False
        return True

    def _tries(self, what: Callable[[], Any]) -> bool:
        try:
            what()
        except Refusal as refused:
            self._stage.note("nova", f"refuses: {refused}")
            return False
        self._stage.world.clock.run(at_most=60.0)
        return True

    def _on_hosts(self, run: Run, text: str) -> Iterator[str]:
        stage = self._stage
        hosts = [name for name in stage.world.hosts.machines if re.search(rf"\b{name}\b", text)]
        if run.conf.get("host") in stage.world.hosts.machines:
            hosts.append(run.conf["host"])
        for name in dict.fromkeys(hosts):
            machine = stage.machine(name)
            hangs = machine.power in ("frozen", "off")
            if reading.does_it_ask_for_a_reset(text) and hangs:
                machine.power_cycle()
                stage.world.clock.run(at_most=180.0)
                yield f"resets {name}"
            compute = machine.nova_compute
            wants_start = reading.does_it_ask_to_start_nova_compute(text)
            if wants_start and compute and not compute.service.is_running and machine.power == "up":
                compute.service.start()
                stage.world.clock.run(at_most=60.0)
                yield f"starts nova-compute on {name}"

    def _on_fleet(self, text: str) -> Iterator[str]:
        """What concerns no single host."""
        state = self._stage.world.cloud.state
        if "ree capacity" in text:
            for host in state.hosts.values():
                host.ram_mib, host.vcpus = host.ram_mib * 4, host.vcpus * 4
                host.generation += 1
            yield "gives every host more room"
        if "uests run on it" in text or "does not list" in text:
            for machine in self._stage.world.hosts.machines.values():
                if machine.stray_guests:
                    machine.stray_guests.clear()
                    yield f"ends the strange guests of {machine.name}"
        if "see their disabled_reason" in text:
            yield from self._finishes_others(text)

    def _finishes_others(self, text: str) -> Iterator[str]:
        """A host that is out for a run that is gone gets a new one."""
        airflow = self._stage.world.airflow
        for name, host in self._stage.world.cloud.state.hosts.items():
            mark = MARK.match(host.service.disabled_reason or "")
            if mark and (mark[1], mark[2]) not in airflow.core.store.runs:
                conf = {"host": name, "reason": "to finish it", "ignore_window": True}
                made = airflow.trigger(HOST_DAG, conf)
                airflow.run_until(self._is_quiet, at_most=_A_DAY)
                yield f"finishes {name} with {self._name(made)}"

    def _named(self, text: str) -> list[Instance]:
        found = dict.fromkeys(re.findall(_ID, text))
        instances = self._stage.world.cloud.state.instances
        return [instances[each] for each in found if each in instances]

    def _on_instance(self, instance: Instance, text: str) -> Iterator[str]:
        """What the words ask for where they give no command."""
        cloud = self._stage.world.cloud
        if "Bring it to ACTIVE or SHUTOFF" in text and instance.vm_state == "error":
            cloud.lifecycle.reset_state(instance, "active", "person")
            yield f"sets {instance.id} to active"
        kinds = {"suspended": "resume", "rescued": "unrescue", "shelved": "unshelve"}
        if instance.vm_state in kinds and "Bring it to ACTIVE" in text:
            name = kinds[instance.vm_state]
            if self._tries(lambda: cloud.lifecycle.perform(instance, name, "person")):
                yield f"{name}s {instance.id}"


_ORDERS: dict[str, Callable[[Stage, Instance], Any]] = {
    name: lambda stage, instance, name=name: stage.world.cloud.lifecycle.perform(
        instance, name, "person"
    )
    for name in ("start", "stop", "resume", "unpause", "unrescue", "suspend")
} | {
    "confirm": lambda stage, instance: stage.world.cloud.cold.confirm(instance, "person"),
    "resize": lambda stage, instance: stage.world.cloud.cold.confirm(instance, "person"),
    "migration": lambda stage, instance: None,
    "shelve": lambda stage, instance: stage.world.cloud.lifecycle.perform(
        instance, "shelve", "person"
    ),
    "delete": lambda stage, instance: stage.world.cloud.lifecycle.delete(instance, "person"),
}


def _brief(text: str, longest: int = 700) -> str:
    text = text.split("\n")[0] if len(text) > longest else text.replace("\n", " | ")
    return text if len(text) <= longest else f"{text[:longest]}..."
