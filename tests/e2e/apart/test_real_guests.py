"""The acceptance run: real guests under QEMU, really migrated, one of which counts aloud.

A lab of its own, with the libvirt driver; it is taken down afterwards. What a tenant would notice
is measured by the counting guest's console and not assumed.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_local import Home, LocalAirflow
from airflow_local.ports import free_port
from harness import AirflowServer
from openstack_lab import Cloud, Lab

SUBNET = "172.31.246.0/24"
# A guest that stands still for longer than this would be noticed by its users.
LONGEST_PAUSE = 3.0


@pytest.fixture(scope="module")
def real_lab(
    request: pytest.FixtureRequest, say: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    lab = Lab(name="guests")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        with capture.global_and_fixture_disabled():
            lab.up("--virt", "libvirt", "--subnet", SUBNET)
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def real_airflow(
    real_lab: Lab, say: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    home = Home(tmp_path_factory.mktemp("guests-airflow"))
    policy = tmp_path_factory.mktemp("guests-policy") / "policy.yaml"
    policy.write_text(f"deployment: lab\nrecords: file://{home.path}/records\n")
    environment = real_lab.airflow_environment() | {"OPENSTACK_MAINTENANCE_POLICY": str(policy)}
    airflow = LocalAirflow(home, port=free_port(), environment=environment)
    try:
        airflow.start(say)  # type: ignore[arg-type]
        yield AirflowServer(airflow, say)  # type: ignore[arg-type]
    finally:
        airflow.stop()


@pytest.mark.timeout(1500)
def test_no_real_guest_notices_the_maintenance_of_its_host(
    real_lab: Lab, real_airflow: AirflowServer, tmp_path: Path, say: object
) -> None:
    lab, cloud = real_lab, Cloud(real_lab.clouds_yaml)
    lab.run("instances", "create", "--host", "c01", "--counter", "--prefix", "tick")
    lab.create_instances("c01", 2, prefix="active", ram_mib=64)
    lab.create_instances("c01", 1, "PAUSED", prefix="paused", ram_mib=64)
    lab.create_instances("c01", 1, "SHUTOFF", prefix="off", ram_mib=64)
    before = {each.name: each for each in cloud.instances()}
    boot_id = lab.status()["hosts"]["c01"]["boot_id"]

    ticks = tmp_path / "ticks"
    follower = subprocess.Popen(
        [*lab.prefix, "counter", "tick-01", "--follow", str(ticks)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        run = real_airflow.maintain("c01")
        state = run.wait(900)
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(30)

    assert state == "success", run.log("report")
    after = {each.name: each for each in cloud.instances()}
    assert {name: each.status for name, each in after.items()} == {
        name: each.status for name, each in before.items()
    }
    assert all(each.host != "c01" for each in after.values())
    assert lab.status()["hosts"]["c01"]["boot_id"] != boot_id
    service = cloud.service("c01")
    assert (service["status"], service["state"]) == ("enabled", "up")

    noticed = json.loads(lab.run("counter", "--report", str(ticks), "--json"))
    say(f"the counting guest: {noticed}")  # type: ignore[operator]
    assert noticed["resets"] == 0
    assert noticed["ticks"] > 18.2 * 30
    assert noticed["longest_pause_seconds"] < LONGEST_PAUSE
