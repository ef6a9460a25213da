"""Everything that can happen in a story: a function a kind, by its name in ``do``.

One that lasts (``for`` seconds, a minute by default) returns how it ends. Every fault ends: a
remedy can work only then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.airflow import BadRequest
from simulator.airflow.records import Run, TaskInstance
from simulator.deeds import is_match
from simulator.hosts.machine import ScriptPlay
from simulator.hosts.ssh import Fault, Question
from simulator.http import failures
from simulator.http.messages import Answer, Request, Verdict
from simulator.stage import Stage, Undo
from simulator.story import Json, flavor_of

KINDS: dict[str, Callable[[Stage, Json], Undo | None]] = {}
HOST_DAG = "compute_host_maintenance"


def _kind(name: str) -> Callable[[Callable[[Stage, Json], Undo | None]], Any]:
    def entered(function: Callable[[Stage, Json], Undo | None]) -> Any:
        KINDS[name] = function
        return function

    return entered


def perform(stage: Stage, event: Json) -> Undo | None:
    """Let an event happen."""
    return KINDS[event["do"]](stage, event)


# -- the way to the APIs


class HttpFault:
    """``how``: lost (before the deed), lost after (the deed), 500, 503, 429, 404, slow, refused."""

    def __init__(self, stage: Stage, event: Json) -> None:
        self._stage, self._what = stage, event.get("match", "any")
        self._how = str(event["how"])
        self.left = event.get("times")

    def before(self, request: Request) -> Verdict:
        if self._how.endswith("after") or not self._takes(request):
            return None
        made: dict[str, Callable[[], Verdict]] = {
            "lost": failures.reset,
            "refused": failures.refused,
            "silent": failures.silent,
            "slow": lambda: 8.0,
            "404": lambda: failures.proxy_says(404),
            "503": lambda: failures.proxy_says(503),
            "502": lambda: failures.proxy_says(502),
            "429": failures.too_many,
            "500": failures.broken,
        }
        return made[self._how]()

    def after(self, request: Request, answer: Answer) -> Verdict:
        if not self._how.endswith("after") or not self._takes(request):
            return None
        made = {"lost after": failures.reset, "silent after": failures.silent}
        if self._how == "504 after":
            return failures.proxy_says(504)
        return made[self._how]()

    def _takes(self, request: Request) -> bool:
        if self.left == 0 or not is_match(request, self._what):
            return False
        if self.left is not None:
            self.left -= 1
        self._stage.note("FAULT", f"{request.method} {request.service}{request.path}: {self._how}")
        return True


@_kind("http")
def http(stage: Stage, event: Json) -> Undo | None:
    """Requests fail: see HttpFault. ``match``: see simulator.deeds. ``times``: at most."""
    fault = HttpFault(stage, event)
    stage.world.transport.hooks.append(fault)
    return partial(stage.world.transport.hooks.remove, fault)


# -- the control plane


@_kind("cell_away")
def cell_away(stage: Stage, event: Json) -> Undo | None:
    """The database of a cell does not answer."""
    cloud = stage.world.cloud
    cell = cloud.state.cells[event.get("cell", "cell1")]
    if cell.is_away:
        return None
    cloud.control.lose_cell(cell)
    return partial(cloud.control.cell_returns, cell)


@_kind("conductor_away")
def conductor_away(stage: Stage, event: Json) -> Undo | None:
    """All conductors are killed. ``chance``: that a move under way loses a call."""
    control = stage.world.cloud.control
    if stage.world.cloud.state.conductor_is_away:
        return None
    control.lose_conductor(float(event.get("chance", 0.3)))
    return control.conductor_returns


@_kind("broker_away")
def broker_away(stage: Stage, event: Json) -> Undo | None:
    """The message broker is down."""
    hosts, control = stage.world.hosts, stage.world.cloud.control
    if stage.world.cloud.state.broker_is_away or not hosts.broker.is_up:
        return None
    control.lose_broker()
    hosts.broker.goes_down()

    def back() -> None:
        hosts.broker.comes_back()
        control.broker_returns()

    return back


@_kind("database_away")
def database_away(stage: Stage, event: Json) -> Undo | None:
    """Nova's databases are down: its API answers 500, no heartbeat is written."""
    ends = [cell_away(stage, {"cell": name}) for name in stage.world.cloud.state.cells]
    ends.append(http(stage, {"match": "compute", "how": "500"}))

    def back() -> None:
        for end in ends:
            if end is not None:
                end()

    return back


@_kind("clock_ahead")
def clock_ahead(stage: Stage, event: Json) -> Undo | None:
    """The control plane's clock is wrong, from now on, until it is set."""
    settings = stage.world.cloud.settings
    settings.clock_ahead = float(event.get("seconds", 45))

    def back() -> None:
        settings.clock_ahead = 0.0

    return back


# -- hosts


@_kind("nova_compute_dies")
def nova_compute_dies(stage: Stage, event: Json) -> Undo | None:
    """It is killed; systemd starts it again when the fault is over, if nobody has stopped it."""
    machine = stage.machine(event["host"])
    compute = machine.nova_compute
    if compute is None or not compute.service.is_running or machine.power != "up":
        return None
    service = compute.service
    run, boot = service.run + 1, machine.state.boot_id
    service.die()

    def back() -> None:
        if service.run == run and machine.state.boot_id == boot and machine.power == "up":
            service.start()

    return back


@_kind("ssh")
def ssh(stage: Stage, event: Json) -> Undo | None:
    """Questions to a host fail. ``how``: before, middle, after (the deed), delay, profile."""
    how, left = event["how"], [event.get("times", 10**9)]
    faults = {
        "before": Fault(lost="before"),
        "middle": Fault(lost="middle"),
        "after": Fault(lost="after"),
        "delay": Fault(delay=20.0),
        "answer late": Fault(answer_delay=30.0),
        "profile": Fault(out_before=b"Welcome!\n", err=b"sudo: unable to resolve host\n"),
    }

    def judge(question: Question) -> Fault | None:
        is_it = event.get("script", question.script) == question.script
        if not left[0] or not is_it or question.host != event["host"]:
            return None
        left[0] -= 1
        stage.note("FAULT", f"SSH {question.host} {question.script}: {how}")
        return faults[how]

    before = stage.world.hosts.network.before
    before.append(judge)
    return partial(before.remove, judge)


@_kind("host_cut")
def host_cut(stage: Stage, event: Json) -> Undo | None:
    """No packet reaches a host."""
    machine = stage.machine(event["host"])
    if machine.is_cut:
        return None
    machine.cut()
    return machine.uncut


@_kind("ssh_refused")
def ssh_refused(stage: Stage, event: Json) -> Undo | None:
    """sshd lets nobody in."""
    sshd = stage.world.hosts.network.sshds[stage.machine(event["host"]).address]
    sshd.drops_at_login = True

    def back() -> None:
        sshd.drops_at_login = False

    return back


@_kind("host_crashes")
def host_crashes(stage: Stage, event: Json) -> Undo | None:
    """A host panics and boots again; its guests are gone."""
    machine = stage.machine(event["host"])
    if machine.power == "up":
        machine.crash()
    return None


@_kind("host_hangs")
def host_hangs(stage: Stage, event: Json) -> Undo | None:
    """A host hangs; somebody resets it when the fault is over."""
    machine = stage.machine(event["host"])
    if machine.power != "up":
        return None
    machine.freeze()
    return lambda: machine.power_cycle() if machine.power == "frozen" else None


@_kind("boot_hangs")
def boot_hangs(stage: Stage, event: Json) -> Undo | None:
    """Its next boot hangs; somebody resets it when the fault is over."""
    machine = stage.machine(event["host"])
    machine.habits.hanging_boots = 1

    def back() -> None:
        machine.habits.hanging_boots = 0
        if machine.power == "frozen":
            machine.power_cycle()

    return back


@_kind("boot_panics")
def boot_panics(stage: Stage, event: Json) -> Undo | None:
    """Its next boot ends soon after it came up, and another follows."""
    stage.machine(event["host"]).habits.panics_after = [float(event.get("after", 5.0))]
    return None


@_kind("order_lost")
def order_lost(stage: Stage, event: Json) -> Undo | None:
    """Its next reboot is ordered, and nothing comes of it."""
    machine = stage.machine(event["host"])
    machine.habits.loses_orders = 1

    def back() -> None:
        machine.habits.loses_orders = 0

    return back


@_kind("host_clock")
def host_clock(stage: Stage, event: Json) -> Undo | None:
    """A host's clock is wrong until it is set. ``at_boot``: its hardware's."""
    machine = stage.machine(event["host"])
    seconds = float(event.get("seconds", -120))
    if event.get("at_boot"):
        machine.habits.clock_at_boot = seconds
    else:
        machine.state.clock.set(machine.now(), seconds)

    def back() -> None:
        machine.habits.clock_at_boot = None
        machine.state.clock.set(machine.now(), 0.0)

    return back


@_kind("stop_hangs")
def stop_hangs(stage: Stage, event: Json) -> Undo | None:
    """nova-compute does not heed SIGTERM, and is killed after 90 s."""
    compute = stage.machine(event["host"]).nova_compute
    if compute is None:
        return None
    habits = compute.service.habits
    habits.hangs_at_stop = True

    def back() -> None:
        habits.hangs_at_stop = False

    return back


@_kind("stray_guest")
def stray_guest(stage: Stage, event: Json) -> Undo | None:
    """Somebody starts a guest on a host, past Nova, and ends it when the fault is over."""
    strays, name = stage.machine(event["host"]).stray_guests, "by-hand"
    if name in strays:
        return None
    strays.append(name)

    def back() -> None:
        if name in strays:  # a reboot ends it, too
            strays.remove(name)

    return back


@_kind("script_fails")
def script_fails(stage: Stage, event: Json) -> Undo | None:
    """The maintenance script ends with an error."""
    machine = stage.machine(event["host"])
    machine.scripts = lambda content: ScriptPlay(3.0, 1, ("something is wrong",))

    def back() -> None:
        machine.scripts = lambda content: ScriptPlay()

    return back


@_kind("no_start_at_boot")
def no_start_at_boot(stage: Stage, event: Json) -> Undo | None:
    """nova-compute ends right after it starts, some times."""
    compute = stage.machine(event["host"]).nova_compute
    if compute is not None:
        compute.service.habits.failing_starts = int(event.get("times", 1))
        compute.service.habits.restart_after = 5.0
    return None


@_kind("power_fails")
def power_fails(stage: Stage, event: Json) -> Undo | None:
    """Nova takes orders to start or stop (``what``) an instance, and each then fails."""
    settings, before = stage.world.cloud.settings, stage.world.cloud.settings.power_succeeds
    settings.power_succeeds = lambda instance, action: action != event.get("what", "start")

    def back() -> None:
        settings.power_succeeds = before

    return back


# -- owners and other admins


@_kind("owner")
def owner(stage: Stage, event: Json) -> Undo | None:
    """An owner does ``what`` with an instance: stop, start, delete, shelve, resize, ..."""
    instance = stage.instance(event["instance"])
    if instance is None:
        return None
    owners, what = stage.world.cloud.owners, event["what"]
    if what == "delete":
        owners.deletes(instance.id)
    elif what == "shut down inside":
        owners.shuts_down_inside(instance.id)
    elif what == "resize":
        flavor = flavor_of(stage.world.cloud, instance.flavor.ram_mib + 512)
        owners.resizes(instance.id, flavor.id)
        stage.world.clock.after(60.0, partial(owners.confirms, instance.id))
    else:
        owners.perform(instance.id, what)
    return None


@_kind("build")
def build(stage: Stage, event: Json) -> Undo | None:
    """A new instance. ``host``: the one that is asked for; ``forced``: past the scheduler."""
    flavor = flavor_of(stage.world.cloud, event.get("ram_mib", 1024))
    name = event.get("name", "new")
    is_forced = bool(event.get("forced"))
    stage.world.cloud.owners.creates(name, flavor.id, host=event.get("host"), is_forced=is_forced)
    return None


@_kind("admin_migrates")
def admin_migrates(stage: Stage, event: Json) -> Undo | None:
    """Another admin live-migrates an instance. ``to``: where."""
    instance = stage.instance(event["instance"])
    if instance is not None:
        stage.world.cloud.owners.live_migrates(instance.id, event.get("to"))
    return None


@_kind("admin_disables")
def admin_disables(stage: Stage, event: Json) -> Undo | None:
    """Another admin disables a host, and enables it when that is over, if it is still theirs."""
    return _set_by_admin(stage, event["host"], "disabled", "RAM is broken, ask Kim")


@_kind("admin_enables")
def admin_enables(stage: Stage, event: Json) -> Undo | None:
    """Another admin enables a host, whatever its reason says."""
    _set_by_admin(stage, event["host"], "enabled", None)
    return None


def _set_by_admin(stage: Stage, host: str, status: str, reason: str | None) -> Undo:
    services, service = stage.world.cloud.services, stage.world.cloud.state.hosts[host].service
    services.update(service, status, reason, who="another admin")

    def back() -> None:
        if service.disabled_reason == reason:
            services.update(service, "enabled", who="another admin")

    return back


# -- people in front of Airflow


def _runs(stage: Stage, event: Json) -> list[Run]:
    host = event.get("host")
    return [
        run
        for run in stage.world.airflow.runs
        if run.dag_id == event.get("dag", HOST_DAG)
        and (host is None or run.conf.get("host") == host)
    ]


def _instances(stage: Stage, event: Json) -> list[TaskInstance]:
    """The task instances of the newest run that the event is about."""
    runs = _runs(stage, event)
    return list(runs[-1].instances(event.get("task"))) if runs else []


@_kind("clear")
def clear(stage: Stage, event: Json) -> Undo | None:
    """A person clears ``task`` with Downstream, or without one the whole run."""
    for run in _runs(stage, event)[-1:]:
        task = event.get("task")
        stage.world.airflow.clear(run, [task] if task else None)
    return None


@_kind("mark")
def mark(stage: Stage, event: Json) -> Undo | None:
    """A person marks ``task`` (without: the run) failed or success."""
    for run in _runs(stage, event)[-1:]:
        task = event.get("task")
        if task is None and run.is_finished:
            return None
        found = [ti for ti in run.instances(task) if not ti.is_finished] if task else []
        if task and not found:
            return None
        is_mapped = bool(found) and found[0].map_index >= 0
        which: Any = (task, found[0].map_index) if is_mapped else task
        stage.world.airflow.mark(run, which, event.get("state", "failed"))
        stage.faults["marked by hand"] = stage.faults.get("marked by hand", 0) + 1
    return None


@_kind("trigger")
def trigger(stage: Stage, event: Json) -> Undo | None:
    """A person triggers a run."""
    conf = {"reason": "by a second person", "ignore_window": True, **event.get("params", {})}
    if event.get("host"):
        conf["host"] = event["host"]
    try:
        stage.world.airflow.trigger(event.get("dag", HOST_DAG), conf)
    except BadRequest as refused:
        stage.note("person", f"is refused: {refused}")
    return None


@_kind("delete_run")
def delete_run(stage: Stage, event: Json) -> Undo | None:
    """A person deletes a run."""
    for run in _runs(stage, event)[-1:]:
        stage.world.airflow.delete(run)
    return None


# -- Airflow's own processes


@_kind("kill_worker")
def kill_worker(stage: Stage, event: Json) -> Undo | None:
    """The worker that asks at this moment, or that of ``task``, or any, dies with its task."""
    _kill(stage, event, stage.world.airflow.kill_worker)
    return None


@_kind("kill_task")
def kill_task(stage: Stage, event: Json) -> Undo | None:
    """Only the task's process dies."""
    _kill(stage, event, stage.world.airflow.kill_task)
    return None


def _kill(stage: Stage, event: Json, kill: Callable[[TaskInstance], None]) -> None:
    asker = stage.asker
    if asker is not None and not asker.needs_api:
        kill_triggerer(stage, event)
    elif asker is not None and asker.ti is not None:
        kill(asker.ti)
    else:
        running = list(stage.world.airflow.workers.running.values())
        wanted = event.get("task")
        for ti in [ti for ti in running if wanted in (None, ti.task_id)][:1]:
            kill(ti)


@_kind("kill_triggerer")
def kill_triggerer(stage: Stage, event: Json) -> Undo | None:
    """The triggerer dies; another begins a little later."""
    airflow = stage.world.airflow
    if any(job.is_alive for job in airflow.triggerers.jobs):
        airflow.kill_triggerer()
        stage.world.clock.after(float(event.get("back", 5.0)), airflow.start_triggerer)
    return None


@_kind("kill_scheduler")
def kill_scheduler(stage: Stage, event: Json) -> Undo | None:
    """The scheduler dies; another begins a little later."""
    airflow = stage.world.airflow
    if any(job.is_alive for job in airflow.schedulers.jobs):
        airflow.kill_scheduler()
        stage.world.clock.after(float(event.get("back", 5.0)), airflow.start_scheduler)
    return None


@_kind("airflow_api_away")
def airflow_api_away(stage: Stage, event: Json) -> Undo | None:
    """Airflow's API server does not answer."""
    airflow = stage.world.airflow
    airflow.api_away()
    return partial(airflow.api_away, False)


@_kind("airflow_forgets")
def airflow_forgets(stage: Stage, event: Json) -> Undo | None:
    """The task state store is emptied, as by `airflow state-store clean`."""
    stage.world.airflow.core.store.task_states.clear()
    return None


@_kind("lose_task")
def lose_task(stage: Stage, event: Json) -> Undo | None:
    """The executor takes a task for ended that is not."""
    for ti in list(stage.world.airflow.workers.running.values())[:1]:
        stage.world.airflow.lose(ti)
    return None
