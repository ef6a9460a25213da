"""Stories drawn from a seed: the same seed, the same story."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from simulator.story import Json, Story

T = TypeVar("T")
_NIGHT = datetime(2026, 3, 10, 0, 55, tzinfo=UTC)
_STATES = (("active", 14), ("stopped", 4), ("paused", 2), ("suspended", 1), ("error", 1))
_DEEDS = (
    ("live-migrate", 5),
    ("migrate", 2),
    ("confirm", 2),
    ("stop", 1),
    ("start", 1),
    ("disable", 3),
    ("enable", 3),
    ("services", 2),
    ("servers", 2),
    ("migrations", 2),
    ("get server", 2),
    ("placement", 1),
    ("token", 1),
    ("read", 3),
    ("write", 3),
    ("any", 4),
)
_HOWS = (
    ("lost", 3),
    ("lost after", 4),
    ("refused", 2),
    ("silent", 1),
    ("silent after", 2),
    ("slow", 2),
    ("404", 2),
    ("503", 4),
    ("502", 1),
    ("504 after", 1),
    ("429", 3),
    ("500", 3),
)
STEPS = (
    "check_host",
    "wait_for_window",
    "disable_service",
    "list_instances",
    "migrate_instance",
    "list_arrivals",
    "check_host_empty",
    "stop_nova_compute",
    "run_script",
    "reboot",
    "wait_for_host",
    "wait_for_nova_compute",
    "assert_amqp",
    "enable_service",
    "report",
)
_LAST_STEPS = ("check_host_empty", "stop_nova_compute", "run_script", "reboot")
_SCRIPTS = (
    "facts",
    "state",
    "boot_id",
    "control",
    "reboot",
    "amqp",
    "script_start",
    "script_state",
)
_OWNERS = (
    ("stop", 4),
    ("start", 2),
    ("reboot", 1),
    ("pause", 1),
    ("unpause", 1),
    ("suspend", 1),
    ("rebuild", 1),
    ("shelve", 1),
    ("delete", 3),
    ("resize", 2),
    ("shut down inside", 2),
)

_MOMENTS = (("task", 10), ("asked", 4), ("answered", 4), ("sent", 3), ("said", 3), ("journal", 6))
_HAPPENINGS = (
    "migrating",
    "preparing",
    "running",
    "completed",
    "finished",
    "reboots",
    "has booted",
    "nova-compute ends",
    "nova-compute starts",
)


class Drawing:
    """Draws one story."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(f"story {seed}")  # noqa: S311  the same again is wanted
        self._hosts: list[str] = []
        self._names: list[str] = []
        self._target = ""
        self._cell_of: dict[str, str] = {}

    def story(self, kind: str | None = None) -> Story:
        """``kind``: host, night, backfill, controllers, checks; None: drawn."""
        kind = kind or self._pick(
            (("host", 16), ("night", 3), ("backfill", 1), ("controllers", 1), ("checks", 1))
        )
        story = Story(seed=self.seed, start=_NIGHT.isoformat())
        story.fleet = self._fleet(kind)
        story.policy = self._policy(kind)
        if story.policy.get("amqp_evidence") == "log_line":
            story.fleet["logs_connections"] = True
        story.cloud = self._cloud()
        story.airflow = self._airflow()
        story.requests = self._requests(kind)
        story.events = [
            self._event() for _ in range(self._pick(((0, 1), (1, 4), (2, 4), (3, 2), (5, 1))))
        ]
        # Apart: what is drawn more or otherwise here leaves the stories of all other seeds alone.
        self._random = random.Random(f"rare {self.seed}")  # noqa: S311  the same again is wanted
        if kind in ("host", "night", "backfill") and self._is(0.15):
            story.events.append(self._rare())
        if kind in ("host", "night") and self._is(0.1):
            self._pin(story)
        if kind == "controllers" and self._is(0.3):
            moment = f"{self._one(('sent', 'said'))} reboot"
            story.events.append({"when": moment, "do": self._one(("kill_worker", "kill_task"))})
        return story

    # Chance.

    def _pick(self, weights: Sequence[tuple[T, int]]) -> T:
        return self._random.choices([each for each, _ in weights], [w for _, w in weights])[0]

    def _one(self, things: Sequence[T]) -> T:
        return self._random.choice(things)

    def _is(self, chance: float) -> bool:
        return self._random.random() < chance

    # What there is.

    def _fleet(self, kind: str) -> Json:
        many = kind in ("night", "backfill")
        count = self._random.randint(3, 6) if many else self._random.randint(2, 4)
        self._hosts = [f"c{number + 1:02}" for number in range(count)]
        self._target = self._hosts[0]
        cells, zones = self._pick(((1, 5), (2, 1))), self._pick(((1, 4), (2, 1)))
        hosts: list[Json] = []
        for number, name in enumerate(self._hosts):
            host: Json = {"name": name}
            if cells == 2 and count >= 4:
                host["cell"] = f"cell{number // 2 % 2 + 1}"
            elif zones == 2 and count >= 4:
                host["zone"] = f"az{number // 2 % 2 + 1}"
            hosts.append(host)
        # No instance leaves its cell.
        self._cell_of = {each["name"]: each.get("cell", "cell1") for each in hosts}
        groups: list[Json] = []
        if self._is(0.2):
            groups = [{"name": "g1", "policy": "anti-affinity"}]
        controllers = (
            ["ctl01", "ctl02", "ctl03"] if kind in ("controllers", "checks") else ["ctl01"]
        )
        return {
            "deployment": self._pick((("debian", 3), ("kolla", 1), ("rdo", 1))),
            "controllers": controllers,
            "hosts": hosts,
            "groups": groups,
            "instances": self._instances(groups),
        }

    def _instances(self, groups: list[Json]) -> list[Json]:
        found: list[Json] = []
        grouped: set[str] = set()
        strange = self._is(0.3)
        for host in self._hosts:
            most = 5 if host == self._target else 2
            for _ in range(self._random.randint(0, most)):
                each: Json = {"name": f"vm{len(found) + 1}", "host": host}
                state = self._pick(_STATES if strange else _STATES[:3])
                if state != "active":
                    each["state"] = state
                if self._is(0.2):
                    each["ram_mib"] = self._one((512, 2048, 8192))
                if self._is(0.2):
                    each["volume"] = True
                if (
                    groups
                    and self._is(0.3)
                    and host not in grouped
                    and self._has_room_apart(host, grouped)
                ):
                    grouped.add(host)
                    each["group"] = "g1"
                found.append(each)
        self._names = [each["name"] for each in found]
        return found

    def _has_room_apart(self, host: str, grouped: set[str]) -> bool:
        """Whether a host without a member is left in the cell beside this one: where there is none,
        a member can go nowhere, and no API tells who is in which cell.
        """
        cell = self._cell_of[host]
        of_the_cell = {each for each in self._hosts if self._cell_of[each] == cell}
        return len(grouped & of_the_cell) < len(of_the_cell) - 1

    def _policy(self, kind: str) -> Json:
        policy: Json = {}
        if self._is(0.3):
            policy["migrations_per_host"] = self._one((1, 2, 3))
            policy["migrations_total"] = self._one((1, 2, 4))
        if self._is(0.2):
            policy["nova_live_migration_limit"] = 1
        if self._is(0.3):
            policy["on_blocked"] = self._one(("leave", "stop"))
        if self._is(0.15):
            policy["stuck_migration"] = "force_complete"
        if self._is(0.1):
            policy["amqp_evidence"] = "log_line"
        if self._is(0.1):
            policy["window_patience"] = "10min"
        if self._is(0.95):
            policy["turn_patience"] = self._one(("10min", "30min"))
        if kind in ("night", "backfill"):
            policy["due"] = {"days_since_boot": self._one((10, 30)), "hosts": self._hosts}
            policy["max_hosts_out"] = self._one((1, 1, 2))
            policy["failure_budget"] = self._one((0, 1, 2))
            policy["reserve_hosts"] = self._one((0, 1))
            policy["close_waiting_hosts"] = self._is(0.3)
            if self._is(0.5):
                policy["window"] = {"start": "00:00", "end": "00:00"}
        return policy

    def _cloud(self) -> Json:
        cloud: Json = {}
        if self._is(0.2):
            cloud["newest"] = self._one((60, 90))
        if self._is(0.1):
            cloud["is_status_first"] = True
        if self._is(0.1):
            cloud["list_lag"] = 2.0
        if self._is(0.1):
            cloud["is_storage_shared"] = True
        if self._is(0.1):
            cloud["live_bandwidth_mib"] = 20.0
        if self._is(0.05):
            cloud["clock_ahead"] = self._one((-45.0, -20.0, 20.0, 45.0))
        return cloud

    def _airflow(self) -> Json:
        airflow: Json = {}
        if self._is(0.15):
            airflow["schedulers"] = 2
        if self._is(0.05):
            airflow["triggerers"] = 2
        if self._is(0.1):
            airflow["clear_on_success"] = True
        return airflow

    # What is asked.

    def _requests(self, kind: str) -> list[Json]:
        if kind == "host":
            return [self._host_run()]
        if kind == "night":
            first: Json = {"at": 0, "do": "night"}
            first["params"] = {"ignore_window": True, "reason": "kernel"}
            nights = [first]
            if self._is(0.2):
                nights.append({**first, "at": 3600})
            return nights
        if kind == "backfill":
            params = {"ignore_window": True, "reason": "kernel"}
            return [{"do": "backfill", "nights": self._random.randint(2, 4), "params": params}]
        if kind == "controllers":
            action = self._one(("restart", "reboot"))
            params = {"action": action, "ignore_window": True, "reason": "kernel"}
            if self._is(0.5):
                params["allow_outage"] = True
            return [{"do": "controllers", "params": params}]
        return [{"do": "checks"}]

    def _host_run(self) -> Json:
        params: Json = {"reason": "kernel", "ignore_window": self._is(0.8)}
        if self._is(0.25):
            params["script"] = "collect-facts.sh"
        if self._is(0.1):
            params["reboot"] = False
        if self._is(0.05):
            params["dry_run"] = True
        if self._is(0.1):
            # No instance leaves its cell: what is named there can never take it.
            cell = self._cell_of[self._target]
            params["destination"] = [each for each in self._hosts if self._cell_of[each] == cell][
                -1
            ]
        if self._is(0.15):
            params["on_blocked"] = self._one(("leave", "stop"))
        return {"do": "host", "host": self._target, "params": params}

    # What happens.

    def _event(self) -> Json:
        kinds: tuple[tuple[Callable[[], Json], int], ...] = (
            (self._http, 10),
            (self._ssh, 7),
            (self._control_plane, 6),
            (self._of_a_host, 6),
            (self._owner, 6),
            (self._admin, 3),
            (self._person, 5),
            (self._of_airflow, 9),
        )
        drawn: Callable[[], Json] = self._pick(kinds)
        event = drawn()
        return {**self._moment(event["do"]), **event}

    def _pin(self, story: Story) -> None:
        """Give the target guests that cannot move live: mostly they are to be stopped for that."""
        for each in story.fleet["instances"]:
            if each["host"] == self._target and "state" not in each and self._is(0.6):
                each["specs"] = {"hw:mem_encryption": "true"}
        if self._is(0.8):
            story.policy["on_blocked"] = "stop"
            for request in story.requests:
                request.get("params", {}).pop("on_blocked", None)

    def _rare(self) -> Json:
        """What few stories have, each at a moment at which it could go unseen."""
        kind = self._pick((("stray_guest", 4), ("power_fails", 2), ("build", 2)))
        if kind == "stray_guest":
            moment = f"task {self._one(_LAST_STEPS)} running"
            return {"when": moment, "do": kind, "host": self._target, "for": self._lasts(600)}
        if kind == "power_fails":
            at = round(self._random.uniform(0, 120), 1)
            what = self._pick((("start", 3), ("stop", 1)))
            return {"at": at, "do": kind, "what": what, "for": self._lasts(600)}
        name = f"late{self._random.randint(1, 99)}"
        then = round(self._random.uniform(0, 1), 1)
        when = f"task check_host_empty {self._one(('running', 'success'))}"
        event: Json = {"when": when, "then": then, "do": kind, "name": name, "forced": True}
        return {**event, "host": self._target}

    def _moment(self, kind: str) -> Json:
        if self._is(0.35):
            return {"at": round(self._random.uniform(0, 240), 1)}
        moment = self._pick(_MOMENTS)
        if moment == "task":
            state = self._pick((("running", 3), ("success", 1), ("deferred", 2)))
            moment = f"task {self._one(STEPS)} {state}"
        elif moment in ("asked", "answered"):
            moment = f"{moment} {self._pick(_DEEDS[:7])}"
        elif moment in ("sent", "said"):
            moment = f"{moment} {self._one(_SCRIPTS)}"
        else:
            moment = f"journal {self._one(_HAPPENINGS)}"
        event: Json = {"when": moment}
        if self._is(0.3):
            event["nth"] = self._random.randint(2, 4)
        if self._is(0.4):
            event["then"] = round(self._random.uniform(0.1, 20), 1)
        return event

    def _lasts(self, longest: float = 300) -> float:
        return round(self._random.choice((5, 20, 60, longest)) * self._random.uniform(0.5, 1.5), 1)

    def _http(self) -> Json:
        event: Json = {"do": "http", "match": self._pick(_DEEDS), "how": self._pick(_HOWS)}
        event["for"] = self._lasts()
        if self._is(0.5):
            event["times"] = self._pick(((1, 4), (2, 2), (5, 1)))
            event["for"] = 600
        return event

    def _ssh(self) -> Json:
        how = self._one(("before", "middle", "after", "delay", "answer late", "profile"))
        event: Json = {"do": "ssh", "host": self._target, "how": how, "for": self._lasts()}
        if self._is(0.6):
            event["script"] = self._one(_SCRIPTS)
        if self._is(0.6):
            event["times"] = self._random.randint(1, 3)
            event["for"] = 600
        return event

    def _control_plane(self) -> Json:
        kind = self._one(
            ("cell_away", "conductor_away", "broker_away", "database_away", "clock_ahead")
        )
        event: Json = {"do": kind, "for": self._lasts()}
        if kind == "clock_ahead":
            event["seconds"] = self._one((-60, -40, 40, 60))
        return event

    def _of_a_host(self) -> Json:
        kind = self._pick(
            (
                ("nova_compute_dies", 4),
                ("host_cut", 3),
                ("ssh_refused", 2),
                ("host_crashes", 1),
                ("host_hangs", 1),
                ("boot_hangs", 2),
                ("boot_panics", 1),
                ("order_lost", 2),
                ("host_clock", 2),
                ("stop_hangs", 1),
                ("script_fails", 1),
                ("no_start_at_boot", 1),
            )
        )
        host = self._target if self._is(0.7) else self._one(self._hosts)
        event: Json = {"do": kind, "host": host, "for": self._lasts(600)}
        if kind == "host_clock":
            event["seconds"] = self._one((-3600, -90, 90, 3600))
            event["at_boot"] = self._is(0.5)
        if kind in ("boot_hangs", "order_lost"):
            event["at"] = 0
            event["for"] = 3600
        return event

    def _owner(self) -> Json:
        if not self._names or self._is(0.25):
            event: Json = {"do": "build", "name": f"new{self._random.randint(1, 99)}"}
            if self._is(0.4):
                event["host"] = self._target
            return event
        return {"do": "owner", "instance": self._one(self._names), "what": self._pick(_OWNERS)}

    def _admin(self) -> Json:
        kind = self._one(("admin_migrates", "admin_disables", "admin_enables"))
        if kind == "admin_migrates" and self._names:
            return {"do": kind, "instance": self._one(self._names), "to": self._one(self._hosts)}
        host = self._one(self._hosts)
        if kind == "admin_enables":
            host = self._target
        elif kind == "admin_migrates":
            kind = "admin_disables"
        return {"do": kind, "host": host, "for": self._lasts(900)}

    def _person(self) -> Json:
        kind = self._pick((("clear", 5), ("mark", 3), ("trigger", 3)))
        if kind == "trigger":
            return {"do": kind, "host": self._target}
        event: Json = {"do": kind}
        if self._is(0.85):
            event["task"] = self._one(STEPS[:-1])
        if kind == "mark":
            event["state"] = self._pick((("failed", 4), ("success", 1)))
            if event.get("task") is None or event["state"] == "success":
                # A success that a person vouches for is theirs; only a move's is drawn.
                event["state"] = "failed"
        return event

    def _of_airflow(self) -> Json:
        kind = self._pick(
            (
                ("kill_worker", 5),
                ("kill_task", 3),
                ("kill_triggerer", 4),
                ("kill_scheduler", 2),
                ("airflow_api_away", 2),
                ("lose_task", 1),
            )
        )
        event: Json = {"do": kind}
        if kind == "airflow_api_away":
            event["for"] = self._lasts(120)
        if kind in ("kill_triggerer", "kill_scheduler"):
            event["back"] = self._one((2.0, 40.0, 120.0))
        return event


def draw(seed: int, kind: str | None = None) -> Story:
    """The story of a seed."""
    return Drawing(seed).story(kind)
