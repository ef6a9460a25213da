"""Stories for the lab, drawn from a seed: four hosts, one controller, and what can be broken there.

The form is `simulator.story`; what events do here is in `lab_campaign.events`.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.draw import STEPS, Drawing
from simulator.story import Json, Story

HOSTS = ("c01", "c02", "c03", "c04")
SCRIPT = "count-me.sh"
_STATES = (("active", 12), ("stopped", 4), ("paused", 2), ("suspended", 1), ("error", 1))
_OWNERS = (("stop", 4), ("start", 2), ("reboot", 1), ("pause", 1), ("unpause", 1), ("delete", 3))
# Steps that wait without a worker.
_WAITING = ("migrate_instance", "run_script", "wait_for_host", "wait_for_nova_compute")
_LONGEST = 60.0  # seconds of a story's drawn times: a run takes a minute or two


class LabDrawing(Drawing):
    """Draws one story for the lab."""

    def story(self, kind: str | None = None) -> Story:
        """``kind`` is there for its base: here every story is of hosts."""
        self._hosts = list(HOSTS)
        self._target = self._one(HOSTS)
        second = self._is(0.25)
        story = Story(seed=self.seed)
        story.fleet = {
            "hosts": [{"name": name} for name in HOSTS],
            "instances": self._instances([]),
            "migration_seconds": self._one((2, 4, 8)),
        }
        story.policy = self._policy("host")
        story.requests = [self._host_run()]
        if second:
            story.policy["max_hosts_out"] = self._one((1, 2))
            story.requests.append(self._second_run())
        count = self._pick(((1, 4), (2, 4), (3, 2)))
        story.events = [self._event() for _ in range(count)]
        return story

    def _instances(self, groups: list[Json]) -> list[Json]:
        """2 to 6 on the host that is maintained, few elsewhere."""
        found: list[Json] = []
        states = _STATES if self._is(0.3) else _STATES[:3]
        for host in HOSTS:
            least, most = (2, 6) if host == self._target else (0, 1)
            for _ in range(self._random.randint(least, most)):
                each: Json = {"name": f"vm{len(found) + 1}", "host": host}
                if (state := self._pick(states)) != "active":
                    each["state"] = state
                found.append(each)
        self._names = [each["name"] for each in found]
        return found

    def _policy(self, kind: str) -> Json:
        policy: Json = {}
        if self._is(0.6):
            policy["migrations_per_host"] = self._one((1, 2, 3))
            policy["migrations_total"] = self._one((1, 2, 4))
        if self._is(0.3):
            policy["on_blocked"] = self._one(("leave", "stop"))
        if self._is(0.3):
            policy["repair_error_state"] = True
        return policy

    def _host_run(self) -> Json:
        params: Json = {"reason": "kernel", "ignore_window": True}
        if self._is(0.4):
            params["script"] = SCRIPT
        if self._is(0.1):
            params["reboot"] = False
        if self._is(0.15):
            params["on_blocked"] = self._one(("leave", "stop"))
        return {"do": "host", "host": self._target, "params": params}

    def _second_run(self) -> Json:
        other = self._one([each for each in HOSTS if each != self._target])
        host = other if self._is(0.7) else self._target
        return {**self._host_run(), "host": host, "at": self._random.randint(0, 40)}

    # What happens.

    def _event(self) -> Json:
        kinds: tuple[tuple[Callable[[], Json], int], ...] = (
            (self._of_airflow, 10),
            (self._control_plane, 7),
            (self._of_a_host, 8),
            (self._owner, 5),
            (self._admin, 2),
            (self._person, 3),
        )
        drawn: Callable[[], Json] = self._pick(kinds)
        event = drawn()
        return event if "at" in event else {**self._moment(event["do"]), **event}

    def _moment(self, kind: str) -> Json:
        if self._is(0.3):
            return {"at": round(self._random.uniform(0, _LONGEST), 1)}
        state = self._pick((("running", 4), ("success", 2), ("deferred", 3)))
        task = self._one(_WAITING if state == "deferred" else STEPS)
        event: Json = {"when": f"task {task} {state}"}
        if self._is(0.4):
            event["then"] = round(self._random.uniform(0.1, 8), 1)
        return event

    def _lasts(self, longest: float = 40) -> float:
        return round(self._random.uniform(5, longest), 1)

    def _of_airflow(self) -> Json:
        kind = self._pick(
            (
                ("kill_worker", 5),
                ("kill_task", 3),
                ("kill_triggerer", 5),
                ("kill_scheduler", 3),
                ("airflow_api_away", 2),
            )
        )
        event: Json = {"do": kind}
        if kind in ("kill_triggerer", "kill_scheduler", "airflow_api_away"):
            event["for"] = self._one((1.0, 10.0, 20.0))
        return event

    def _control_plane(self) -> Json:
        kind = self._pick(
            (
                ("broker_restart", 2),
                ("broker_away", 2),
                ("conductor_away", 3),
                ("api_slow", 2),
                ("api_fails", 3),
            )
        )
        event: Json = {"do": kind}
        if kind != "broker_restart":
            event["for"] = self._lasts()
        if kind == "api_slow":
            event["seconds"] = self._one((1, 3, 6))
        if kind == "api_fails":
            event["code"] = self._one((500, 503, 404, 429))
        return event

    def _of_a_host(self) -> Json:
        kind = self._pick(
            (
                ("nova_compute_dies", 4),
                ("host_cut", 4),
                ("sudo_refused", 2),
                ("migration_fails", 3),
                ("migration_refused", 3),
                ("boot_slow", 2),
                ("boot_hangs", 2),
                ("no_start_at_boot", 2),
            )
        )
        host = self._target if self._is(0.6) else self._one(HOSTS)
        event: Json = {"do": kind, "host": host, "for": self._lasts()}
        if kind in ("migration_fails", "migration_refused"):
            event.update(times=self._one((1, 2)), at=0, **{"for": 3600})
            event["instance"] = self._one([*self._names, "*"])
        elif kind in ("boot_slow", "boot_hangs"):
            event.update(host=self._target, at=0, **{"for": 3600})
        if kind == "boot_slow":
            event["seconds"] = self._one((5, 20, 90))
        return event

    def _owner(self) -> Json:
        what = self._pick(_OWNERS)
        return {"do": "owner", "instance": self._one(self._names), "what": what}

    def _admin(self) -> Json:
        kind = self._one(("admin_migrates", "admin_disables", "admin_enables"))
        if kind == "admin_migrates":
            return {"do": kind, "instance": self._one(self._names), "to": self._one(HOSTS)}
        host = self._target if kind == "admin_enables" else self._one(HOSTS)
        return {"do": kind, "host": host, "for": self._lasts()}

    def _person(self) -> Json:
        kind = self._pick((("clear", 3), ("mark", 2)))
        event: Json = {"do": kind, "task": self._one(STEPS[:-1])}
        return {**event, "state": "failed"} if kind == "mark" else event


def draw(seed: int) -> Story:
    """The story of a seed."""
    return LabDrawing(seed).story()
