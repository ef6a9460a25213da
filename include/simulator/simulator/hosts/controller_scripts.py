"""What the scripts for controllers answer: controller, controller_past and rights."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from simulator.hosts.scripts import SCRIPTS, Script
from simulator.hosts.state import FAREWELL, Entry, Said
from simulator.hosts.words import one_line

_NOW = (
    "MainPID",
    "NRestarts",
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "ActiveEnterTimestamp",
)
_THEN = (*_NOW, "InactiveEnterTimestamp")
_NO_SECOND_TRY = re.compile(r"0:|124:|137:|.*(?:nodedown|sudo:|nable to)", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """UNIT|CONTAINER|ROLE"""

    unit: str
    container: str = ""
    role: str = ""


def _specs(script: Script, given: Sequence[str]) -> list[Spec]:
    for each in given:
        script.words.need_spec(each)
    return [Spec(*each.split("|", 2)) for each in given]


class Controller:
    """One look at all services of a controller."""

    def __init__(self, script: Script, engines: str, specs: Sequence[Spec]) -> None:
        self.script, self.see, self.words = script, script.see, script.words
        self.engines, self.specs = engines, specs
        self.known: dict[int, str] = {}
        self.bad: list[tuple[int, str]] = []
        self.off: dict[str, str] = {}
        self.found: list[list[str]] = []  # ENGINE|ID|NAME|STATUS|...

    def look(self, time_units: Sequence[str]) -> None:
        words, host = self.words, self.script.host
        words.say("clock", self.see.clock())
        words.say("boot_id", host.boot_id)
        words.say("hostname", host.hostname)
        self.see.userspace()
        if host.systemd_is_silent:
            raise words.not_now("systemd does not answer (systemctl show gave nothing)")
        keeps_time = self._units([*(each.unit for each in self.specs), *time_units])
        self._containers()
        self._probes()
        if keeps_time:
            words.say("NTPSynchronized", "yes" if host.is_synchronised else "no")
        for number, unit in self.bad:
            shown = [each.short_iso(host.hostname) for each in self.see.entries(unit)[-10:]]
            lines = self.see.journal(f"-o short-iso -n 10 -u {unit}", shown)
            words.each(f"s{number}.journal", lines)
        words.say("clock_end", self.see.clock())

    def _units(self, names: Sequence[str]) -> bool:
        """Show all units; whether one of those that keep the time is active."""
        keeps_time = False
        for number, name in enumerate(names):
            unit = self.script.host.unit(name)
            shown = unit.shown()
            for key in _NOW:
                if key in shown:
                    self.words.say(f"s{number}.unit.{key}", shown[key])
            if unit.load == "not-found":
                continue
            self.known[number] = unit.active
            is_asked = number < len(self.specs)
            is_well = unit.active == "active" and not unit.n_restarts
            if is_asked and not is_well:
                self.bad.append((number, name))
            keeps_time |= not is_asked and unit.active == "active"
        return keeps_time

    def _containers(self) -> None:
        names = [each.container for each in self.specs if each.container]
        for engine in self.engines.split():
            if engine not in self.script.host.engines or not names:
                continue
            said = self.see.inspect(engine, names)
            if said.status and "o such" not in said.err:
                self.words.say("container_error", f"{engine}: {one_line(said.beside)[:300]}")
            rows = [line for line in said.out.splitlines() if line.count("|") >= 4]
            self.found += [f"{engine}|{line}".split("|", 4) for line in rows]
        for number, spec in enumerate(self.specs):
            if spec.container and number not in self.known:
                self._container(number, spec.container)

    def _container(self, number: int, name: str) -> None:
        row = self._row(name)
        if row is None:
            return
        engine, rest = row[0], "|".join(row[1:])
        self.words.say(f"s{number}.engine", engine)
        self.words.say(f"s{number}.container", rest)
        state = "active" if row[3] == "running" else row[3]
        self.known[number] = state
        if state != "active":
            log = self.script.host.containers[name].log[-10:]
            said = self.see.sudo(
                f"{engine} logs --tail 10 -- {name}", lambda: Said(0, "\n".join(log))
            )
            lines = [line for text in (said.err, said.out) for line in text.splitlines()]
            self.words.each(f"s{number}.journal", lines)

    def _row(self, name: str) -> list[str] | None:
        return next((row for row in self.found if row[2].removeprefix("/") == name), None)

    def _probes(self) -> None:
        asked: set[str] = set()
        for number, spec in enumerate(self.specs):
            state = self.known.get(number)
            if not spec.role or spec.role in asked or state is None:
                continue
            if state == "active":
                asked.add(spec.role)
                self._probe(spec)
            else:
                self.off.setdefault(spec.role, f"{spec.unit} is {state}")
        for role, why in self.off.items():
            if role not in asked:
                self.words.say(f"{role}.exit", "off")
                self.words.say(f"{role}.out", why)

    def _probe(self, spec: Spec) -> None:
        row = self._row(spec.container) if spec.container else None
        inside = f"{row[0]} exec -- {spec.container} " if row else ""
        host = self.script.host
        match spec.role:
            case "broker":
                self._tell("broker", self._broker(inside))
            case "database":
                client = "sh -c" if inside else "mariadb -N -B --connect-timeout=5 -e"
                said = self._ask(f"{inside}{client} select 1", host.database)
                self._tell("database", said)
            case "cache":
                status, out, err = host.cache
                answered = Said(0, out) if out.startswith("VERSION") else None
                said = Said(status, out, err)
                self._tell("cache", answered or Said(1, f"{out} {said.beside}"))

    def _broker(self, inside: str) -> Said:
        host = self.script.host
        first = host.broker
        if host.broker_is_old:
            first = Said(1, "", "Error: could not recognise command")
        said = self._ask(f"{inside}rabbitmqctl -q --formatter json cluster_status", first)
        if _NO_SECOND_TRY.match(f"{said.status}:{said.out}"):
            return said
        return self._ask(f"{inside}rabbitmqctl cluster_status", host.broker)

    def _ask(self, command: str, answer: Said) -> Said:
        """Within its limit, as root; where it fails, with what it says beside its answer."""
        said = self.see.sudo(command, lambda: answer)
        return Said(said.status, f"{said.out} {said.beside}") if said.status else said

    def _tell(self, role: str, said: Said) -> None:
        self.words.say(f"{role}.exit", said.status)
        lines = said.out.split("\n")
        folded = [
            line[at : at + 1000] for line in lines for at in range(0, max(len(line), 1), 1000)
        ]
        self.words.each(f"{role}.out", folded[:60])


async def controller(script: Script, engines: str, time_units: str, *given: str) -> None:
    words = script.words
    words.need_engines(engines)
    so = re.fullmatch(r"[A-Za-z0-9_.@\\ -]*", time_units)
    words.need(so, "this is not the name of a unit")
    for each in time_units.split():
        words.need_unit(each)
    Controller(script, engines, _specs(script, given)).look(time_units.split())


async def controller_past(script: Script, until: str, engines: str, *given: str) -> None:
    words, see, host = script.words, script.see, script.host
    words.need_number(until)
    words.need_engines(engines)
    specs = _specs(script, given)
    words.say("clock", see.clock())
    words.say("boot_id", host.boot_id)
    words.say("hostname", host.hostname)
    see.userspace()
    if host.systemd_is_silent:
        raise words.not_now("systemd does not answer (systemctl show gave nothing)")
    for number, spec in enumerate(specs):
        shown = host.unit(spec.unit).shown()
        for key in _THEN:
            if key in shown:
                words.say(f"s{number}.unit.{key}", shown[key])
    for number, spec in enumerate(specs):
        if spec.container and (found := see.find_container(spec.container, engines)):
            words.say(f"s{number}.engine", see.engine)
            words.say(f"s{number}.container", found.inspected())
    if not see.may_read_journal("journalctl -q -n 1"):
        words.say(
            "journal_error", "the login may not read it: put it into the group systemd-journal"
        )
    units = {each.unit for each in specs}
    words.each("boot", see.journal("-q --list-boots", _boots(script)))
    rows = [each for each in host.journal if each.id == FAREWELL or _is_about(each, units)]
    rows = [each for each in rows if each.at.timestamp() <= int(until)][-8000:]
    events = [json.dumps(each.plain(), separators=(",", ":")) for each in rows]
    options = f"-q -o json -n 8000 --until @{until} _PID=1"
    words.each("event", see.journal(options, events))


def _is_about(entry: Entry, units: set[str]) -> bool:
    return entry.is_systemds and entry.unit in units


def _boots(script: Script) -> list[str]:
    boots = script.host.boots
    when = "%a %Y-%m-%d %H:%M:%S UTC"
    return [
        f"{number - len(boots) + 1:2} {each.id.replace('-', '')} "
        f"{each.first.astimezone(UTC):{when}} {each.last.astimezone(UTC):{when}}"
        for number, each in enumerate(boots)
    ]


async def rights(script: Script, order: str, engines: str, *given: str) -> None:
    words, see = script.words, script.see
    words.need(order in ("restart", "reboot"), "the orders are restart and reboot")
    words.need_engines(engines)
    specs = _specs(script, given)
    if script.host.login.is_root:
        return
    if order == "reboot":
        see.needs("systemctl", "reboot")
        return
    for spec in specs:
        if see.is_known(spec.unit) or not spec.container:
            see.needs("systemctl", "restart", "--no-block", "--", spec.unit)
            see.needs("systemctl", "reset-failed", "--", spec.unit)
        elif see.find_container(spec.container, engines):
            see.needs(see.engine, "restart", "--time", "60", "--", spec.container)


SCRIPTS |= {"controller": controller, "controller_past": controller_past, "rights": rights}
