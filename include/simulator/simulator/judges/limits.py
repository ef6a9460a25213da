"""Never more hosts out, or migrations in flight, than the policy says."""

from __future__ import annotations

import re

from simulator.cloud.journal import Entry
from simulator.cloud.model import Instance
from simulator.stage import Stage

_ASKED = ("live-migrates to ", "asks for migrate ")
MARK = re.compile(r"\[airflow (\S+) ([^\]]+)\](?:\[(\w+)\])?")
_IN_HAND = ("queued", "preparing")
_ARRIVED = ("finished", "confirming", "reverting")  # and its guest runs again
_MOVING = ("migrating", "resize_prep", "resize_migrating", "resize_migrated", "resize_finish")


class NeverMoreThanThePolicy:
    """At each request for a move, and at each host that is taken out."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ours: dict[str, str] = {}  # instance and its source
        self._before: dict[str, str] = {}  # its migration when we asked
        self._dead: set[str] = set()  # migrations
        self._found: list[str] = []
        stage.world.cloud.journal.listeners.append(self._heard)

    def _most(self, field: str, default: int) -> int:
        """By the policy of this moment: a person may change it."""
        return int(self._stage.story.policy.get(field, default))

    @property
    def _per_host(self) -> int:
        most = self._most("migrations_per_host", 1)
        # Where Nova's own limit is the same, one request more waits in its queue.
        return most + (self._stage.story.policy.get("nova_live_migration_limit") == most)

    def _heard(self, entry: Entry) -> None:
        if (entry.who, entry.what) == ("fault", "nova-conductor dies"):
            self._note_dead()
        if (entry.who, entry.what) == ("host", "nova-compute ends"):
            self._note_left(entry.host)
        if entry.who != "client":
            return
        if entry.what.startswith(_ASKED):
            self._judge_moves(entry.instance)
        elif entry.what.startswith("disabled"):
            self._judge_hosts()

    def _judge_moves(self, instance_id: str) -> None:
        instances = self._stage.world.cloud.state.instances
        self._ours[instance_id] = instances[instance_id].host or ""
        last = instances[instance_id].migration
        self._before[instance_id] = last.uuid if last is not None else ""
        flying = {
            each: source
            for each, source in self._ours.items()
            if each in instances and self._is_moving(instances[each], source)
        }
        source = self._ours[instance_id]
        off_host = sum(1 for each in flying.values() if each == source)
        if off_host > self._per_host:
            self._found.append(f"{off_host} migrations off {source} were in flight")
        if len(flying) > self._most("migrations_total", 4) + (self._per_host > 1):
            self._found.append(f"{len(flying)} migrations were in flight")

    def _judge_hosts(self) -> None:
        out = []
        for name, host in self._stage.world.cloud.state.hosts.items():
            mark = MARK.match(host.service.disabled_reason or "")
            if mark and mark[3] != "closed":
                out.append(name)
        if len(out) > self._most("max_hosts_out", 1):
            self._found.append(f"{len(out)} hosts were out: {', '.join(out)}")

    def _note_dead(self) -> None:
        """What the conductor had in hand stays as it is for ever: nothing of it is in flight."""
        for instance in self._stage.world.cloud.state.instances.values():
            last = instance.migration
            if last is not None and not last.is_over and last.destination is None:
                self._dead.add(last.uuid)

    def _note_left(self, host: str) -> None:
        """A nova-compute that ends takes its queue with it, whatever its records say for ever."""
        for instance in self._stage.world.cloud.state.instances.values():
            last = instance.migration
            is_in_hand = last is not None and last.is_live and last.status in _IN_HAND
            if last is not None and is_in_hand and last.source == host:
                self._dead.add(last.uuid)

    def _is_moving(self, instance: Instance, source: str) -> bool:
        last = instance.migration
        if last is None or last.uuid == self._before.get(instance.id):
            # Asked for, and not written yet.
            return instance.task_state in _MOVING and instance.host == source
        if last.source != source:
            return False  # its owner resizes it where it has come to
        return last.uuid not in self._dead and not last.is_over and last.status not in _ARRIVED

    def verdicts(self) -> list[str]:
        return self._found
