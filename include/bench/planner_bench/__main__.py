"""Nights of synthetic fleets: by the project's plan, at random, by spreading and by packing.

Prints, for each size of fleet: migrations per instance, hosts per hour, violations of the
capacity that must stay free, and what planning took. Exits with 3 when a promise is not kept.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from dataclasses import dataclass
from datetime import timedelta

from openstack_maintenance.domain.nights.plan import NightLimits, NightPace, plan_night
from planner_bench import baselines
from planner_bench.fleets import make_fleet
from planner_bench.replay import violations_of

SIZES = (50, 500, 5000, 10000)
MOST_PER_INSTANCE, MOST_SECONDS, MOST_MIB = 1.05, 20.0, 2048
HOUR = timedelta(hours=1)
ROW = "{:>6}  {:17} {:>15} {:>11} {:>11} {:>6} {:>7} {:>6}"
HEAD = ("hosts", "way", "migr./instance", "hosts/hour", "violations", "stuck", "CPU s", "MiB")


def main() -> int:
    parser = argparse.ArgumentParser("planner_bench", description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=SIZES, help="sizes of the fleets")
    parser.add_argument("--plan-only", action="store_true", help="leave the other ways out")
    arguments = parser.parse_args()
    print(ROW.format(*HEAD), flush=True)
    measured = [_measure(hosts, arguments.plan_only) for hosts in arguments.hosts]
    if len(measured) > 1:
        print(_growth(list(zip(arguments.hosts, (each.seconds for each in measured), strict=True))))
    return 0 if all(each.is_kept for each in measured) else 3


@dataclass(frozen=True)
class Measured:
    """What planning one fleet took, and whether the plan keeps what is promised."""

    seconds: float
    is_kept: bool


def _measure(hosts: int, is_plan_only: bool) -> Measured:
    fleet = make_fleet(hosts)
    limits, pace = NightLimits(hosts_out=max(1, hosts // 50), reserve_hosts=1), NightPace()
    began = time.process_time()
    plan = plan_night(fleet, limits, pace)
    seconds = time.process_time() - began
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    violations = violations_of(fleet, plan, limits)
    per_instance = plan.migrations / plan.instances
    speed = hosts / (plan.makespan / HOUR)
    took = (f"{seconds:.2f}", mib)
    _say(hosts, "the plan", per_instance, speed, len(violations), len(plan.left), *took)
    for way in () if is_plan_only else baselines.WAYS:
        other = baselines.maintain_fleet(fleet, way, limits, pace)
        speed = hosts / (other.makespan / HOUR)
        share = other.migrations / plan.instances
        _say(hosts, way, share, speed, other.violations, other.stuck, "", "")
    for violation in violations[:5]:
        print(f"        {violation}")
    is_kept = not violations and not plan.left and per_instance <= MOST_PER_INSTANCE
    return Measured(seconds, is_kept and seconds <= MOST_SECONDS and mib <= MOST_MIB)


def _say(hosts: int, way: str, per_instance: float, speed: float, *others: object) -> None:
    print(ROW.format(hosts, way, f"{per_instance:.4f}", f"{speed:.1f}", *others), flush=True)


def _growth(measured: list[tuple[int, float]]) -> str:
    """How planning grows, next to n log n."""
    (few, short), (many, long) = measured[-2:]
    wanted = many * math.log(many) / (few * math.log(few))
    return f"planning {many} hosts took {long / short:.2f} x {few} hosts (n log n: {wanted:.2f} x)"


if __name__ == "__main__":
    sys.exit(main())
