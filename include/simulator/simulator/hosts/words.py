"""The answer of a script as it grows, and what adapters/remote/common.sh has for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,254}")
_CONTAINER = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,254})?")
_ENGINES = ("", "docker", "podman", "docker podman", "podman docker")
_ROLES = ("", "broker", "database", "cache")


class Ended(Exception):
    """The script has said its last word."""


def cut(text: str, most: int) -> str:
    """``cut -c1-MOST`` under LC_ALL=C: it counts bytes."""
    return text.encode(errors="surrogateescape")[:most].decode(errors="surrogateescape")


def one_line(text: str) -> str:
    return cut(text.replace("\n", " "), 500)


class Words:
    """Lines ``key=value``; the last is ``end=ok``."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, key: str, value: object = "") -> None:
        text = str(value)
        self.lines.append(f"{key}={one_line(text) if chr(10) in text else text}")

    def each(self, key: str, values: Iterable[str]) -> None:
        for value in values:
            self.lines.append(f"{key}={value}")

    def fail(self, error: str) -> Ended:
        self.say("error", error)
        return Ended()

    def not_now(self, later: str) -> Ended:
        self.say("later", later)
        return Ended()

    # What is sent may come from whoever holds the key.

    def need(self, so: object, else_told: str) -> None:
        if not so:
            raise self.fail(f"refused: {else_told}")

    def need_unit(self, name: str) -> None:
        long = len(name) > 255 and _UNIT.match(name) and re.fullmatch(r"[\w.@-]+", name, re.A)
        self.need(not long, "the name of a unit has at most 255 characters")
        self.need(_UNIT.fullmatch(name), "this is not the name of a unit")

    def need_container(self, name: str) -> None:
        self.need(_CONTAINER.fullmatch(name), "this is not the name of a container")

    def need_engines(self, engines: str) -> None:
        self.need(engines in _ENGINES, "the engines are docker and podman")

    def need_number(self, number: str) -> None:
        self.need(re.fullmatch("[0-9]+", number), "this is not a number")
        self.need(len(number) <= 12, "a number has at most 12 digits")

    def need_logs(self, logs: str) -> None:
        self.need("\n" not in logs, "the path of a log has no line break")
        so = not logs or all(each.startswith("/") for each in logs.split(":"))
        self.need(so, "the path of a log begins with a slash")

    def need_spec(self, spec: str) -> None:
        self.need(spec.count("|") >= 2, "a service is told as UNIT|CONTAINER|ROLE")
        unit, container, role = spec.split("|", 2)
        self.need_unit(unit)
        self.need_container(container)
        self.need(role in _ROLES, "the roles are broker, database and cache")

    def need_script_unit(self, name: str) -> None:
        self.need_unit(name)
        so = name.startswith("openstack-maintenance-")
        self.need(so, "this is not the unit of a maintenance script")
