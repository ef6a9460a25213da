"""What the steps of a host's maintenance wait for, each with its proof."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from openstack_maintenance.domain.errors import CheckFailed, HostError
from openstack_maintenance.domain.host.amqp_log import amqp_lines
from openstack_maintenance.domain.host.bus_evidence import BusVerdict, judge_bus
from openstack_maintenance.domain.host.facts import AmqpEvidence, ScriptState
from openstack_maintenance.domain.host.network import NETWORK_AGENT
from openstack_maintenance.domain.host.still_heartbeat import (
    HEARTBEAT_GOES_ON,
    STILL_SECONDS,
    heartbeat_goes_on,
    still_heartbeat,
)
from openstack_maintenance.domain.host.zone import local_zone
from openstack_maintenance.domain.ownership import silent_cell
from openstack_maintenance.triggers import stored
from openstack_maintenance.triggers.host_wait import HostWaitTrigger
from openstack_maintenance.triggers.network_watch import NetworkWatch
from openstack_maintenance.triggers.waiting import StillWaiting

# Who answers for so long is not shutting down.
_SHUTDOWN = timedelta(minutes=3)
_FORCED_DOWN = "Nova holds it forced down"


class NovaComputeGoneTrigger(HostWaitTrigger):
    """nova-compute is stopped: no process of it is left, whatever its unit calls that."""

    async def look(self) -> dict[str, Any]:
        async with self.on_host() as host:
            state = await host.nova_compute_state()
            if not state.is_gone:
                raise StillWaiting(f"still there: {state}")
            facts = await host.read_facts()
        return {
            "state": str(facts.nova_compute),
            "boot_id": facts.boot_id,
            "clock": facts.clock.isoformat(),
        }

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"host {self.host}",
            f"nova-compute does not stop ({found})",
            "Look at it on the host (systemctl status), stop it, then clear stop_nova_compute "
            "with Downstream.",
        )


class NovaComputeStillTrigger(NovaComputeGoneTrigger):
    """nova-compute is stopped, and what Nova hears of it stands still.

    A unit that was stopped proves nothing where another one runs the nova-compute of this host.
    """

    async def look(self) -> dict[str, Any]:
        found = await super().look()
        before = await self._heartbeat()
        await asyncio.sleep(STILL_SECONDS)
        after = await self._heartbeat()
        if before != after:
            raise StillWaiting(f"{HEARTBEAT_GOES_ON} ({before} then {after}); {found['state']}")
        return {**found, "heartbeat": still_heartbeat(after)}

    async def _heartbeat(self) -> datetime | None:
        """As Nova shows it. Raises: CloudError, where its cell does not answer: it says nothing."""
        service = await self.service()
        if service.is_unknown:
            raise silent_cell(service)
        return service.updated_at

    async def too_late(self, found: str) -> CheckFailed:
        if HEARTBEAT_GOES_ON in found:
            return heartbeat_goes_on(self.host, found)
        return await super().too_late(found)


class ScriptTrigger(HostWaitTrigger):
    """The maintenance script has succeeded. ``known``: unit, script."""

    needs = (("unit", stored.text), ("script", stored.text))

    async def look(self) -> dict[str, Any]:
        async with self.on_host() as host:
            state = await host.script_state(self.known["unit"])
        if state.status == "succeeded":
            return script_result(self.known["script"], state)
        if state.status == "running":
            last = state.output[-1] if state.output else "(none yet)"
            raise StillWaiting(f"runs; its last line: {last}")
        if state.status == "absent":
            raise CheckFailed(
                f"script {self.known['script']} on {self.host}",
                f"its unit {self.known['unit']} is gone: the host was rebooted meanwhile, or "
                "somebody removed it, so how the script ended is not known",
                "Look at the host (`last -x reboot`, and what the script does), then clear "
                "run_script with Downstream: it runs the script again.",
            )
        raise CheckFailed(
            f"script {self.known['script']} on {self.host}",
            f"{state.status}, exit code {state.exit_code} ({state.result}): "
            + " | ".join(state.output[-5:]),
            "Fix the cause, then clear run_script with Downstream: it runs the script again.",
        )

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"script {self.known['script']} on {self.host}",
            f"has not ended in time ({found})",
            "Wait for it or end its unit on the host, or raise script_timeout; then clear "
            "run_script with Downstream.",
        )


def script_result(script: str, state: ScriptState) -> dict[str, Any]:
    """How a script went, as plain JSON."""
    return {
        "script": script,
        "unit": state.unit,
        "exit_code": state.exit_code,
        "started": state.started.isoformat() if state.started else None,
        "ended": state.ended.isoformat() if state.ended else None,
        "output": list(state.output[-20:]),
    }


class RebootedTrigger(HostWaitTrigger):
    """The host is back with another boot_id. ``known``: boot_id_before, ordered_at.

    One that answers for minutes in the same boot is not on its way down: a shutdown closes the
    logins first (systemd-user-sessions.service). Its order was lost, which is said at once.
    """

    every_seconds = 2.0
    needs = (("boot_id_before", stored.text),)
    subject = "host"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._same_since: float | None = None

    async def look(self) -> dict[str, Any]:
        before = self.known["boot_id_before"]
        try:
            async with self.on_host() as host:
                if await host.boot_id() == before:
                    raise self._in_the_same_boot()
                self._same_since = None
                facts = await host.read_facts()
        except HostError:
            self._same_since = None
            raise
        if facts.boot_id == before:
            raise StillWaiting("it says one boot_id, then another: it is asked again")
        return {
            "boot_id_before": before,
            "boot_id_after": facts.boot_id,
            "ordered_at": self.known.get("ordered_at"),
            "back_at": facts.clock.isoformat(),
        }

    def _in_the_same_boot(self) -> Exception:
        now = time.monotonic()
        self._same_since = now if self._same_since is None else self._same_since
        answered = timedelta(seconds=now - self._same_since)
        if answered >= _SHUTDOWN:
            return self._not_rebooted(answered)
        return StillWaiting("still in the boot from before the reboot")

    def _not_rebooted(self, answered: timedelta) -> CheckFailed:
        minutes = round(answered.total_seconds() / 60)
        lasted = f" for {minutes} minutes" if minutes else ""
        return CheckFailed(
            f"{self.subject} {self.host}",
            f"was not rebooted: it has answered{lasted} and is still in the boot from before the "
            f"reboot (boot_id {self.known['boot_id_before']}), so the order was lost",
            "Clear reboot with Downstream: it checks everything again, then orders it again.",
        )

    async def too_late(self, found: str) -> CheckFailed:
        if self._same_since is not None:
            answered = timedelta(seconds=time.monotonic() - self._same_since)
            return self._not_rebooted(answered)
        return self.not_back(found)

    def not_back(self, found: str) -> CheckFailed:
        """The sentence for one that does not answer."""
        return CheckFailed(
            f"host {self.host}",
            f"did not come back from its reboot in time ({found})",
            "Look at its console or BMC; when it is up again, clear wait_for_host with Downstream.",
        )


def _network(value: Any, name: str) -> Any:
    """What a run keeps of a host's network; nothing where an older release began it."""
    return None if value is None else stored.fields(value, name)


class NovaComputeUpTrigger(HostWaitTrigger):
    """nova-compute runs, Nova calls it up, and its heartbeat advanced twice meanwhile.

    One advance alone may be a write from before the stop that shows late, or come from an
    enable or disable. ``known``: start_after_seconds (a unit that has not started by itself by
    then is started), network (what the host had of it: its agents must be back, too).
    """

    every_seconds = 5.0  # Nova writes a heartbeat every 10 s (report_interval)
    needs = (("start_after_seconds", stored.seconds), ("network", _network))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._beats: list[datetime] = []
        self._idle_since: datetime | None = None
        self._started_by_us = False
        self._watch: NetworkWatch | None = None

    async def look(self) -> dict[str, Any]:
        async with self.on_host() as host:
            state = await host.nova_compute_state()
            if not state.is_active:
                self._beats = []
                if self._should_start(state.is_gone):
                    self._started_by_us = True
                    state = await host.start_nova_compute()
                raise StillWaiting(f"nova-compute is not active yet: {state}")
        service = await self.service()
        if service.is_unknown:
            raise silent_cell(service)
        if service.updated_at and service.updated_at not in self._beats:
            self._beats.append(service.updated_at)
        if service.is_forced_down:
            raise StillWaiting(f"{state}; {_FORCED_DOWN}")
        if not service.is_up:
            raise StillWaiting(f"{state}; Nova does not show it as up yet")
        missing, network = await self._network()
        if len(self._beats) < 3:
            raise StillWaiting(f"{state}, up; waiting for its heartbeat to advance")
        if missing:
            raise StillWaiting(f"{state}, up; {missing}")
        return {
            "state": str(state),
            "active_since": state.active_enter.isoformat() if state.active_enter else None,
            "started_by_run": self._started_by_us,
            "heartbeats": [beat.isoformat() for beat in self._beats[-3:]],
            "network": network,
        }

    async def _network(self) -> tuple[str | None, dict[str, Any]]:
        if self._watch is None:
            self._watch = NetworkWatch(
                self.cloud_conn_id, self.host, self.known.get("network") or {}
            )
        return await self._watch.look()

    def _should_start(self, is_gone: bool) -> bool:
        """Once, and only when the host has had time to start it by itself."""
        if not is_gone or self._started_by_us:
            return False
        now = datetime.now(UTC)
        self._idle_since = self._idle_since or now
        asked = self.known.get("start_after_seconds")
        patience = timedelta(seconds=30 if asked is None else asked)
        return now - self._idle_since >= patience

    async def too_late(self, found: str) -> CheckFailed:
        if _FORCED_DOWN in found:
            return CheckFailed(
                f"host {self.host}",
                f"nova-compute runs, but {_FORCED_DOWN} ({found})",
                "Masakari or a person took the host for dead. When it is not, run `openstack "
                f"compute service set --up {self.host} nova-compute`, then clear "
                "wait_for_nova_compute with Downstream.",
            )
        if NETWORK_AGENT in found:
            return CheckFailed(
                f"host {self.host}",
                f"nova-compute is up, but the host's network is not back ({found}): an instance "
                "that starts there would get no port",
                f"See `openstack network agent list --host {self.host}` and start the agent on the "
                "host, then clear wait_for_nova_compute with Downstream.",
            )
        return CheckFailed(
            f"host {self.host}",
            f"nova-compute is not healthy ({found}); {await self.journal()}",
            "Fix it on the host, then clear wait_for_nova_compute with Downstream.",
        )


class AmqpTrigger(HostWaitTrigger):
    """nova-compute is on the message bus. ``known``: since, evidence, heartbeats."""

    needs = (
        ("since", stored.moment),
        ("evidence", stored.word_of("any", "log_line")),
        ("heartbeats", stored.list_of(stored.moment)),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_line = ""
        self._beats: list[datetime] = []

    async def look(self) -> dict[str, Any]:
        async with self.on_host() as host:
            evidence = await host.amqp_evidence()
        await self._note_heartbeat(evidence)
        verdict = await asyncio.to_thread(self._judge, evidence)
        if not verdict.is_connected:
            raise StillWaiting(verdict.reason)
        return {**asdict(verdict), "sockets": list(verdict.sockets)}

    def _judge(self, evidence: AmqpEvidence) -> BusVerdict:
        return judge_bus(
            evidence,
            since=datetime.fromisoformat(self.known["since"]),
            zone=local_zone(evidence.zone_name, evidence.clock),
            wanted=self.known["evidence"],
            heartbeats=tuple(map(datetime.fromisoformat, self.known["heartbeats"])),
            heartbeats_since_last_line=self._beats,
        )

    async def _note_heartbeat(self, evidence: AmqpEvidence) -> None:
        """Count heartbeats again whenever the log got another line about the broker."""
        lines = await asyncio.to_thread(amqp_lines, evidence.log.lines)
        last = lines[-1].line.text if lines else ""
        if last != self._last_line:
            self._last_line, self._beats = last, []
        beat = (await self.service()).updated_at
        if beat is not None and beat not in self._beats:
            self._beats.append(beat)

    async def too_late(self, found: str) -> CheckFailed:
        return CheckFailed(
            f"host {self.host}",
            f"no proof that nova-compute is on the message bus: {found}",
            "See nova-compute's log and the broker, then clear assert_amqp with Downstream.",
        )
