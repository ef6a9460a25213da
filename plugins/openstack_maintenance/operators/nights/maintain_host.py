"""One host of a night: a run of compute_host_maintenance, started when it may be, and its end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunLink
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException
from airflow.utils.state import DagRunState, TaskInstanceState

from openstack_maintenance.domain.errors import (
    CloudError,
    HostError,
    MaintenanceError,
)
from openstack_maintenance.domain.foreign_text import brief_list
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.nights.closing import hosts_to_close, without
from openstack_maintenance.domain.nights.due import Candidate, Verdict, judge_due
from openstack_maintenance.domain.nights.fleet_facts import compose_fleet
from openstack_maintenance.domain.nights.plan import NightLimits, NoTurn, PlannedHost, plan_turn
from openstack_maintenance.hooks.fleet_now import read_cloud
from openstack_maintenance.operators.base import map_name
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.controllers_at_work import controllers_at_work
from openstack_maintenance.operators.night_link import CHILD_DAG
from openstack_maintenance.operators.nights.base import (
    APPROVE,
    LEFT_KEY,
    NightlyOperator,
)
from openstack_maintenance.operators.nights.dead_runs import (
    dead_in_words,
    is_dead,
    judge_marks,
    set_marks_right,
)
from openstack_maintenance.operators.nights.hosts_run import (
    run_did_not_finish,
    run_is_gone,
    run_never_began,
    stayed_queued,
    was_refused,
)
from openstack_maintenance.operators.nights.on_their_way import on_their_way
from openstack_maintenance.operators.nights.open_hosts import as_if_open, close_only
from openstack_maintenance.operators.nights.plan import pace_of
from openstack_maintenance.operators.nights.select_hosts import find_candidates
from openstack_maintenance.operators.rescheduled import Rescheduled
from openstack_maintenance.operators.silence import Silence
from openstack_maintenance.records.store import find_record
from openstack_maintenance.records.turn import Turn, write_turn
from openstack_maintenance.triggers.run_end import RunEndTrigger

NAMED = map_name("task.planned['host']")
# Airflow waits for the run that it starts, and would wait for ever for one that a person deletes:
# so it waits only until the run is there, and from then on the run is followed as any other.
_IS_THERE = [DagRunState.QUEUED, DagRunState.RUNNING, DagRunState.SUCCESS, DagRunState.FAILED]
_LOOK_AGAIN = timedelta(seconds=15)
_POLL_SECONDS = 5
_GAVE_WAY, _PLACES = timedelta(seconds=4), 5


class MaintainHostOperator(Rescheduled, NightlyOperator):
    """Maintain one host: start its run when its turn has come, and wait for its end.

    Before it starts, everything is looked at again: whether the host is still due, who is out, and
    where its instances go on the cloud as it is now. A run that is there already is followed, not
    started again; one that failed and still has the host goes on where it stopped. Skipped, with
    the reason, where it must not start any more tonight. Whoever waits holds no worker slot.

    Returns: host, run_id, outcome. Raises: CheckFailed, with the run's own sentence.
    """

    template_fields: Sequence[str] = ()
    operator_extra_links = (TriggerDagRunLink(),)

    def __init__(self, *, planned: dict[str, Any], **kwargs: Any) -> None:
        """``planned``: a dict of PlanNightOperator."""
        super().__init__(**kwargs)
        self.planned = planned
        self._out: Mapping[str, Mark] = {}  # whom Nova showed as out at the last look
        # For the link to the run in the UI.
        self.trigger_dag_id = CHILD_DAG

    @property
    def host(self) -> str:
        """The host's name."""
        return str(self.planned["host"])

    def perform(self) -> Any:
        """Look at the host's run of this night: start it, follow it, or let it go on."""
        run_id = self.child_run_id(self.host)
        state = self.state_of(run_id)
        if state == "success":
            return self._ended(run_id)
        if state in ("queued", "running"):
            return self._follow(run_id)
        if state is None or not self._holds_it(run_id):
            turn = self._taken_turn(run_id)
            self.log.info("host %s: starts its run %s: %s", self.host, run_id, turn)
        raise DagRunTriggerException(
            trigger_dag_id=CHILD_DAG,
            dag_run_id=run_id,
            conf=self._conf(),
            logical_date=None,
            reset_dag_run=state is not None,
            skip_when_already_exists=False,
            wait_for_completion=True,
            allowed_states=list(_IS_THERE),
            failed_states=[],
            poke_interval=_POLL_SECONDS,
            deferrable=True,
        )

    def resume(self, event: Mapping[str, Any]) -> Any:
        """The host's run is there, has ended, or is gone. Also after a release that only waited."""
        run_id = self.child_run_id(self.host)
        state = self.state_of(run_id)
        if state is None:
            raise run_is_gone(self.host, run_id, self.task_id)
        if state == "queued" and stayed_queued(event):
            patience = self.policy.turn_patience
            raise run_never_began(self.host, run_id, self.task_id, patience)
        return self._follow(run_id) if state in ("queued", "running") else self._ended(run_id)

    @property
    def script(self) -> str | None:
        """For the host's own maintenance: this run's, or else the policy's."""
        return self.request.script or self.policy.script

    def _conf(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "reason": self.request.reason or f"nightly maintenance {self.run_id}"[:150],
            "ignore_window": self.request.ignore_window,
            **({"script": self.script} if self.script else {}),
        }

    def _follow(self, run_id: str) -> None:
        self.defer(
            trigger=RunEndTrigger(
                CHILD_DAG,
                run_id,
                _POLL_SECONDS,
                self.policy.length("turn_patience").total_seconds(),
            ),
            method_name="execute_complete",
        )

    def state_of(self, run_id: str) -> str | None:
        """The state of a host's run; None where there is none."""
        ti: Any = self._context["ti"]  # the protocol of the SDK leaves these methods out
        if not ti.get_dr_count(dag_id=CHILD_DAG, run_ids=[run_id]):
            return None
        return DagRunState(ti.get_dagrun_state(CHILD_DAG, run_id)).value

    def _taken_turn(self, run_id: str) -> Turn:
        """Its turn, written down for its run and for the others of this night.

        While it must wait the task is deferred. Raises: AirflowSkipException: not any more tonight.
        """
        turn = self._turn()
        if turn is None:
            self._wait(_LOOK_AGAIN)
        write_turn(self.policy, CHILD_DAG, run_id, replace(turn, given_at=utc_now()))
        if others := on_their_way(self, self._out):
            write_turn(self.policy, CHILD_DAG, run_id, turn)
            self.log.info("host %s: gives way to %s", self.host, ", ".join(others))
            # Not at the same moment as the other, which may have given way, too.
            place = self.all_planned().index(self.host)
            self._wait(_GAVE_WAY * (1 + place % _PLACES))
        return turn

    def _wait(self, time: timedelta) -> NoReturn:
        self.defer(trigger=DateTimeTrigger(utc_now() + time), method_name="look_again")

    def _turn(self) -> Turn | None:
        """Its turn, planned on the cloud as it is now; None while it must wait.

        Raises: AirflowSkipException: not any more tonight.
        """
        self._skip_beyond_the_budget()
        self._skip_beyond_the_window(timedelta(0))
        if run := controllers_at_work(self):
            self._skip_beyond_the_window(timedelta(seconds=self.planned["seconds"]))
            self.log.info("host %s: waits for the run %s of controller_maintenance", self.host, run)
            return None
        judged = judge_marks(self, self.nova.services("nova-compute"))
        set_marks_right(self, judged)
        out = {each.host: each.out_by for each in judged.services if each.out_by is not None}
        self._out = out
        starting = on_their_way(self, out)
        try:
            if starting:
                raise NoTurn(f"Nova does not show {', '.join(starting)} as out yet")
            return self._turn_now(out)
        except NoTurn as error:
            reason = error.reason
        self._skip_beyond_the_window(timedelta(seconds=self.planned["seconds"]))
        # Who failed stays out until a person has fixed it: that is not waited for.
        returning = sorted([*starting, *(h for h, mark in out.items() if not mark.has_failed)])
        if not returning:
            raise self._left(self._with_the_dead(reason, out))
        self.log.info("host %s: waits for %s: %s", self.host, ", ".join(returning), reason)
        return None

    def _with_the_dead(self, reason: str, out: Mapping[str, Mark]) -> str:
        """Who is out by a run that has ended without a word, and what to do about it."""
        dead = {host: mark for host, mark in out.items() if is_dead(mark)}
        return "; ".join([reason, *(dead_in_words(*each) for each in dead.items())])

    def _turn_now(self, out: Collection[str]) -> Turn:
        """Raises: NoTurn: it must wait; AirflowSkipException: not any more tonight."""
        most = self.policy.max_hosts_out
        if len(out) >= most:
            raise NoTurn(f"{', '.join(out)} stay out, and max_hosts_out is {most}")
        boot_id = self._skip_unless_due()
        planned = self._planned_now(out)
        self._skip_beyond_the_window(planned.ends - planned.starts)
        return Turn(boot_id, {move.instance_id: move.to for move in planned.moves})

    def _planned_now(self, out: Collection[str]) -> PlannedHost:
        """Where its instances go, from the fleet as it is.

        Where the policy wants it, hosts that wait are closed for new instances meanwhile, and
        opened again where their room is needed. Raises: NoTurn.
        """
        waiting, pace = self._waiting(), pace_of(self.policy)
        limits = NightLimits(self.policy.max_hosts_out, self.policy.reserve_hosts)
        facts = read_cloud(self.nova)
        facts = replace(facts, services=as_if_open(facts.services))
        due = [Verdict(host, "due", "is planned") for host in waiting]
        fleet = compose_fleet(
            facts,
            due,
            on_blocked=self.policy.on_blocked,
            affinity_filter=self.policy.affinity_filter,
        )
        if not self.policy.close_waiting_hosts:
            return plan_turn(fleet, self.host, out, limits, pace)
        close = hosts_to_close(fleet, waiting, self.host, out, limits.reserve_hosts)
        try:
            turn = plan_turn(without(fleet, close), self.host, out, limits, pace)
        except NoTurn:
            close, turn = frozenset(), plan_turn(fleet, self.host, out, limits, pace)
        close_only(self.nova, close, self.host, self.dag_id_of_run, self.run_id)
        return turn

    def _waiting(self) -> list[str]:
        """The planned hosts that have not been done, in their order."""
        done = {
            row["map_index"] for row in self._turns() if row["state"] == TaskInstanceState.SUCCESS
        }
        return [host for place, host in enumerate(self.all_planned()) if place not in done]

    def all_planned(self) -> list[str]:
        """The night's hosts, in the order of their tasks."""
        ti: Any = self._context["ti"]
        return [each["host"] for each in ti.xcom_pull(task_ids=APPROVE)]

    def _turns(self) -> list[dict[str, Any]]:
        """The elements of this task that have ended: map_index, state."""
        ti: Any = self._context["ti"]
        rows = ti.get_task_breadcrumbs(self.dag_id_of_run, self.run_id)
        return [row for row in rows if row["task_id"] == self.task_id]

    def _skip_beyond_the_budget(self) -> None:
        failed = self._failed_hosts()
        if len(failed) > self.policy.failure_budget:
            raise self._left(
                f"{len(failed)} hosts have failed tonight, more than failure_budget "
                f"({self.policy.failure_budget}) allows: {', '.join(brief_list(failed))}"
            )

    def _failed_hosts(self) -> list[str]:
        """Those whose runs have failed; one that could not even be looked at is no such host."""
        rows = [row for row in self._turns() if row["state"] == TaskInstanceState.FAILED]
        planned = self.all_planned() if rows else []
        hosts = [planned[row["map_index"]] for row in rows]
        return [host for host in hosts if self.state_of(self.child_run_id(host)) is not None]

    def _skip_unless_due(self) -> str | None:
        """Another night's run may have done it meanwhile, or a person may have taken it.

        Returns: the boot in which it is due.
        """
        found = find_candidates(
            self.policy, self.deployment, self.nova, self.ssh_conn_id, hosts={self.host}
        )
        verdicts = [judge_due(each, self.policy.due, self.since, utc_now()) for each in found]
        for each in verdicts or [Verdict(self.host, "passed_over", "Nova no longer lists it")]:
            if each.kind != "due":
                self._ask_again_if_silent(found, each)
                raise self._left(each.reason)
        return found[0].boot_id

    def _ask_again_if_silent(self, found: Sequence[Candidate], verdict: Verdict) -> None:
        """A host that does not answer now is asked again while there is time for it tonight."""
        # Brings asyncssh: not while a DAG file is parsed.
        from openstack_maintenance.adapters.shell import HostUnreachable

        if not any(each.is_silent and each.unreadable == verdict.reason for each in found):
            return
        self._skip_beyond_the_window(timedelta(seconds=self.planned["seconds"]))
        self.ask_again_later(HostUnreachable(f"host {self.host}", verdict.reason, "See its SSH."))

    def wait_in_silence(self, silence: Silence, error: MaintenanceError) -> None:
        """A host's own silence is no reason for the others to wait; the cloud's is one for all."""
        if isinstance(error, HostError):
            super().wait_in_silence(silence, error)
        else:
            NightlyOperator.wait_in_silence(self, silence, error)

    def _skip_beyond_the_window(self, length: timedelta) -> None:
        if self.request.ignore_window:
            return
        now = utc_now()
        span = self.policy.window.current(now)
        if span is None:
            raise self._left("the window is over")
        if now + length > span[1]:
            zone = self.policy.window.timezone
            ends, closes = (at.astimezone(ZoneInfo(zone)) for at in (now + length, span[1]))
            raise self._left(
                f"it would be back at {ends:%H:%M}, after the window's end ({closes:%H:%M} {zone})"
            )

    def _left(self, reason: str) -> AirflowSkipException:
        """The host is left for another night; the report says why."""
        self.tell(LEFT_KEY, reason)
        return AirflowSkipException(f"host {self.host} was not started: {reason}.")

    def _ended(self, run_id: str) -> dict[str, Any]:
        record = find_record(self.policy, CHILD_DAG, run_id) or {}
        outcome = record.get("outcome")
        if self.state_of(run_id) == "success" and outcome in ("done", "already_done"):
            return {"host": self.host, "run_id": run_id, "outcome": outcome}
        if not self._may_hold_it(run_id):
            # It was refused, perhaps because another night's run was the first to take the host.
            self._skip_unless_due()
            if was_refused(record):
                said = str(record.get("problem") or "see its check_host").rstrip(".")
                raise self._left(f"its run {run_id} refused it: {said}")
        raise run_did_not_finish(self.host, run_id, self.task_id, record)

    def _holds_it(self, run_id: str) -> bool:
        """Whether the host's run has taken it out and not given it back. Raises: CloudError."""
        service = self.nova.find_service(self.host)
        return service is not None and Mark(CHILD_DAG, run_id).same_run(service.mark)

    def _may_hold_it(self, run_id: str) -> bool:
        try:
            return self._holds_it(run_id)
        except CloudError:
            return True  # unknown: then a person must look
