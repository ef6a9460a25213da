"""Only what we have disabled is enabled, what somebody else has disabled stays theirs, and a host
that a run has at a time is nobody else's.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from simulator.airflow.records import TaskInstance
from simulator.cloud.journal import Entry
from simulator.events import HOST_DAG
from simulator.judges.limits import MARK
from simulator.stage import Stage

# Nova has no "only if it is still so": what somebody does in this moment cannot be seen in time.
_TOO_CLOSE = timedelta(seconds=5)
# Who ends tasks so leaves them no time to say anything.
_HANDS = {"marked by hand", "lose_task", "kill_task", "kill_worker", "kill_scheduler"}


class OnlyOurs:
    """Who has set a service last, and how."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._found: list[str] = []
        # By host: who has disabled it, with which reason, and since when.
        self._disabled: dict[str, tuple[str, str, datetime | None]] = {}
        for name, host in stage.world.cloud.state.hosts.items():
            if host.service.is_disabled:
                reason = host.service.disabled_reason or ""
                who = "client" if MARK.match(reason) else "somebody"
                self._disabled[name] = (who, reason, None)
        stage.world.cloud.journal.listeners.append(self._heard)
        stage.world.airflow.core.changed.append(self._changed)

    def _heard(self, entry: Entry) -> None:
        if not entry.what.startswith(("enabled", "disabled")) or not entry.host:
            return
        who, reason, since = self._disabled.get(entry.host, ("", "", None))
        is_new = since is not None and entry.at - since < _TOO_CLOSE
        if entry.who == "client" and who not in ("", "client") and not is_new:
            did = entry.what.partition(":")[0]
            self._found.append(f"a run {did} {entry.host}, which {who} had disabled ({reason})")
        if entry.who == who == "client" and entry.what.startswith("disabled"):
            self._judge_taking(entry.host, reason, entry.what.removeprefix("disabled: "))
        if entry.what.startswith("enabled"):
            self._disabled.pop(entry.host, None)
            return
        reason = entry.what.removeprefix("disabled: ")
        if entry.who == "client" and not MARK.match(reason):
            self._found.append(f"{entry.host} was disabled without a mark: {reason}")
        self._disabled[entry.host] = (entry.who, reason, entry.at)

    def _judge_taking(self, host: str, before: str, after: str) -> None:
        """No run takes a host that another run has, unless that one has ended."""
        was, now = MARK.match(before), MARK.match(after)
        if not was or not now or was[3] == "closed" or was.group(1, 2) == now.group(1, 2):
            return
        owner = self._stage.world.airflow.core.store.runs.get((was[1], was[2]))
        if owner is not None and not owner.is_finished:
            self._found.append(f"a run took {host} from another one that was under way")

    def _changed(self, ti: TaskInstance, was: Any) -> None:
        """Whoever keeps a host after a bad end says so on it, where nothing was in the way."""
        if (ti.run.dag_id, ti.task_id, ti.state) != (HOST_DAG, "report", "failed"):
            return
        stage, host = self._stage, str(ti.run.conf.get("host"))
        if (
            stage.open_faults
            or _HANDS & set(stage.faults)
            or host not in stage.world.cloud.state.hosts
        ):
            return
        reason = stage.world.cloud.state.hosts[host].service.disabled_reason
        mark = MARK.match(reason or "")
        if mark and mark.group(1, 2) == ti.run.key and mark[3] != "failed":
            self._found.append(f"a run that has failed keeps {host} and does not say so: {reason}")

    def verdicts(self) -> list[str]:
        return self._found
