"""The figures as a table for people and as JSON for programs: ratios of one and the same run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maintenance_bench.measured import Drain, Unfinished

HEADINGS = (
    "way",
    "inst.",
    "in flight",
    "makespan",
    "/ (c)",
    "/ floor",
    "whole",
    "CPU s/inst.",
    "over idle",
    "req./inst.",
    "drain only",
    "peak",
    "queued",
    "slots",
)
LEGEND = """\
makespan    s from the first migration request until nothing is on the host, as Nova lists it
/ (c)       over the makespan of host-evacuate-live in this run; / floor: over n x s / in flight
whole       s of the whole command; for the DAG from the trigger to the end of check_host_empty
CPU         s per instance: of the client; for the DAG of the scheduler with its workers, the
            triggerer and the api-server as long as `whole`; over idle: beyond what they use at rest
req.        requests that reached nova-api, whole command or run, per instance; drain only: between
            the first migration request and the empty host
peak        most migrations that Nova listed as preparing, running or finishing; queued: waiting
slots       most worker slots held by migrate tasks that wait, seen twice a second"""
EVACUATE = "host-evacuate-live"
LETTERS = {"DAG": "a", "serial loop": "b", EVACUATE: "c"}
# What the project promises, as ratios and counts.
MAKESPAN_OVER_EVACUATE = 1.15
REQUESTS_PER_INSTANCE = 6.0
AT_INSTANCES = 20


def table(drains: list[Drain], seconds: float) -> str:
    rows = [HEADINGS, *(_row(each, drains, seconds) for each in drains)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([*lines, "", LEGEND])


def details(drain: Drain) -> str:
    """Where a drain's requests went and, for the DAG, where its time and CPU went."""
    lines = [f"{drain.way}, {drain.instances} instances, {drain.in_flight} in flight"]
    lines += [
        f"  {count:4} x {what}  ({drain.drain_requests.get(what, 0)} in the drain)"
        for what, count in drain.requests.items()
    ]
    more = drain.more
    if "steps" in more:
        lines += [
            f"  trigger to first migration {more['to_first_migration']:.1f} s, "
            f"empty host to its proof {more['empty_to_proven']:.1f} s, "
            f"whole run {more['run_seconds']:.1f} s",
            "  CPU seconds until then: "
            + ", ".join(f"{name} {used:.1f}" for name, used in more["cpu_by_component"].items()),
            "  worker slots of migrate tasks: "
            + ", ".join(f"{what} {count:g}" for what, count in more["slots"].items()),
            *_steps(more["steps"]),
        ]
    return "\n".join(lines)


def verdicts(drains: list[Drain]) -> list[tuple[bool, str]]:
    """Each promise that these figures can judge, and whether it was kept."""
    found = []
    for each in drains:
        at = f"{each.instances} instances, {each.in_flight} in flight"
        kept = each.peak_moving <= each.in_flight
        found.append((kept, f"{each.way}, {at}: at most {each.peak_moving} in flight"))
        if each.way != "DAG":
            continue
        ratio = over_evacuate(each, drains)
        if ratio is not None:
            good = ratio <= MAKESPAN_OVER_EVACUATE
            found.append((good, f"{at}: makespan {ratio:.2f} x {EVACUATE} (at most 1.15)"))
        held = each.more["slots"].get("held_while_waiting", 0)
        found.append((held == 0, f"{at}: {held} worker slots held by tasks that wait (0)"))
        if each.instances >= AT_INSTANCES:
            asked = each.requests_per_instance
            good = asked <= REQUESTS_PER_INSTANCE
            found.append((good, f"{at}: {asked:.1f} Nova requests per instance (at most 6)"))
        found.append((each.failed == 0, f"{at}: {each.failed} migrations failed (0)"))
    return found


def write_json(
    path: Path,
    drains: list[Drain],
    settings: dict[str, Any],
    unfinished: Iterable[Unfinished] = (),
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": settings,
        "drains": [_with_ratios(each, drains, settings["seconds"]) for each in drains],
        "unfinished": [asdict(each) for each in unfinished],
        "promises": [{"kept": kept, "what": what} for kept, what in verdicts(drains)],
    }
    path.write_text(json.dumps(found, indent=1))


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.machine(),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def over_evacuate(drain: Drain, drains: Iterable[Drain]) -> float | None:
    """The makespan over that of host-evacuate-live with as many instances and in flight."""
    same = (drain.instances, drain.in_flight)
    for each in drains:
        if each.way == EVACUATE and (each.instances, each.in_flight) == same:
            return drain.makespan / each.makespan
    return None


def over_floor(drain: Drain, seconds: float) -> float:
    return drain.makespan / (drain.instances * seconds / drain.in_flight)


def _row(drain: Drain, drains: list[Drain], seconds: float) -> tuple[str, ...]:
    ratio = over_evacuate(drain, drains)
    slots = drain.more.get("slots", {}).get("held_while_waiting")
    idle = drain.more.get("cpu_over_idle")
    return (
        f"({LETTERS[drain.way]}) {drain.way}",
        str(drain.instances),
        str(drain.in_flight),
        f"{drain.makespan:.1f} s",
        "-" if ratio is None else f"{ratio:.2f}",
        f"{over_floor(drain, seconds):.2f}",
        f"{drain.total:.1f} s",
        f"{drain.cpu_per_instance:.2f}",
        "-" if idle is None else f"{idle / drain.instances:.2f}",
        f"{drain.requests_per_instance:.2f}",
        f"{drain.drain_requests_per_instance:.2f}",
        str(drain.peak_moving),
        str(drain.peak_waiting),
        "-" if slots is None else str(slots),
    )


def _with_ratios(drain: Drain, drains: list[Drain], seconds: float) -> dict[str, Any]:
    return asdict(drain) | {
        "makespan_over_evacuate": over_evacuate(drain, drains),
        "makespan_over_floor": over_floor(drain, seconds),
        "cpu_per_instance": drain.cpu_per_instance,
        "requests_per_instance": drain.requests_per_instance,
        "drain_requests_per_instance": drain.drain_requests_per_instance,
    }


def _steps(steps: list[dict[str, Any]]) -> list[str]:
    """Every step's times since the trigger; mapped ones as one line."""
    lines, told = [], set()
    for step in steps:
        task = step["task"]
        if task in told:
            continue
        told.add(task)
        same = [each for each in steps if each["task"] == task]
        queued, began, ended = (
            [each[name] for each in same if each[name] is not None]
            for name in ("queued", "started", "ended")
        )
        if not began or not ended:
            continue
        many = f" x {len(same)}" if len(same) > 1 else ""
        lines.append(
            f"  {task + many:24} queued {min(queued, default=began[0]):7.1f}  "
            f"started {min(began):7.1f}-{max(began):7.1f}  "
            f"ended {min(ended):7.1f}-{max(ended):7.1f}"
        )
    return lines
