"""Drain the same instances off c01 of the lab in three ways, and compare them.

(a) a run of the DAG compute_host_maintenance, (b) the runbook's loop, one instance after the
other with `openstack server migrate --live-migration --wait`, (c) `nova host-evacuate-live`.
Uses the lab that is up (LAB_NAME), which must hold no other instances, or brings one up and takes
it down again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_local import AirflowLocalError
from airflow_local.home import PROJECT
from maintenance_bench import clients, report
from maintenance_bench.dag import AirflowUnderTest
from maintenance_bench.errors import BenchError
from maintenance_bench.measured import Drain, Unfinished
from maintenance_bench.stage import Stage
from openstack_lab import Cloud, Lab, LabError

WAYS = ("evacuate", "dag", "loop")
# A drain that takes longer than this many times the floor, and a start, has gone wrong.
PATIENCE, START_SECONDS = 3.0, 180.0

Say = Callable[[str], None]


def main() -> int:
    arguments = _parser().parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    drains: list[Drain] = []
    unfinished: list[Unfinished] = []
    try:
        with _lab(say) as lab:
            _measure(arguments, Stage(lab, Cloud(lab.clouds_yaml)), drains, unfinished, say)
    except (AirflowLocalError, LabError, BenchError, subprocess.SubprocessError) as error:
        print(f"\nbench: {error}", file=sys.stderr)
        return 1
    finally:
        if drains or unfinished:
            _conclude(arguments, drains, unfinished)
    return 0 if all(kept for kept, _ in report.verdicts(drains)) else 3


def _measure(
    arguments: argparse.Namespace,
    stage: Stage,
    drains: list[Drain],
    unfinished: list[Unfinished],
    say: Say,
) -> None:
    airflow = None
    if "dag" in arguments.ways:
        airflow = AirflowUnderTest.start(stage, Path(__file__).resolve().parents[1] / ".state", say)
    ways = {"evacuate": clients.evacuate, "loop": clients.loop}
    if airflow is not None:
        ways["dag"] = airflow.drain
    try:
        for in_flight in arguments.in_flight:
            say(f"{in_flight} in flight: telling Nova")
            stage.set_limit(in_flight)
            for instances in arguments.instances:
                for way in arguments.ways:
                    if way == "loop" and in_flight != 1:
                        continue  # one after the other is what it is
                    say(f"putting {instances} instances on c01")
                    stage.put_back(instances)
                    stage.set_seconds(f"{arguments.seconds:g}")
                    floor = instances * arguments.seconds / in_flight
                    say(f"{way}: {instances} instances, {in_flight} in flight, floor {floor:.0f} s")
                    deadline = START_SECONDS + PATIENCE * floor
                    try:
                        drain = ways[way](stage, instances, in_flight, deadline, say)
                    except (BenchError, subprocess.TimeoutExpired) as error:
                        if way == "dag":
                            raise  # a drain of ours that does not end is a fault
                        unfinished.append(Unfinished.of(way, instances, in_flight, error))
                        say(f"did not finish: {unfinished[-1]}")
                        continue
                    say(f"{way}: empty {drain.makespan:.1f} s after the first request")
                    drains.append(drain)
    finally:
        if airflow is not None:
            airflow.stop()
        say("putting the lab back as it was")
        stage.clear()


def _conclude(
    arguments: argparse.Namespace, drains: list[Drain], unfinished: list[Unfinished]
) -> None:
    settings = {"command": " ".join(sys.argv[1:]), "seconds": arguments.seconds}
    report.write_json(arguments.output, drains, settings, unfinished)
    for drain in drains:
        print(f"\n{report.details(drain)}")
    print(f"\n{report.table(drains, arguments.seconds)}\n")
    for each in unfinished:
        print(f"  did not finish: {each}")
    for kept, what in report.verdicts(drains):
        print(f"  {'kept  ' if kept else 'MISSED'}  {what}")
    print(f"\n  machine: {report.machine()}\n  everything is in {arguments.output}")


@contextmanager
def _lab(say: Say) -> Iterator[Lab]:
    """The lab that is up, or one for as long as this takes."""
    lab = Lab()
    existed = lab.exists()
    say("using the lab that is up" if existed else "bringing up the lab")
    try:
        lab.up()
        yield lab
    finally:
        if not existed:
            say("taking the lab down")
            lab.down()


def _numbers(text: str) -> list[int]:
    found = [int(each) for each in text.split(",")]
    if not all(each > 0 for each in found):
        raise argparse.ArgumentTypeError("numbers above 0, separated by commas")
    return found


def _ways(text: str) -> list[str]:
    found = text.split(",")
    if unknown := set(found) - set(WAYS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose of {', '.join(WAYS)}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--in-flight", type=_numbers, default=[1, 2, 4], metavar="N,...")
    parser.add_argument("--instances", type=_numbers, default=[20], metavar="N,...")
    parser.add_argument("--seconds", type=float, default=10.0, help="that a migration takes")
    parser.add_argument(
        "--ways", type=_ways, default=list(WAYS), metavar="WAY,...", help=f"of {','.join(WAYS)}"
    )
    parser.add_argument("--output", type=Path, default=PROJECT / "build/bench.json")
    return parser


if __name__ == "__main__":
    sys.exit(main())
