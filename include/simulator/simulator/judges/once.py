"""No host is rebooted twice for one run, and no script that has succeeded is run twice.

A script that a crash of its host has cut short has not succeeded.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulator.cloud.journal import Entry
from simulator.hosts.ssh import Question, Spoken
from simulator.stage import Stage


class NothingTwice:
    """A reboot is the run's that has ordered it last."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ordered: dict[str, tuple[Any, ...]] = {}
        self._boots: Counter[tuple[Any, ...]] = Counter()
        self._scripts: Counter[tuple[Any, ...]] = Counter()
        self._seen: dict[str, int] = {}
        # By host: for which run a script was begun last, and when it has succeeded.
        self._ends: dict[str, tuple[tuple[Any, ...], float]] = {}
        # Of a controller: in how many boots each run has ordered a reboot that it took.
        self._left: dict[tuple[Any, ...], set[str]] = {}
        self._orders: dict[str, int] = {}
        stage.world.cloud.journal.listeners.append(self._heard)
        stage.world.hosts.network.after.append(self._said)

    def _said(self, question: Question, spoken: Spoken) -> None:
        process = self._stage.process_of(question)
        run = process.ti.run.key if process is not None and process.ti is not None else ("?", "?")
        machine = self._stage.machine(question.host)
        if question.script == "reboot":
            self._ordered[question.host] = (question.host, *run)
            before, now = self._orders.get(question.host, 0), len(machine.reboot_orders)
            self._orders[question.host] = now
            if now > before and question.host not in self._stage.world.cloud.state.hosts:
                self._left.setdefault((question.host, *run), set()).add(machine.state.boot_id)
        elif question.script == "script_start":
            before, now = self._seen.get(question.host, 0), len(machine.scripts_run)
            self._seen[question.host] = now
            good = [play for play in machine.scripts_run[before:now] if play.exit_code == 0]
            self._scripts[question.host, *run] += len(good)
            clock = getattr(self._stage.world, "clock", None)  # the lab has none, and no crashes
            if good and clock is not None:
                ends = clock.seconds() + good[-1].seconds
                self._ends[question.host] = (question.host, *run), ends

    def _heard(self, entry: Entry) -> None:
        if (entry.who, entry.what) == ("host", "reboots"):
            self._boots[self._ordered.get(entry.host, (entry.host, "?", "?"))] += 1
        elif (entry.who, entry.what) == ("host", "fails") and entry.host in self._ends:
            key, ends = self._ends.pop(entry.host)
            if self._stage.world.clock.seconds() < ends:
                self._scripts[key] -= 1

    def verdicts(self) -> list[str]:
        left = {key: len(boots) for key, boots in self._left.items()}
        found = [
            f"{host} was rebooted {count} times for the run {run}"
            for (host, _, run), count in [*self._boots.items(), *left.items()]
            if count > 1
        ]
        return found + [
            f"the script was run {count} times on {host} for the run {run}"
            for (host, _, run), count in self._scripts.items()
            if count > 1
        ]
