"""No boot takes a guest down, and nothing is stopped or run on a host that still holds one."""

from __future__ import annotations

from simulator.cloud.journal import Entry
from simulator.cloud.model import Instance
from simulator.events import HOST_DAG
from simulator.hosts.ssh import Question, Spoken
from simulator.stage import Stage


class NoGuestIsTakenDown:
    """A host that goes down in order was told to: by a run, as nobody else does in a story.

    A guest that nobody has told Nova of counts, too; so does an instance without a guest, such as
    one that is being built, unless the policy lets those stay.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._found: list[str] = []
        self._scripts: dict[str, int] = {}
        stage.world.cloud.journal.listeners.append(self._heard)
        stage.world.hosts.network.after.append(self._said)

    def _running(self, host: str) -> list[str]:
        """Whose guests run there: a guest that is only on its way in runs elsewhere."""
        guests = self._stage.world.cloud.state.hosts[host].guests.values()
        running = [each.instance_id for each in guests if each.state != "incoming"]
        return running + self._stage.machine(host).stray_guests

    def _held(self, host: str) -> list[str]:
        """Who is there without a guest, and must not be there."""
        stage = self._stage
        runs = [run for run in stage.world.airflow.runs if run.dag_id == HOST_DAG]
        given = {run.conf.get("on_blocked") or stage.story.policy.get("on_blocked") for run in runs}
        if "leave" in given:
            return []
        there = stage.world.cloud.state.hosts[host].instances.values()
        return [each.id for each in there if self._is_held(each)]

    def _is_held(self, instance: Instance) -> bool:
        return (
            not instance.is_deleted and self._stage.world.cloud.state.guest_of(instance.id) is None
        )

    def _heard(self, entry: Entry) -> None:
        if (entry.who, entry.what) == ("host", "reboots"):
            for each in self._running(entry.host):
                self._found.append(f"the reboot of {entry.host} took the guest of {each} down")
            for each in self._held(entry.host):
                self._found.append(f"{entry.host} was rebooted while the instance {each} was on it")

    def _said(self, question: Question, spoken: Spoken) -> None:
        host = question.host
        if host not in self._stage.world.cloud.state.hosts:
            return
        if question.script == "control" and "stop" in question.args[:2] and spoken.status == 0:
            for each in self._running(host):
                self._found.append(
                    f"nova-compute of {host} was stopped while the guest of {each} ran"
                )
            for each in self._held(host):
                self._found.append(
                    f"nova-compute of {host} was stopped while the instance {each} was on it"
                )
        elif question.script == "script_start":
            begun, before = len(self._stage.machine(host).scripts_run), self._scripts.get(host, 0)
            self._scripts[host] = begun
            for each in self._running(host) if begun > before else ():
                self._found.append(f"the script was run on {host} while the guest of {each} ran")

    def verdicts(self) -> list[str]:
        return self._found
