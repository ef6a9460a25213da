"""The ways without Airflow: the runbook's loop, and `nova host-evacuate-live`."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from maintenance_bench.api_log import ApiLog
from maintenance_bench.errors import BenchError
from maintenance_bench.measured import Drain
from maintenance_bench.observer import Observer
from maintenance_bench.stage import HOST, Stage
from openstack_lab.lab import CLOUD

CLIENTS = Path(__file__).resolve().parent.parent / ".clients/bin"
# How soon after the last migration its log lines are there, too.
SETTLE_SECONDS = 1.0

Say = Callable[[str], None]


def loop(stage: Stage, instances: int, in_flight: int, deadline: float, say: Say) -> Drain:
    """`openstack server migrate --live-migration --wait`, one instance after the other."""
    names = [each.name for each in stage.cloud.instances(HOST)]

    def drain(until: float) -> None:
        for number, name in enumerate(names, start=1):
            _run(
                ["openstack", "server", "migrate", "--live-migration", "--wait", name],
                {"OS_CLOUD": CLOUD, "OS_CLIENT_CONFIG_FILE": str(stage.lab.clouds_yaml)},
                until - time.monotonic(),
            )
            if number % 5 == 0:
                say(f"{number} of {len(names)} moved")

    return _measured(stage, "serial loop", instances, in_flight, deadline, drain)


def evacuate(stage: Stage, instances: int, in_flight: int, deadline: float, say: Say) -> Drain:
    """`nova host-evacuate-live`: asks for everything at once; Nova's own queue does the rest."""

    def drain(until: float) -> None:
        _run(
            ["nova", "host-evacuate-live", HOST],
            _login_of(stage.lab.clouds_yaml),
            until - time.monotonic(),
        )
        say("everything is asked for, Nova works through its queue")

    return _measured(stage, "host-evacuate-live", instances, in_flight, deadline, drain)


def _measured(
    stage: Stage,
    way: str,
    instances: int,
    in_flight: int,
    deadline: float,
    drain: Callable[[float], None],
) -> Drain:
    stage.disable()
    log = ApiLog.from_now(stage.lab)
    with Observer(stage.cloud) as observer:
        until, began, used = time.monotonic() + deadline, time.time(), _cpu_of_children()
        drain(until)
        # The next command of the lab is a child as well: the clients are done by now.
        cpu = _cpu_of_children() - used
        while observer.empty_at is None:
            if time.monotonic() > until:
                raise BenchError(f"{way}: the host was not empty after {deadline:.0f} s.")
            time.sleep(0.2)
        total = observer.empty_at - began
    time.sleep(SETTLE_SECONDS)
    return Drain.of(
        way,
        instances,
        in_flight,
        observer=observer,
        requests=log.requests(),
        total=total,
        cpu=cpu,
    )


def _run(command: list[str], login: dict[str, str], timeout: float) -> None:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("OS_")}
    done = subprocess.run(
        [CLIENTS / command[0], *command[1:]],
        env=clean | login,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=max(timeout, 1.0),
    )
    if done.returncode != 0:
        raise BenchError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")


def _login_of(clouds_yaml: Path) -> dict[str, str]:
    """novaclient knows no clouds.yaml: the same login as environment."""
    cloud = yaml.safe_load(clouds_yaml.read_text())["clouds"][CLOUD]
    login = {f"OS_{name.upper()}": str(value) for name, value in cloud["auth"].items()}
    return login | {"OS_REGION_NAME": cloud["region_name"], "OS_IDENTITY_API_VERSION": "3"}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
