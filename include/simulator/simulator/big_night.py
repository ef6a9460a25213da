"""One night of a large fleet, played to its end: what it does, and what the simulator takes for it.

    python -m simulator.big_night --hosts 1000 --per-host 20

Exit code: 0 all good; 1 a judge has found something, or a run is red; 3 it took too much.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter

from simulator.campaign import calm, played
from simulator.play import Outcome
from simulator.story import Json, Story

MOST_SECONDS, MOST_MIB = 120.0, 2048
_RAM_MIB = (1024, 2048, 4096)  # of instances; of a host with 20 some three quarters are used
_ZONES = ("az1", "az2", "az3")
_HANGS = 3600.0


def story_of(hosts: int, per_host: int, out: int, until: str = "05:00", seed: int = 1) -> Story:
    """A night from 01:00 on in which every host is due, and nothing goes wrong.

    ``out``: hosts out, and migrations in flight, at a time. ``until``: the end of its window.
    """
    dice = random.Random(f"big night {seed}")  # noqa: S311  the same again is wanted
    names = [f"c{number + 1:04}" for number in range(hosts)]
    fleet: Json = {
        "hosts": [
            {"name": name, "zone": _ZONES[number % len(_ZONES)]}
            for number, name in enumerate(names)
        ],
        "instances": [
            {"name": f"vm-{name}-{number + 1:02}", "host": name, "ram_mib": dice.choice(_RAM_MIB)}
            for name in names
            for number in range(per_host)
        ],
    }
    policy: Json = {
        "window": {"start": "01:00", "end": until},
        "max_hosts_out": out,
        "migrations_total": out,
        "due": {"hosts": names},
    }
    requests: list[Json] = [{"at": 310, "do": "scheduled"}]
    return Story(seed, fleet=fleet, policy=policy, requests=requests)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser("big_night", description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--per-host", type=int, default=20, help="instances")
    parser.add_argument("--out", type=int, default=1, help="hosts out at a time")
    parser.add_argument("--until", default="05:00", help="the end of the window")
    given = parser.parse_args()
    calm()
    began, wall = time.process_time(), time.monotonic()
    outcome = played(
        story_of(given.hosts, given.per_host, given.out, given.until), cpu_seconds=_HANGS
    )
    cpu, passed = time.process_time() - began, time.monotonic() - wall
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{given.hosts} hosts, {given.hosts * given.per_host} instances, {given.out} out at a time"
    )
    for line in _lines(outcome):
        print(line)
    print(f"took                {cpu:.1f} s of CPU, {passed:.1f} s, {mib} MiB at most")
    if not outcome.is_good or outcome.counts.get("red"):
        return 1
    return 0 if cpu <= MOST_SECONDS and mib <= MOST_MIB else 3


def _lines(outcome: Outcome) -> list[str]:
    counts, facts = outcome.counts, outcome.facts
    first = Counter(facts.first.values() if facts else ())
    return [
        f"hosts done          {counts.get('reboots', 0):.0f}",
        f"runs                {', '.join(f'{count} {state}' for state, count in first.items())}",
        f"live migrations     {counts.get('migrations', 0):.0f}",
        f"API requests        {counts.get('requests', 0):.0f}",
        f"simulated hours     {counts.get('hours', 0):.1f}",
        f"judges              {'; '.join(outcome.found[:5]) or 'content'}",
        *((facts.said.splitlines()[:5]) if facts else ()),
    ]


if __name__ == "__main__":
    sys.exit(main())
