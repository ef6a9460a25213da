"""No boot takes a running guest down, and no nova-compute is stopped over one."""

from __future__ import annotations

from simulator.cloud.journal import Entry
from simulator.hosts.ssh import Question, Spoken
from simulator.stage import Stage


class NoGuestIsTakenDown:
    """A host that goes down in order was told to: by a run, as nobody else does in a story."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._found: list[str] = []
        stage.world.cloud.journal.listeners.append(self._heard)
        stage.world.hosts.network.after.append(self._said)

    def _running(self, host: str) -> list[str]:
        """Whose guests run there: a guest that is only on its way in runs elsewhere."""
        guests = self._stage.world.cloud.state.hosts[host].guests.values()
        return [each.instance_id for each in guests if each.state != "incoming"]

    def _heard(self, entry: Entry) -> None:
        if (entry.who, entry.what) == ("host", "reboots"):
            for each in self._running(entry.host):
                self._found.append(f"the reboot of {entry.host} took the guest of {each} down")

    def _said(self, question: Question, spoken: Spoken) -> None:
        if question.script != "control" or "stop" not in question.args[:2]:
            return
        if question.host in self._stage.world.cloud.state.hosts and spoken.status == 0:
            for each in self._running(question.host):
                self._found.append(
                    f"nova-compute of {question.host} was stopped while the guest of {each} ran"
                )

    def verdicts(self) -> list[str]:
        return self._found
