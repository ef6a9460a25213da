"""An operator who does on the lab what a red run says, to the letter, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from lab_campaign.stage import HOST_DAG, LabStage, Run
from openstack_lab import Instance
from simulator import reading
from simulator.story import Json

MOST_ROUNDS = 5
LONGEST_SECONDS = 900.0  # for the runs that go on in one round
_PAUSE_SECONDS = 20.0  # patience: what has to happen by itself happens sooner on the lab
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
# Where nobody is left who could say anything, Airflow's own way is left.
_SILENT = {"marked by hand", "airflow_api_away", "kill_worker", "kill_task"}
_SILENT |= {"kill_scheduler", "kill_triggerer"}
_ORDERS: dict[str, Json] = {
    "start": {"os-start": None},
    "stop": {"os-stop": None},
    "resume": {"resume": None},
    "unpause": {"unpause": None},
    "suspend": {"suspend": None},
    "unrescue": {"unrescue": None},
}
_RESIZES: dict[str, Json] = {"confirm": {"confirmResize": None}, "revert": {"revertResize": None}}
_TO_ACTIVE: dict[str, Json] = {
    "ERROR": {"os-resetState": {"state": "active"}},
    "SUSPENDED": {"resume": None},
}


class LabOperator:
    """Follows the sentences of red runs until all is green, or nothing is left to do."""

    def __init__(self, stage: LabStage, records: Path) -> None:
        self._stage, self._records = stage, records
        self.complaints: list[str] = []
        self.rounds = 0
        self._last: dict[str, str] = {}
        self._over: set[str] = set()

    def work(self) -> None:
        """Until the newest run of each host is green, or too many rounds have passed."""
        while red := self._red_runs():
            self.rounds += 1
            if self.rounds > MOST_ROUNDS:
                for run in red:
                    said = brief(self.sentence(run))
                    self.complaints.append(f"after {MOST_ROUNDS} rounds {run.name} is red: {said}")
                return
            for run in red:
                if not self._follow(run):
                    return

    def sentence(self, run: Run) -> str:
        """What a run says: its record's problem and errors, or the log of what failed."""
        file = self._records / HOST_DAG / f"{run.run_id}.json"
        record = json.loads(file.read_text()) if file.exists() else {}
        if record.get("outcome") == "failed":
            errors = [f"{e['subject']}: {e['found']}. {e['remedy']}" for e in record["errors"]]
            return "\n".join(dict.fromkeys([str(record["problem"]), *errors]))
        said = [
            line
            for task in run.tasks
            if task.state == "failed"
            for line in self._stage.api.errors(
                HOST_DAG, run.run_id, task.task_id, task.try_number, task.map_index
            )
        ]
        return "\n".join(dict.fromkeys(said))

    def _red_runs(self) -> list[Run]:
        newest = {run.conf.get("host"): run for run in self._stage.runs.values()}
        return [
            run for run in newest.values() if run.state == "failed" and run.run_id not in self._over
        ]

    def _follow(self, run: Run) -> bool:
        """One round with one run; False when nobody could know what to do."""
        stage, text = self._stage, self.sentence(run)
        stage.note("operator", f"reads of {run.name}: {brief(text)}")
        if reading.is_nothing_left(text):
            self._over.add(run.run_id)
            return True
        if not text and _SILENT & set(stage.faults):
            text = "clear the failed task"
        if not text:
            self.complaints.append(f"{run.name} is red and says nothing")
            return False
        stage.tries(lambda: self._repair(run, text))
        if reading.is_patience_asked(text) or self._last.get(run.run_id) == text:
            stage.note("operator", "waits")
            stage.wait(_PAUSE_SECONDS)
        self._last[run.run_id] = text
        if not self._goes_on(run, text):
            self.complaints.append(f"{run.name} tells no way to go on: {brief(text)}")
            return False
        return stage.run_until(self._is_quiet, LONGEST_SECONDS)

    def _is_quiet(self) -> bool:
        return all(run.is_finished for run in self._stage.runs.values())

    def _goes_on(self, run: Run, text: str) -> bool:
        stage = self._stage
        failed = [task for task in run.tasks if task.state == "failed"]
        failed = [task for task in failed if task.task_id != "report"] or failed
        failed.sort(key=lambda task: stage.tasks_of_dag.index(task.task_id))
        way = reading.way_on(text, stage.tasks_of_dag, [task.task_id for task in failed])
        if way is None:
            return False
        if way.do == "again":
            stage.note("operator", f"runs {run.conf['host']} again {way.params}")
            stage.trigger({**run.conf, **way.params})
            return True
        stage.note("operator", f"is to {way.do} {way.task} of {run.name}")
        if way.do == "clear":
            stage.api.clear(HOST_DAG, run.run_id, [way.task])
        elif way.do == "clear failed":
            stage.api.clear(HOST_DAG, run.run_id, only_failed=True)
        for task in failed if way.do == "vouch" else ():
            if task.task_id == way.task:
                stage.api.set_task_state(
                    HOST_DAG, run.run_id, task.task_id, "success", task.map_index
                )
        stage.look_again(run)
        return True

    # Repairs.

    def _repair(self, run: Run, text: str) -> None:
        for did in self._repairs(run, text):
            self._stage.note("operator", did)

    def _repairs(self, run: Run, text: str) -> Iterator[str]:
        for command in reading.commands_in(text):
            if self._types(command):
                yield f"openstack {command}"
        for host in self._hosts_in(run, text):
            yield from self._on_host(host, text)
        if "Bring it to ACTIVE or SHUTOFF" in text:
            yield from self._brings_up(text)

    def _types(self, command: str) -> bool:
        """A command of the client; False where it only looks, or is none of these."""
        words = command.split()
        if words[:3] == ["compute", "service", "set"] and "--enable" in words:
            host = next((each for each in self._hosts() if each in words), None)
            if host is not None:
                self._stage.set_service(host, None)
            return host is not None
        instance = next((found for each in words if (found := self._find(each))), None)
        if words[:1] != ["server"] or instance is None:
            return False
        body = _ORDERS.get(words[1])
        if "--state" in words:
            body = {"os-resetState": {"state": words[words.index("--state") + 1]}}
        elif words[1] == "resize" and len(words) > 2:
            body = _RESIZES.get(words[2])
        if words[1] == "delete":
            self._stage.cloud.delete([instance])
            return True
        if body is None:
            return False
        self._stage.cloud.act(instance.id, body)
        self._stage.wait(5)
        return True

    def _find(self, instance_id: str) -> Instance | None:
        if not _ID.fullmatch(instance_id):
            return None
        found = self._stage.cloud.instances()
        return next((each for each in found if each.id == instance_id), None)

    def _hosts(self) -> list[str]:
        return self._stage.story.hosts

    def _hosts_in(self, run: Run, text: str) -> list[str]:
        named = [host for host in self._hosts() if re.search(rf"\b{host}\b", text)]
        return list(dict.fromkeys([*named, str(run.conf.get("host"))]))

    def _on_host(self, host: str, text: str) -> Iterator[str]:
        lab = self._stage.lab
        if reading.does_it_ask_for_a_reset(text) and not self._answers(host):
            lab.run("recover", host)
            self._stage.cloud.wait_until_up(host, timeout=180)
            yield f"resets {host}"
        elif reading.does_it_ask_to_start_nova_compute(text):
            said = lab.ssh(host, "systemctl is-active nova-compute || true").strip()
            if said != "active":
                lab.start_nova_compute(host)
                self._stage.cloud.wait_until_up(host, timeout=120)
                yield f"starts nova-compute on {host}, which was {said}"

    def _answers(self, host: str) -> bool:
        return self._stage.tries(lambda: self._stage.lab.ssh(host, "true", timeout=60))

    def _brings_up(self, text: str) -> Iterator[str]:
        """What the words ask for where they give no command."""
        for each in dict.fromkeys(_ID.findall(text)):
            instance = self._find(each)
            if instance is None:
                continue
            body = _TO_ACTIVE.get(instance.status)
            if body is not None:
                self._stage.cloud.act(instance.id, body)
                self._stage.wait(5)
                yield f"brings {instance.name} up, which was {instance.status}"


def brief(text: str, longest: int = 700) -> str:
    """A sentence for one line."""
    text = text.replace("\n", " | ")
    return text if len(text) <= longest else f"{text[:longest]}..."
