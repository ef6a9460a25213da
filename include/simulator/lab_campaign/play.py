"""Play a story on the lab: to its end with its faults, then with an operator; then hear judges."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from airflow_local import LocalAirflow
from lab_campaign import events
from lab_campaign.evidence import facts_of_nova
from lab_campaign.follow import LabOperator
from lab_campaign.replay import Replay, Told
from lab_campaign.stage import LabStage
from lab_campaign.witness import SCRIPT, Witness
from openstack_lab import Cloud, Lab, restore
from simulator.draw import STEPS
from simulator.recorder import Line
from simulator.story import Json, Story

DEADLINE = 1500.0  # seconds for all runs; on a machine with time they take one to three minutes
TASKS = [*STEPS[:5], "list_arrivals", "migrate_arrival", *STEPS[6:]]
# A night's patience, for people who wait before a screen.
_QUICK: Json = {
    "deployment": "lab",
    "api_patience": "2min",
    "turn_patience": "5min",
    "stop_timeout": "90s",
    "script_timeout": "90s",
    "reboot_timeout": "2min",
    "nova_compute_timeout": "2min",
    "amqp_timeout": "60s",
}
_STATES = {
    "active": "ACTIVE",
    "stopped": "SHUTOFF",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "error": "ERROR",
}
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


@dataclass
class Outcome:
    """How a story went. ``found``: what the judges say, each beginning with the judge's name."""

    story: Story
    found: list[str] = field(default_factory=list)
    timeline: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    setting_up: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.found


@dataclass(frozen=True)
class Site:
    """Where stories are played: a lab, and an Airflow whose policy is ``folder``/policy.yaml."""

    lab: Lab
    airflow: LocalAirflow
    folder: Path

    @property
    def policy(self) -> Path:
        return self.folder / "policy.yaml"

    def environment(self) -> dict[str, str]:
        """What the Airflow is told of them."""
        return self.lab.airflow_environment() | {
            "OPENSTACK_MAINTENANCE_POLICY": str(self.policy),
            "OPENSTACK_MAINTENANCE_INCLUDE": str(self.folder / "include"),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            # The DAGs stay as they are: to read them again and again takes time from the stories.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        }

    def prepare(self, include: Path) -> None:
        """Write what the DAGs read: ``include`` is the project's, with the stories' script."""
        scripts = self.folder / "include/scripts"
        scripts.mkdir(parents=True, exist_ok=True)
        for name in ("deployments", "policies"):
            link = self.folder / "include" / name
            link.unlink(missing_ok=True)
            link.symlink_to(include / name)
        (scripts / "count-me.sh").write_text(SCRIPT)
        self.policy.write_text(yaml.safe_dump(_QUICK))

    def rest(self, say: Callable[[str], None]) -> None:
        """The lab and Airflow as every story finds them."""
        cloud = Cloud(self.lab.clouds_yaml)
        self.airflow.start(lambda text: None, timeout=900)
        api = self.airflow.api()
        for run in api.runs("~"):
            if run["state"] in ("queued", "running"):
                api.set_run_state(run["dag_id"], run["dag_run_id"], "failed")
        events.start_conductor(self.lab)
        restore(self.lab, cloud, say)


class Play:
    """One story on a site."""

    def __init__(self, site: Site, story: Story) -> None:
        self._site, self._story = site, story
        self._folder = site.folder / f"story-{story.seed}-{time.time():.0f}"
        (self._folder / "records").mkdir(parents=True)
        self._names: dict[str, str] = {}
        self._lines: list[Line] = []

    def play(self) -> Outcome:
        """Play it, and hear the judges. The lab is at rest afterwards."""
        outcome = Outcome(self._story)
        began = time.monotonic()
        self._site.rest(lambda text: None)
        self._set_up()
        witness = Witness(self._site.lab, self._story.hosts)
        witness.install()
        outcome.setting_up = time.monotonic() - began
        log = self._folder / "timeline"
        stage = LabStage(self._story, self._site.lab, self._site.airflow, log)
        stage.tasks_of_dag = TASKS
        self._lines = stage.lines
        with stage.watching_services():
            self._live(stage, outcome)
        outcome.faults = dict(stage.faults)
        self._judge(stage, witness, outcome)
        self._site.rest(lambda text: None)
        outcome.seconds = time.monotonic() - began
        return outcome

    def _set_up(self) -> None:
        policy = {**_QUICK, **self._story.policy, "records": f"file://{self._folder}/records"}
        self._site.policy.write_text(yaml.safe_dump(policy))
        lab = self._site.lab
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._create, self._story.fleet["instances"]))
        self._names = {each.id: each.name for each in Cloud(lab.clouds_yaml).instances()}
        lab.fault("all", "migration-seconds", str(self._story.fleet.get("migration_seconds", 3)))

    def _create(self, each: Json) -> None:
        state = _STATES[each.get("state", "active")]
        self._site.lab.create_instances(each["host"], 1, state, prefix=each["name"], ram_mib=512)

    def _live(self, stage: LabStage, outcome: Outcome) -> None:
        stage.begin(events.perform)
        for each in self._story.requests:
            conf = {"host": each["host"], **each["params"]}
            stage.after(each.get("at", 0), partial(self._ask, stage, conf))
        last = max(each.get("at", 0) for each in self._story.requests)
        late = [each["at"] for each in self._story.events if "at" in each]
        first = max(last, *late, 0) + 1

        def is_over() -> bool:
            runs = stage.runs.values()
            return stage.seconds() > first and all(run.is_finished for run in runs)

        if not stage.run_until(is_over, DEADLINE):
            outcome.found += self._unended(stage)
        stage.end_faults()
        stage.wait(10)  # what was away has to be noticed to be back
        operator = LabOperator(stage, self._folder / "records")
        if not outcome.found:
            operator.work()
            outcome.found += [f"remedy: {each}" for each in operator.complaints]
            outcome.found += self._unended(stage)
        stage.wait(2)
        outcome.counts = {"runs": len(stage.runs), "rounds": operator.rounds}

    def _ask(self, stage: LabStage, conf: Json) -> None:
        """Ask for a run; a person whose Airflow is away tries again."""
        if not stage.tries(lambda: stage.trigger(conf)):
            stage.after(5, partial(self._ask, stage, conf))

    def _unended(self, stage: LabStage) -> list[str]:
        found = []
        for run in stage.runs.values():
            if not run.is_finished:
                open_ones = {task.name: task.state for task in run.tasks if task.state == "running"}
                found.append(f"ends: {run.name} does not end: {run.state}, {open_ones}")
        return found

    # Judges.

    def _judge(self, stage: LabStage, witness: Witness, outcome: Outcome) -> None:
        cloud = stage.cloud
        facts = list(stage.facts)
        people = {"owner": stage.owners.changed_by, "person": cloud.changed_by}
        left = {each.id: each.name for each in cloud.instances()}
        self._names.update(left)
        facts += witness.facts(stage.began)
        facts += facts_of_nova(cloud, list(self._names), stage.began, people)
        told = Told(self._story.policy, list(stage.runs.values()), self._folder, frozenset(left))
        replay = Replay(facts, self._story.hosts, told)
        outcome.found += [self._named(each) for each in replay.judged()]
        outcome.found = list(dict.fromkeys(outcome.found))
        outcome.counts["reboots"] = sum(e.what == "reboots" for e in replay.entries)
        outcome.counts["moves"] = sum(fact.kind == "moves" for fact in facts)
        about = [Line(e.at, e.who, f"{e.what} {e.instance} {e.host}") for e in replay.entries]
        self._lines = [*stage.lines, *about]
        outcome.timeline = self.timeline()

    def timeline(self) -> list[str]:
        """What has happened so far, in order."""
        lines = sorted(self._lines, key=lambda line: line.at)
        return [self._named(str(line)) for line in lines]

    def _named(self, text: str) -> str:
        """With names instead of ids."""
        return _ID.sub(lambda found: self._names.get(found[0], found[0]), text)
