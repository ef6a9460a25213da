"""Everything that can happen in a story on the lab: a function a kind, by its name in ``do``.

The names are those of `simulator.events` where the same is meant. One that lasts (``for`` seconds)
returns how it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lab_campaign.stage import HOST_DAG, NUMBER, LabStage, Run, Undo
from openstack_lab import Lab
from simulator.story import Json

KINDS: dict[str, Callable[[LabStage, Json], Undo | None]] = {}
CONTROLLER = "ctl01"
# Else systemd would start it again at once.
_NO_RESTART = "/run/systemd/system/nova-conductor.service.d"
_CONDUCTOR_DIES = f"""\
sudo mkdir -p {_NO_RESTART}
printf '[Service]\\nRestart=no\\n' | sudo tee {_NO_RESTART}/fault.conf >/dev/null
sudo systemctl daemon-reload
sudo systemctl kill --signal=KILL nova-conductor"""
_CONDUCTOR_STARTS = f"""\
sudo rm -rf {_NO_RESTART}
sudo systemctl daemon-reload
sudo systemctl start nova-conductor"""
_DEEDS: dict[str, Json] = {
    "stop": {"os-stop": None},
    "start": {"os-start": None},
    "reboot": {"reboot": {"type": "HARD"}},
    "pause": {"pause": None},
    "unpause": {"unpause": None},
}


def _kind(name: str) -> Callable[[Callable[[LabStage, Json], Undo | None]], Any]:
    def entered(function: Callable[[LabStage, Json], Undo | None]) -> Any:
        KINDS[name] = function
        return function

    return entered


def perform(stage: LabStage, event: Json) -> Undo | None:
    """Let an event happen."""
    return KINDS[event["do"]](stage, event)


# -- faults that the lab knows itself


def _lab_fault(stage: LabStage, host: str, fault: str, *value: str) -> Undo:
    stage.lab.fault(host, fault, *value)
    return partial(stage.lab.fault, host, "clear", fault)


@_kind("broker_restart")
def broker_restart(stage: LabStage, event: Json) -> Undo | None:
    """The broker restarts."""
    stage.lab.fault("broker-restart")
    return None


@_kind("broker_away")
def broker_away(stage: LabStage, event: Json) -> Undo | None:
    """There is no broker."""
    return _lab_fault(stage, CONTROLLER, "broker-stop")


@_kind("conductor_away")
def conductor_away(stage: LabStage, event: Json) -> Undo | None:
    """The conductor dies, and is started when the fault is over."""
    stage.lab.ssh(CONTROLLER, _CONDUCTOR_DIES)
    stage.note_fact("fault", what="nova-conductor dies")
    return partial(start_conductor, stage.lab)


def start_conductor(lab: Lab) -> None:
    """Start what `conductor_away` has killed; nothing where it runs."""
    lab.ssh(CONTROLLER, _CONDUCTOR_STARTS)


@_kind("api_slow")
def api_slow(stage: LabStage, event: Json) -> Undo | None:
    """Nova's API takes ``seconds`` more for everything."""
    return _lab_fault(stage, CONTROLLER, "api-slow", str(event.get("seconds", 2)))


@_kind("api_fails")
def api_fails(stage: LabStage, event: Json) -> Undo | None:
    """Nova's API answers ``code`` to everything."""
    return _lab_fault(stage, CONTROLLER, "api-fail", str(event.get("code", 503)))


@_kind("nova_compute_dies")
def nova_compute_dies(stage: LabStage, event: Json) -> Undo | None:
    """nova-compute is killed and stays dead until the fault is over."""
    undo = _lab_fault(stage, event["host"], "nova-compute-kill")
    stage.note_fact("nova-compute ends", event["host"])
    return undo


@_kind("no_start_at_boot")
def no_start_at_boot(stage: LabStage, event: Json) -> Undo | None:
    """nova-compute fails to start."""
    return _lab_fault(stage, event["host"], "nova-compute-no-start")


@_kind("host_cut")
def host_cut(stage: LabStage, event: Json) -> Undo | None:
    """No packet reaches a host."""
    stage.lab.fault(event["host"], "cut-off")
    return partial(stage.lab.fault, event["host"], "reconnect")


@_kind("sudo_refused")
def sudo_refused(stage: LabStage, event: Json) -> Undo | None:
    """The login may do nothing as root."""
    return _lab_fault(stage, event["host"], "sudo-refused")


@_kind("migration_fails")
def migration_fails(stage: LabStage, event: Json) -> Undo | None:
    """Migrations from a host fail half way: of ``instance``, ``times``."""
    return _lab_fault(stage, event["host"], "migration-fail", *_whose(event))


@_kind("migration_refused")
def migration_refused(stage: LabStage, event: Json) -> Undo | None:
    """A host refuses migrations in their check: of ``instance``, ``times``."""
    return _lab_fault(stage, event["host"], "migration-refuse", *_whose(event))


def _whose(event: Json) -> tuple[str, str]:
    name = event.get("instance", "*")
    return (name if name == "*" else f"{name}{NUMBER}", str(event.get("times", 1)))


@_kind("boot_slow")
def boot_slow(stage: LabStage, event: Json) -> Undo | None:
    """A boot takes ``seconds`` more."""
    return _lab_fault(stage, event["host"], "boot-seconds", str(event.get("seconds", 20)))


@_kind("boot_hangs")
def boot_hangs(stage: LabStage, event: Json) -> Undo | None:
    """The next boot hangs, until somebody who follows what is said resets the host."""
    stage.lab.fault(event["host"], "boot-hang")
    return None


# -- owners and other admins


@_kind("owner")
def owner(stage: LabStage, event: Json) -> Undo | None:
    """An owner does ``what`` with an instance."""
    instance = stage.instance(event["instance"])
    if instance is None:
        return None
    if event["what"] == "delete":
        stage.owners.delete([instance], timeout=120)
    else:
        stage.owners.act(instance.id, _DEEDS[event["what"]])
    return None


@_kind("admin_migrates")
def admin_migrates(stage: LabStage, event: Json) -> Undo | None:
    """Another admin live-migrates an instance. ``to``: where."""
    instance = stage.instance(event["instance"])
    if instance is not None and instance.host != event["to"]:
        body = {"os-migrateLive": {"host": event["to"], "block_migration": "auto"}}
        stage.cloud.act(instance.id, body)
    return None


@_kind("admin_disables")
def admin_disables(stage: LabStage, event: Json) -> Undo | None:
    """Another admin disables a host, and enables it when that is over, if it is still theirs."""
    host, reason = event["host"], "RAM is broken, ask Kim"
    stage.set_service(host, reason)

    def back() -> None:
        if stage.cloud.service(host)["disabled_reason"] == reason:
            stage.set_service(host, None)

    return back


@_kind("admin_enables")
def admin_enables(stage: LabStage, event: Json) -> Undo | None:
    """Another admin enables a host, whatever its reason says."""
    stage.set_service(event["host"], None)
    return None


# -- people in front of Airflow


def _newest(stage: LabStage) -> Run | None:
    return next(reversed(stage.runs.values()), None)


@_kind("clear")
def clear(stage: LabStage, event: Json) -> Undo | None:
    """A person clears ``task`` of the newest run with Downstream."""
    if run := _newest(stage):
        stage.api.clear(HOST_DAG, run.run_id, [event["task"]])
        stage.look_again(run)
    return None


@_kind("mark")
def mark(stage: LabStage, event: Json) -> Undo | None:
    """A person marks ``task`` of the newest run as failed, where it has not ended."""
    run = _newest(stage)
    ended = ("success", "failed", "skipped", "upstream_failed", "removed", None)
    for task in run.tasks if run else ():
        if run and task.task_id == event["task"] and task.state not in ended:
            stage.api.set_task_state(
                HOST_DAG, run.run_id, task.task_id, event["state"], task.map_index
            )
            stage.faults["marked by hand"] = stage.faults.get("marked by hand", 0) + 1
            break
    return None


# -- Airflow's own processes


@_kind("kill_worker")
def kill_worker(stage: LabStage, event: Json) -> Undo | None:
    """The worker of a task that runs at this moment dies, and its task with it."""
    _kill(stage, with_worker=True)
    return None


@_kind("kill_task")
def kill_task(stage: LabStage, event: Json) -> Undo | None:
    """Only the task's process dies."""
    _kill(stage, with_worker=False)
    return None


def _kill(stage: LabStage, *, with_worker: bool) -> None:
    """Tasks here run for a moment only: the first one that is seen to run within a few seconds."""
    for _ in range(20):
        for run in stage.runs.values():
            for task in stage.api.task_instances(HOST_DAG, run.run_id):
                if task.state == "running" and task.pid:
                    stage.airflow.kill_task(task.pid, with_worker=with_worker)
                    stage.note("FAULT", f"kills {task.name} of {run.name}")
                    return
    stage.note("FAULT", "finds no task to kill")


@_kind("kill_triggerer")
def kill_triggerer(stage: LabStage, event: Json) -> Undo | None:
    """The triggerer dies; another begins when the fault is over."""
    return _kill_component(stage, "triggerer")


@_kind("kill_scheduler")
def kill_scheduler(stage: LabStage, event: Json) -> Undo | None:
    """The scheduler dies; another begins when the fault is over."""
    return _kill_component(stage, "scheduler")


@_kind("airflow_api_away")
def airflow_api_away(stage: LabStage, event: Json) -> Undo | None:
    """Airflow's API server dies, and is started when the fault is over."""
    return _kill_component(stage, "api-server")


def _kill_component(stage: LabStage, name: str) -> Undo | None:
    if not stage.airflow.is_running(name):
        return None
    stage.airflow.kill_component(name)
    return partial(stage.airflow.restart_component, name)
