"""The shortest story that still goes wrong in the same way: delta debugging over its parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from simulator.story import Json, Story

Fails = Callable[[Story], bool]


def shrink(story: Story, fails: Fails, seconds: float = 60.0) -> Story:
    """Leave out what it does not need, as long as there is time. ``fails``: it still does."""
    ends = time.monotonic() + seconds
    is_smaller = True
    while is_smaller and time.monotonic() < ends:
        is_smaller = False
        for smaller in _smaller(story):
            if time.monotonic() >= ends:
                break
            if fails(smaller):
                story, is_smaller = smaller, True
                break
    return story


def _smaller(story: Story) -> Iterator[Story]:
    """Each story with one thing less; the most promising first."""
    known = story.as_json()
    for name in ("events", "requests"):
        yield from _without_items(known, [name])
    yield from _without_keys(known, ["policy"])
    yield from _without_keys(known, ["cloud"])
    yield from _without_keys(known, ["airflow"])
    yield from _without_items(known, ["fleet", "instances"])
    yield from _without_items(known, ["fleet", "groups"])
    yield from _without_hosts(known)
    yield from _plainer(known)


def _at(known: Json, path: list[str]) -> Any:
    found: Any = known
    for name in path:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found


def _with(known: Json, path: list[str], value: Any) -> Story:
    story = Story.of(known)
    holder: Any = getattr(story, path[0])
    if len(path) == 1:
        setattr(story, path[0], value)
    else:
        holder[path[1]] = value
    return story


def _without_items(known: Json, path: list[str]) -> Iterator[Story]:
    items = list(_at(known, path) or [])
    size = len(items) // 2
    while size >= 1:
        for begin in range(0, len(items), size):
            left = items[:begin] + items[begin + size :]
            if left or path != ["requests"]:
                yield _with(known, path, left)
        size //= 2
    if len(items) == 1 and path != ["requests"]:
        yield _with(known, path, [])


def _without_keys(known: Json, path: list[str]) -> Iterator[Story]:
    values = dict(_at(known, path) or {})
    if values:
        yield _with(known, path, {})
    if len(values) > 1:
        for key in values:
            yield _with(known, path, {name: each for name, each in values.items() if name != key})


def _without_hosts(known: Json) -> Iterator[Story]:
    hosts = known["fleet"]["hosts"]
    used = {each.get("host") for each in known.get("requests", [])}
    for host in reversed(hosts):
        if len(hosts) <= 1 or host["name"] in used:
            continue
        story = Story.of(known)
        story.fleet["hosts"] = [each for each in hosts if each != host]
        name = host["name"]
        story.fleet["instances"] = [
            each for each in story.fleet.get("instances", []) if each["host"] != name
        ]
        story.events = [
            each for each in story.events if name not in (each.get("host"), each.get("to"))
        ]
        yield story


def _plainer(known: Json) -> Iterator[Story]:
    """The same things, with fewer of their properties."""
    for number, event in enumerate(known.get("events", [])):
        for key in ("nth", "then", "times", "back", "chance"):
            if key in event:
                story = Story.of(known)
                del story.events[number][key]
                yield story
    for number, request in enumerate(known.get("requests", [])):
        for key in list(request.get("params", {})):
            if key not in ("reason", "ignore_window"):
                story = Story.of(known)
                del story.requests[number]["params"][key]
                yield story
    for number, instance in enumerate(known["fleet"].get("instances", [])):
        for key in instance:
            if key not in ("name", "host"):
                story = Story.of(known)
                del story.fleet["instances"][number][key]
                yield story
    for key in ("cell", "zone"):
        if any(key in each for each in known["fleet"]["hosts"]):
            story = Story.of(known)
            for host in story.fleet["hosts"]:
                host.pop(key, None)
            yield story
    if known["fleet"].get("deployment", "debian") != "debian":
        story = Story.of(known)
        story.fleet["deployment"] = "debian"
        yield story
