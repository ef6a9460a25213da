"""What was written down on the lab, played to the campaign's judges as if they had been there.

The judges listen to a world: its journal, its hosts, its guests. Here the facts of a lab, in the
order of their times, are that world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from lab_campaign.facts import Fact, Move
from simulator.cloud.journal import Entry, Journal
from simulator.hosts.ssh import Question, Spoken
from simulator.judges import Judge, all_judges
from simulator.judges.limits import MARK
from simulator.stage import Stage
from simulator.story import Json

_POWERED = frozenset({1, 3})  # Nova's power states: running, paused
# Between a guest's end on the source and its beginning on the destination.
_ON_ITS_WAY = timedelta(seconds=60)
_DISABLED = "disabled"


@dataclass
class Guest:
    """A guest on a host; one that is there twice has two."""

    instance_id: str
    host: str
    state: str = "running"


@dataclass
class Service:
    """A host's nova-compute service."""

    disabled_reason: str | None = None
    is_disabled: bool = False


@dataclass
class Host:
    """A compute host: its guests by instance, its boots, and how often the script has run.

    What stays empty is not seen on the lab: guests that Nova does not know, instances without a
    guest, and orders to reboot, of which its boots tell.
    """

    service: Service = field(default_factory=Service)
    guests: dict[str, Guest] = field(default_factory=dict)
    boots: list[SimpleNamespace] = field(default_factory=list)
    scripts_run: list[SimpleNamespace] = field(default_factory=list)
    stray_guests: list[str] = field(default_factory=list)
    instances: dict[str, Any] = field(default_factory=dict)
    reboot_orders: list[float] = field(default_factory=list)

    @property
    def state(self) -> Host:
        """Judges ask a machine for its state's boots."""
        return self


@dataclass
class Instance:
    """An instance, as far as judges ask."""

    id: str
    host: str = ""
    task_state: str | None = None
    migration: Move | None = None


class State:
    """The cloud as far as judges ask."""

    def __init__(self, hosts: Iterable[str], instances: Iterable[str]) -> None:
        self.hosts = {name: Host() for name in hosts}
        self.instances = {each: Instance(each) for each in instances}

    @property
    def guests(self) -> dict[str, dict[str, Guest]]:
        """Every guest, by instance and host."""
        found: dict[str, dict[str, Guest]] = {}
        for name, host in self.hosts.items():
            for each in host.guests:
                found.setdefault(each, {})[name] = host.guests[each]
        return found

    def guest_of(self, instance_id: str) -> Guest | None:
        """The guest of an instance, on whichever host."""
        return next(iter(self.guests.get(instance_id, {}).values()), None)


@dataclass(frozen=True)
class Told:
    """What else judges must know. ``runs``: each with ``dag_id`` and ``conf``. ``folder``: holds
    ``records``. ``left``: the ids of the instances that are there in the end.
    """

    policy: Json
    runs: list[Any]
    folder: Path
    left: frozenset[str]


class Replay:
    """The lab's world, at the moment of the fact that was played last."""

    def __init__(self, facts: Iterable[Fact], hosts: Iterable[str], told: Told) -> None:
        self._facts = sorted(facts, key=lambda fact: fact.at)
        self._told = told
        known = {fact.instance for fact in self._facts if fact.instance} | {
            each for fact in self._facts if fact.kind == "guests" for each in fact.value
        }
        self.state = State(hosts, known)
        self.journal = Journal()
        self._after: list[Callable[[Question, Spoken], None]] = []
        self._on_their_way: dict[str, tuple[str, Any]] = {}  # by instance: the source, since when
        self._seen: set[str] = set()  # hosts whose first guests are known
        self.entries: list[Entry] = []
        self.journal.listeners.append(self.entries.append)

    def judged(self) -> list[str]:
        """Play everything; what the judges say, each beginning with the judge's name."""
        judges: dict[str, Judge] = all_judges(self._stage())
        for fact in self._facts:
            getattr(self, f"_play_{fact.kind.replace(' ', '_').replace('-', '_')}")(fact)
        for each in set(self.state.instances) - self._told.left:
            del self.state.instances[each]
        return [f"{name}: {each}" for name, judge in judges.items() for each in judge.verdicts()]

    def _stage(self) -> Stage:
        """What judges take for the stage of a simulated story."""
        machines = self.state.hosts
        network = SimpleNamespace(after=self._after)
        # When its runs and tasks changed nobody has written down; judges hear of none.
        airflow = SimpleNamespace(
            runs=self._told.runs,
            core=SimpleNamespace(changed=[], store=SimpleNamespace(runs={})),
        )
        world = SimpleNamespace(
            cloud=SimpleNamespace(journal=self.journal, state=self.state),
            hosts=SimpleNamespace(network=network, machines=machines, folder=self._told.folder),
            airflow=airflow,
        )
        stage = SimpleNamespace(
            story=SimpleNamespace(policy=self._told.policy),
            world=world,
            machine=machines.__getitem__,
            process_of=lambda question: self._process_on(question.host),
        )
        return cast("Stage", stage)

    def _process_on(self, host: str) -> Any:
        """Whose order it is: that of the run whose mark the host has at this moment."""
        mark = MARK.match(self.state.hosts[host].service.disabled_reason or "")
        if mark is None:
            return None
        return SimpleNamespace(ti=SimpleNamespace(run=SimpleNamespace(key=(mark[1], mark[2]))))

    def _write(self, fact: Fact, who: str, what: str, instance: str = "", host: str = "") -> None:
        self.journal.write(Entry(fact.at, who, what, instance, host))

    # Hosts.

    def _play_boot(self, fact: Fact) -> None:
        host = self.state.hosts[fact.host]
        is_first = not host.boots
        host.boots.append(SimpleNamespace(id=fact.what))
        if is_first:
            return
        self._write(fact, "host", "reboots", host=fact.host)
        for each in list(host.guests):
            del host.guests[each]
            self._write(fact, "guest", "ends: the host reboots", each, fact.host)
        self._write(fact, "host", "has booted", host=fact.host)

    def _play_guests(self, fact: Fact) -> None:
        host = self.state.hosts[fact.host]
        powered = {each for each, state in fact.value.items() if state in _POWERED}
        if fact.host not in self._seen:  # they were there before the story
            self._seen.add(fact.host)
            host.guests = {each: Guest(each, fact.host) for each in powered}
            return
        for each in set(host.guests) - powered:
            del host.guests[each]
            self._guest_goes(fact, each)
        for each in powered - set(host.guests):
            self._guest_comes(fact, each)
            host.guests[each] = Guest(each, fact.host)

    def _guest_goes(self, fact: Fact, instance_id: str) -> None:
        move = self.state.instances[instance_id].migration
        if self.state.guest_of(instance_id) is not None:
            return  # it runs elsewhere already: it has moved
        if move is not None and move.is_live and move.source == fact.host:
            self._on_their_way[instance_id] = (fact.host, fact.at)
        else:
            self._write(fact, "guest", "ends: as asked", instance_id, fact.host)

    def _guest_comes(self, fact: Fact, instance_id: str) -> None:
        source, since = self._on_their_way.pop(instance_id, ("", None))
        elsewhere = self.state.guest_of(instance_id)
        if since is not None and fact.at - since < _ON_ITS_WAY and source != fact.host:
            self._write(fact, "guest", f"has moved from {source}", instance_id, fact.host)
        elif elsewhere is not None:
            self._write(fact, "guest", f"has moved from {elsewhere.host}", instance_id, fact.host)
        else:
            self._write(fact, "guest", "starts", instance_id, fact.host)

    def _play_stop_order(self, fact: Fact) -> None:
        self._say(fact, "control", ("stop",))
        self._play_nova_compute_ends(fact)

    def _play_nova_compute_ends(self, fact: Fact) -> None:
        self._write(fact, "host", "nova-compute ends", host=fact.host)

    def _play_reboot_order(self, fact: Fact) -> None:
        self._say(fact, "reboot", ())

    def _play_script(self, fact: Fact) -> None:
        self.state.hosts[fact.host].scripts_run.append(SimpleNamespace(exit_code=0))
        self._say(fact, "script_start", ())

    def _say(self, fact: Fact, script: str, args: tuple[str, ...]) -> None:
        question = Question(fact.host, script, args, b"", fact.at.timestamp())
        for hear in self._after:
            hear(question, Spoken())

    # The cloud.

    def _play_service(self, fact: Fact) -> None:
        service = self.state.hosts[fact.host].service
        service.is_disabled = fact.what.startswith(_DISABLED)
        reason = fact.what.removeprefix(f"{_DISABLED}: ")
        service.disabled_reason = reason if service.is_disabled else None
        self._write(fact, fact.who, fact.what, host=fact.host)

    def _play_action(self, fact: Fact) -> None:
        host = self.state.instances[fact.instance].host
        self._write(fact, fact.who, f"asks for {fact.what}", fact.instance, host)

    def _play_moves(self, fact: Fact) -> None:
        instance, move = self.state.instances[fact.instance], fact.value
        # Judges hear of the request when it is made, and Nova writes its migration after that.
        instance.host, instance.task_state = move.source, "migrating"
        to = move.destination or "wherever there is room"
        what = f"live-migrates to {to}" if move.is_live else "asks for migrate "
        self._write(fact, fact.who, what, fact.instance, move.source)
        instance.migration, instance.task_state = move, None

    def _play_moved(self, fact: Fact) -> None:
        fact.value.is_over = True
        self._write(fact, "nova", f"the migration is {fact.value.status}", fact.instance)

    def _play_arrived(self, fact: Fact) -> None:
        """A cold migration's guest runs on its new host; only the confirmation is left."""
        move = self.state.instances[fact.instance].migration
        if move is not None and not move.is_live:
            move.is_over = True

    def _play_fault(self, fact: Fact) -> None:
        self._write(fact, "fault", fact.what)
