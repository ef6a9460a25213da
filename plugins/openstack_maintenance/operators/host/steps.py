"""Stop nova-compute, run the node's maintenance, reboot, and prove the host healthy again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from openstack_maintenance.adapters.policy_file import script_path
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.host.guests import guests_run
from openstack_maintenance.domain.host.still_heartbeat import (
    HEARTBEAT_GOES_ON,
    STILL_SECONDS,
    heartbeat_goes_on,
)
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.operators.deeds import find_deed, note_deed, store_of
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.emptiness import NO_GUEST, prove_empty
from openstack_maintenance.operators.wait import since_in_words, wait
from openstack_maintenance.records.deeds import Deed
from openstack_maintenance.triggers.host_steps import (
    AmqpTrigger,
    NovaComputeStillTrigger,
    NovaComputeUpTrigger,
    RebootedTrigger,
    ScriptTrigger,
    script_result,
)

if TYPE_CHECKING:
    from openstack_maintenance.domain.host.facts import (
        RebootAnswer,
        ScriptState,
        UnitState,
    )

_PROOF = "empty"  # of emptiness: the key in a step's result
_REBOOT = Deed(
    "reboot",
    ("boot_id_before", "ordered_at"),
    "whether this run has rebooted the host already",
    "`last -x reboot` on the host shows its last boots.",
)
_SCRIPT = Deed(
    "script",
    ("script",),
    "whether this run has run its script already",
    "The log of run_script, or the journal of the host, shows it.",
)


class StopNovaComputeOperator(HostOperator):
    """Stop nova-compute, and prove that no process of it is left and its heartbeat stands still.

    Returns: state, boot_id and clock (the host's own) at that moment, heartbeat, the proof of
    emptiness.
    """

    waits_for_window = True

    def perform(self) -> None:
        """Prove emptiness, stop, and wait until it is gone."""
        self.check_ownership()
        proof = prove_empty(self)
        state = asyncio.run(self._stop())
        proof["witnesses"]["host"] = NO_GUEST
        self.log.info("host %s: asked to stop: %s", self.request.host, state)
        self.tell(_PROOF, proof)
        wait(self, NovaComputeStillTrigger, "stop_timeout")

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is gone, and Nova hears nothing more of it."""
        found, proof = super().resume(event), self.told_before(_PROOF)
        return self._stopped({**found, _PROOF: proof} if proof else found)

    def _stopped(self, found: dict[str, Any]) -> dict[str, Any]:
        self.log.info("host %s: nova-compute is stopped: %s", self.request.host, found["state"])
        return found

    async def _stop(self) -> UnitState:
        async with self.on_host() as host:
            state = await host.nova_compute_state()
            if not state.is_gone:
                await host.check_no_guests("nova-compute was not stopped")
                state = await host.stop_nova_compute()
            facts = await host.read_facts()
            if facts.guests:
                raise guests_run(host.name, facts.guests, "Nothing more was done")
            return state


class RunScriptOperator(HostOperator):
    """Run the node's maintenance script, once, in a unit that outlives any connection.

    Returns: script, unit, exit_code, started, ended, output (its last lines).
    """

    waits_for_window = True

    def perform(self) -> dict[str, Any] | None:
        """Start the script, or attach to it where it runs or ran already."""
        name = self.request.script
        if name is None:
            self.log.info("no script was asked for")
            raise AirflowSkipException("no script was asked for")
        path = script_path(name)
        if path is None:
            raise CheckFailed(
                f"script {name}",
                "is no longer in include/scripts",
                "Put it back, then clear the task.",
            )
        self.check_ownership()
        proof = prove_empty(self)
        if (done := find_deed(self, _SCRIPT, "done")) is not None:
            self.log.info("script %s: this run has run it already", name)
            return done  # a host that rebooted meanwhile has forgotten the unit
        if asyncio.run(self._is_to_begin()):
            check_stopped(self, "The script was not started")
        state = asyncio.run(self._start(name, path.read_bytes()))
        proof["witnesses"]["host"] = NO_GUEST
        if state.status == "succeeded":
            return self._done({**script_result(name, state), _PROOF: proof})
        self.tell(_PROOF, proof)
        wait(self, ScriptTrigger, "script_timeout", unit=state.unit, script=name)
        return None

    def resume(self, event: Mapping[str, Any]) -> Any:
        """The script succeeded while the task waited: noted, so that no rerun runs it again."""
        found, proof = super().resume(event), self.told_before(_PROOF)
        return self._done({**found, _PROOF: proof} if proof else found)

    def _done(self, result: dict[str, Any]) -> dict[str, Any]:
        note_deed(self, _SCRIPT, "done", result)
        last = (result.get("output") or ["(nothing)"])[-1]
        self.log.info("script %s: succeeded; its last line: %s", result["script"], last)
        return result

    def _may_run_again(self) -> bool:
        """Whether one that has failed is to run again: once a try, as a person has cleared it.

        Without an answer to the first start of this try, it may be that one which has failed. So
        it is asked right before the start: a look that was refused, or not answered, is no start.
        """
        store, key = store_of(self), f"start at try {self._context['ti'].try_number}"
        is_first = store.get(key) is None
        store.set(key, True, retention=NEVER_EXPIRE)
        return is_first

    async def _is_to_begin(self) -> bool:
        """Whether it does not run, and has not run: it may itself start nova-compute again."""
        async with self.on_host() as host:
            state = await host.script_state(self.script_unit)
            return state.status in ("absent", "failed")

    async def _start(self, name: str, content: bytes) -> ScriptState:
        async with self.on_host() as host:
            await host.check_no_guests("The script was not started")
            again = self._may_run_again()
            return await host.start_script(name, content, self.script_unit, again=again)


class RebootOperator(HostOperator):
    """Reboot the host, once a run, after proving once more that nobody is on it.

    Returns: boot_id_before, ordered_at (the host's own clock), the proof of emptiness, and
    whether this run had rebooted it already.
    """

    waits_for_window = True

    def perform(self) -> dict[str, Any]:
        """Prove emptiness, then order; the order itself proves nothing."""
        if not self.request.reboot:
            self.log.info("no reboot was asked for")
            raise AirflowSkipException("no reboot was asked for")
        self.check_ownership()
        stopped = self.result_of("stop_nova_compute")
        ordered = find_deed(self, _REBOOT, "reboot") or {
            "boot_id_before": stopped["boot_id"],
            "ordered_at": stopped["clock"],
        }
        proof = prove_empty(self)
        if asyncio.run(self._boot_id()) == ordered["boot_id_before"]:
            # In another boot it runs rightly: then this run has rebooted the host already.
            check_stopped(self, "The host was not rebooted")
        # Written down before the order: whoever dies after it, the host is rebooted once.
        note_deed(self, _REBOOT, "reboot", ordered)
        answer = asyncio.run(self._reboot(ordered["boot_id_before"]))
        if answer.outcome == "asked":  # its own script looks, in the moment of the order
            proof["witnesses"]["host"] = NO_GUEST
        self.log.info("host %s: reboot %s", self.request.host, answer.outcome)
        return {**ordered, "outcome": answer.outcome, "empty": proof}

    async def _boot_id(self) -> str:
        async with self.on_host() as host:
            return await host.boot_id()

    async def _reboot(self, boot_id: str) -> RebootAnswer:
        async with self.on_host() as host:
            return await host.reboot(boot_id)


class WaitForHostOperator(HostOperator):
    """Wait until the host is back, in another boot.

    Returns: boot_id_before, boot_id_after, ordered_at, back_at (the host's own clock).
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        ordered = self.result_of("reboot")
        wait(
            self,
            RebootedTrigger,
            "reboot_timeout",
            boot_id_before=ordered["boot_id_before"],
            ordered_at=ordered["ordered_at"],
        )

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is back."""
        result = super().resume(event)
        # The run counts from the stop, before the order: nothing is on the host from then on.
        since = since_in_words(result, "nova-compute was stopped")
        self.log.info("host %s: has rebooted and is back%s", self.request.host, since)
        return result


class WaitForNovaComputeOperator(HostOperator):
    """Wait until nova-compute runs, is up, and its heartbeat advances after the boot.

    So must those of the host's network agents: without them no instance gets a port there.
    Returns: state, active_since, started_by_run, heartbeats (three different ones), network.
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        # Without a reboot nobody but this run starts it again.
        patience = 30 if self.request.reboot else 0
        wait(
            self,
            NovaComputeUpTrigger,
            "nova_compute_timeout",
            start_after_seconds=patience,
            network=self.host_xcom.get("network"),
        )

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is up."""
        result = super().resume(event)
        beats = ", ".join(map(_clock_time, result["heartbeats"]))
        self.log.info("host %s: nova-compute is up, heartbeats %s", self.request.host, beats)
        if why := (result.get("network") or {}).get("not_proven"):
            self.log.warning("host %s: its network is not proven: %s", self.request.host, why)
        return result


class AssertAmqpOperator(HostOperator):
    """Prove that nova-compute is on the message bus, and keep the log line.

    Returns: kind of evidence, reason, line (the last AMQP line itself), broker, sockets.
    """

    def perform(self) -> None:
        """Leave reading, and waiting for the line, to the triggerer."""
        ordered = self.result_of("reboot") or {}
        since = ordered.get("ordered_at") or self.result_of("stop_nova_compute")["clock"]
        healthy = self.result_of("wait_for_nova_compute")
        wait(
            self,
            AmqpTrigger,
            "amqp_timeout",
            since=since,
            evidence=self.policy.amqp_evidence,
            heartbeats=healthy["heartbeats"],
        )

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is on the bus."""
        result = super().resume(event)
        host, reason = self.request.host, result["reason"]
        self.log.info("host %s: nova-compute is on the message bus: %s", host, reason)
        return result


def check_stopped(step: HostOperator, then: str) -> None:
    """nova-compute is gone from the host, and Nova hears nothing more of it, since the stop.

    ``then``: what was therefore not done, for the error. Where somebody, or this run's report,
    wrote into the service since, two looks tell whether its heartbeat stands still.
    Raises: CheckFailed.
    """
    state = asyncio.run(_unit_state(step))
    if not state.is_gone:
        raise CheckFailed(
            f"host {step.request.host}",
            f"nova-compute runs again, so instances could arrive ({state})",
            f"{then}. Clear stop_nova_compute with Downstream.",
        )
    stopped = step.result_of("stop_nova_compute") or {}
    last = read_moment((stopped.get("heartbeat") or {}).get("last"))
    before = step.check_ownership().updated_at
    if before is not None and before == last:
        return
    time.sleep(STILL_SECONDS)
    after = step.check_ownership().updated_at
    if before != after:
        raise heartbeat_goes_on(
            step.request.host, f"{HEARTBEAT_GOES_ON} ({before} then {after}; {state})"
        )


async def _unit_state(step: HostOperator) -> UnitState:
    async with step.on_host() as host:
        return await host.nova_compute_state()


def _clock_time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%H:%M:%S}"
