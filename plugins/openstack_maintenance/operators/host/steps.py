"""Stop nova-compute, run the node's maintenance, reboot, and prove the host healthy again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from openstack_maintenance.adapters.policy_file import script_path
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.host.guests import guests_run
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.emptiness import NO_GUEST, prove_empty
from openstack_maintenance.operators.wait import since_in_words, wait
from openstack_maintenance.triggers.host_steps import (
    AmqpTrigger,
    NovaComputeGoneTrigger,
    NovaComputeUpTrigger,
    RebootedTrigger,
    ScriptTrigger,
    script_result,
)

if TYPE_CHECKING:
    from openstack_maintenance.domain.host.facts import (
        HostFacts,
        RebootAnswer,
        ScriptState,
        UnitState,
    )

_REBOOT_KEY = "reboot"
_PROOF = "empty"  # of emptiness: the key in a step's result


class StopNovaComputeOperator(HostOperator):
    """Stop nova-compute, and prove that no process of it is left.

    Returns: state, boot_id and clock (the host's own) at that moment.
    """

    waits_for_window = True

    def perform(self) -> dict[str, Any] | None:
        """Prove emptiness, stop, and wait until it is gone."""
        self.check_ownership()
        proof = prove_empty(self)
        state, facts = asyncio.run(self._stop())
        proof["witnesses"]["host"] = NO_GUEST
        if not state.is_gone:
            self.tell(_PROOF, proof)
            wait(self, NovaComputeGoneTrigger, "stop_timeout")
        return self._stopped({**stop_result(facts), _PROOF: proof})

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is gone."""
        found, proof = super().resume(event), self.told_before(_PROOF)
        return self._stopped({**found, _PROOF: proof} if proof else found)

    def _stopped(self, found: dict[str, Any]) -> dict[str, Any]:
        self.log.info("host %s: nova-compute is stopped: %s", self.request.host, found["state"])
        return found

    async def _stop(self) -> tuple[UnitState, HostFacts]:
        async with self.on_host() as host:
            state = await host.nova_compute_state()
            if not state.is_gone:
                await host.check_no_guests("nova-compute was not stopped")
                state = await host.stop_nova_compute()
            facts = await host.read_facts()
            if facts.guests:
                raise guests_run(facts.hostname, facts.guests, "Nothing more was done")
            return state, facts


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
        proof = prove_empty(self, is_stopped=True)
        store: Any = self._context["task_state_store"]
        if (done := store.get("done")) is not None:
            self.log.info("script %s: this run has run it already", name)
            return dict(done)  # a host that rebooted meanwhile has forgotten the unit
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
        store: Any = self._context["task_state_store"]
        store.set("done", storable(result))
        last = (result.get("output") or ["(nothing)"])[-1]
        self.log.info("script %s: succeeded; its last line: %s", result["script"], last)
        return result

    async def _start(self, name: str, content: bytes) -> ScriptState:
        async with self.on_host() as host:
            await host.check_no_guests("The script was not started")
            return await host.start_script(name, content, self.script_unit, again=True)


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
        store: Any = self._context["task_state_store"]
        stopped = self.result_of("stop_nova_compute")
        ordered = store.get(_REBOOT_KEY) or {
            "boot_id_before": stopped["boot_id"],
            "ordered_at": stopped["clock"],
        }
        proof = prove_empty(self, is_stopped=True)
        # Written down before the order: whoever dies after it, the host is rebooted once.
        store.set(_REBOOT_KEY, storable(ordered))
        answer = asyncio.run(self._reboot(ordered["boot_id_before"]))
        if answer.outcome == "asked":  # its own script looks, in the moment of the order
            proof["witnesses"]["host"] = NO_GUEST
        self.log.info("host %s: reboot %s", self.request.host, answer.outcome)
        return {**ordered, "outcome": answer.outcome, "empty": proof}

    async def _reboot(self, boot_id: str) -> RebootAnswer:
        async with self.on_host() as host:
            state = await host.nova_compute_state()
            # In another boot it runs rightly: then this run has rebooted the host already.
            if not state.is_gone and await host.boot_id() == boot_id:
                raise CheckFailed(
                    f"host {self.request.host}",
                    f"nova-compute runs again, so instances could arrive ({state})",
                    "The host was not rebooted. Clear stop_nova_compute with Downstream.",
                )
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

    Returns: state, active_since, started_by_run, heartbeats (three different ones).
    """

    def perform(self) -> None:
        """Leave the waiting to the triggerer."""
        # Without a reboot nobody but this run starts it again.
        patience = 30 if self.request.reboot else 0
        wait(self, NovaComputeUpTrigger, "nova_compute_timeout", start_after_seconds=patience)

    def resume(self, event: Mapping[str, Any]) -> Any:
        """It is up."""
        result = super().resume(event)
        beats = ", ".join(map(_clock_time, result["heartbeats"]))
        self.log.info("host %s: nova-compute is up, heartbeats %s", self.request.host, beats)
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


def stop_result(facts: HostFacts) -> dict[str, Any]:
    """nova-compute as it is once it is stopped, as plain JSON; the clock is the host's own."""
    return {
        "state": str(facts.nova_compute),
        "boot_id": facts.boot_id,
        "clock": facts.clock.isoformat(),
    }


def _clock_time(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%H:%M:%S}"
