"""All parts at once: the project's DAGs in the model of Airflow, over HTTP and SSH to a simulated
cloud and its hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import simulator.world
from simulated_cloud import new_fleet
from simulator.airflow import Airflow
from simulator.airflow.records import Run
from simulator.clock import VirtualTime
from simulator.cloud.cloud import Cloud
from simulator.http import Application, Transport
from simulator.world import HostAt, World

DAGS = Path(__file__).resolve().parents[2] / "dags"
HOST, NIGHT = "compute_host_maintenance", "nightly_compute_maintenance"
ASKED = {"host": "c01", "reason": "kernel", "ignore_window": True}

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


class CloudOfHosts(Cloud):
    """A cloud that hears of its hosts' broker, too, and makes nothing of it."""

    def host_loses_broker(self, host: str) -> None:
        """Its heartbeats stay away."""

    host_reaches_broker = host_loses_broker


Start = Callable[..., tuple[Airflow, Cloud]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a cloud of four hosts with an Airflow; both live until the test's end."""
    with ExitStack() as stack:

        def make(**policy: Any) -> tuple[Airflow, Cloud]:
            clock = VirtualTime()
            cloud = CloudOfHosts(clock)
            new_fleet(cloud, hosts=4, per_host=2)
            application = Application(cloud)
            monkeypatch.setattr(simulator.world, "CLOUD_URL", f"{application.url}/identity/v3")
            hosts = [HostAt(host.name, host.ip) for host in cloud.state.hosts.values()]
            transport = Transport(application, clock)
            (tmp_path / "records").mkdir()
            world = World(
                tmp_path, hosts, cloud, clock=clock, policy=policy, parts=[transport.installed()]
            )
            stack.enter_context(world.installed())
            airflow = Airflow(clock, DAGS)
            stack.enter_context(airflow.installed())
            return airflow, cloud

        yield make


def failures(airflow: Airflow, run: Run) -> list[str]:
    """The last words of the tasks that failed."""
    failed = [ti for ti in run.instances() if ti.state == "failed"]
    return [f"{ti.name}: {airflow.log(ti)[-1][-500:]}" for ti in failed]


def assert_no_tenant_paid(cloud: Cloud) -> None:
    """Every guest still runs, in its first start."""
    assert set(cloud.state.starts.values()) == {1}


def test_a_host_is_maintained(start: Start) -> None:
    airflow, cloud = start()
    run = airflow.trigger(HOST, ASKED)
    assert airflow.run_until_idle(at_most=7200)
    assert run.state == "success", failures(airflow, run)
    assert cloud.guests_on("c01") == []
    assert_no_tenant_paid(cloud)


@pytest.mark.thorough
def test_whatever_of_airflow_dies_the_host_is_finished(start: Start) -> None:
    airflow, cloud = start()
    run = airflow.trigger(HOST, ASKED)
    assert airflow.run_until_state(run, ("migrate_instance", 0), "deferred")
    airflow.clock.run(at_most=4)
    airflow.kill_triggerer()
    airflow.start_triggerer()
    assert airflow.run_until_state(run, "reboot", "running")
    airflow.clock.run(at_most=1.2)  # its process has just begun
    reboot = airflow.find(run, "reboot")
    assert reboot is not None
    airflow.kill_worker(reboot)
    assert airflow.run_until_idle(at_most=7200)
    assert run.state == "success", failures(airflow, run)
    assert reboot.try_number == 2
    assert_no_tenant_paid(cloud)


@pytest.mark.thorough
def test_a_night_rolls_its_hosts_by_runs_of_their_own(start: Start) -> None:
    airflow, cloud = start(due={"hosts": ["c01", "c02"]})
    airflow.pause(NIGHT, False)
    assert airflow.run_until(lambda: bool(airflow.runs))
    assert airflow.run_until_idle(at_most=7200)
    nights = [run for run in airflow.runs if run.dag_id == NIGHT]
    hosts = [run for run in airflow.runs if run.dag_id == HOST]
    assert {run.state for run in nights} == {"success"}, failures(airflow, nights[0])
    assert [(run.run_type, run.state) for run in hosts] == [("operator_triggered", "success")] * 2
    assert [run.conf["host"] for run in hosts] == ["c01", "c02"]
    assert_no_tenant_paid(cloud)
