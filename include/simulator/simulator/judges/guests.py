"""No guest that ran before is off at the end, unless its owner or the policy said so."""

from __future__ import annotations

from simulator.cloud.journal import Entry
from simulator.events import HOST_DAG
from simulator.stage import Stage

_OURS = "client"
_ENDS_AS_ASKED = "ends: as asked"


class GuestsRunOn:
    """Who has ended a guest last: only what we end ourselves must run again at the end."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._asked: dict[str, tuple[str, str]] = {}  # by instance: who, and what
        self._ended: dict[str, tuple[str, str]] = {}  # by instance: who, and why
        self._found: list[str] = []
        stage.world.cloud.journal.listeners.append(self._heard)

    def _heard(self, entry: Entry) -> None:
        about = entry.instance
        if entry.what.startswith("asks for "):
            self._asked[about] = (entry.who, entry.what)
            if (entry.who, entry.what) == (_OURS, "asks for stop"):
                self._judge_stop(about)
        elif entry.who == "guest" and entry.what.startswith("ends"):
            asked = self._asked.get(about, ("nobody", ""))
            who = "a fault" if entry.what == "ends: the host fails" else asked[0]
            if "shut down from within" in entry.what:
                who = "owner"
            self._ended[about] = (who, entry.what)
        elif entry.who == "guest" and entry.what == "starts":
            self._judge_start(about)

    def _judge_stop(self, instance_id: str) -> None:
        """A running guest is shut down only where that was asked for."""
        stage = self._stage
        if stage.world.cloud.state.guest_of(instance_id) is None:
            return
        runs = [run for run in stage.world.airflow.runs if run.dag_id == HOST_DAG]
        given = {run.conf.get("on_blocked") or stage.story.policy.get("on_blocked") for run in runs}
        if not given & {"stop", "restart"}:
            self._found.append(f"the guest of {instance_id} was shut down, and nobody had said so")

    def _judge_start(self, instance_id: str) -> None:
        """What its owner has shut down stays off."""
        who, _ = self._ended.pop(instance_id, ("", ""))
        asked_by, asked = self._asked.get(instance_id, ("", ""))
        if (asked_by, asked) == (_OURS, "asks for start") and who == "owner":
            self._found.append(
                f"the guest of {instance_id} was started, though its owner had ended it"
            )

    def verdicts(self) -> list[str]:
        state = self._stage.world.cloud.state
        found = list(self._found)
        for instance_id, (who, why) in self._ended.items():
            is_there = instance_id in state.instances
            if is_there and state.guest_of(instance_id) is None and who == _OURS:
                found.append(f"the guest of {instance_id} is off at the end ({why} by a run)")
        for instance_id, guests in state.guests.items():
            running = [host for host, guest in guests.items() if guest.state != "incoming"]
            if len(running) > 1:
                found.append(f"the guest of {instance_id} runs on {' and '.join(running)}")
        return found
