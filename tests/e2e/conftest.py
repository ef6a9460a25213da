"""The fixtures of the end-to-end tests: the lab, an Airflow, and a clean state between tests."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_local import Home, LocalAirflow
from airflow_local.home import PROJECT
from airflow_local.ports import free_port
from harness import AirflowServer, BootWitness, Stage
from openstack_lab import Cloud, Lab, restore

TEST_TIMEOUT = 2400  # what takes two minutes on a quiet machine, with room for a loaded one
DAGS = os.environ.get("E2E_DAGS")  # another folder of DAGs, to try the harness itself
# Not repaired nor brought to date at the beginning: while somebody works on the lab's image
LAB_AS_IS = os.environ.get("E2E_LAB_AS_IS")

Say = Callable[[str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker("e2e")
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT))
    # What stops broker, database or controller goes last: the others need them as they were.
    items.sort(key=lambda item: item.path.name.startswith("test_controller_"))


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Print a line to the terminal at once, with the seconds since the session began."""
    began = time.monotonic()
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def print_now(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {time.monotonic() - began:6.1f} s  {text}", end="", flush=True)

    return print_now


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, say: Say) -> Iterator[Lab]:
    """The lab: the one that is up, or one that is brought up now and taken down at the end."""
    lab = Lab()
    existed = lab.exists()
    if not existed:
        say("bringing up the lab\n")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    try:
        if not LAB_AS_IS:
            with capture.global_and_fixture_disabled():
                lab.up()
        yield lab
    finally:
        if not existed:
            say("taking the lab down")
            lab.down()


@pytest.fixture(scope="session")
def cloud(lab: Lab) -> Cloud:
    return Cloud(lab.clouds_yaml)


@pytest.fixture(scope="session")
def boot_witness(lab: Lab, cloud: Cloud) -> BootWitness:
    witness = BootWitness(lab, cloud.compute_hosts())
    witness.install()
    return witness


@pytest.fixture(scope="session")
def include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's include/ as the DAG reads it; a test may put a part of its own into it."""
    folder = tmp_path_factory.mktemp("include")
    for name in ("deployments", "policies", "scripts"):
        (folder / name).symlink_to(PROJECT / "include" / name)
    return folder


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the lab's credentials, for a test to spoil."""
    return tmp_path_factory.mktemp("credentials")


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tests' policy file; a test that needs another policy writes it with `with_policy`."""
    return tmp_path_factory.mktemp("policy") / "policy.yaml"


@pytest.fixture(scope="session")
def airflow_server(
    lab: Lab,
    policy: Path,
    include: Path,
    credentials: Path,
    say: Say,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowServer]:
    """An Airflow of the tests' own, with real components, on a free port."""
    home = Home(tmp_path_factory.mktemp("airflow"))
    policy.write_text(default_policy(home))
    copy_credentials(lab, credentials)
    environment = lab.airflow_environment(credentials) | {
        "OPENSTACK_MAINTENANCE_POLICY": str(policy),
        "OPENSTACK_MAINTENANCE_INCLUDE": str(include),
        # A window that a test opens moves the nights' schedule there: their runs are the tests'.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    }
    airflow = LocalAirflow(home, port=free_port(), environment=environment)
    if DAGS:
        airflow.dags = Path(DAGS)
    try:
        airflow.start(say)
        yield AirflowServer(airflow, say)
    finally:
        airflow.stop()


@pytest.fixture
def witness(boot_witness: BootWitness) -> Iterator[BootWitness]:
    """No host was ever rebooted while it held an instance: looked at after every test."""
    yield boot_witness
    loaded = boot_witness.loaded_reboots()
    assert not loaded, f"hosts were rebooted while they held instances: {loaded}"


@pytest.fixture
def airflow(
    airflow_server: AirflowServer,
    lab: Lab,
    cloud: Cloud,
    policy: Path,
    credentials: Path,
    say: Say,
    witness: BootWitness,
) -> Iterator[AirflowServer]:
    """Airflow and the lab at rest: whatever the test breaks is fixed after it."""
    restore(lab, cloud, say)
    yield airflow_server
    airflow_server.repair()
    policy.write_text(default_policy(airflow_server.airflow.home))
    copy_credentials(lab, credentials)
    airflow_server.end_all_runs()
    restore(lab, cloud, say)


@pytest.fixture
def with_policy(airflow: AirflowServer, policy: Path) -> Callable[[str], None]:
    """Add lines to the tests' policy for this test; it is as before afterwards."""

    def write(lines: str) -> None:
        policy.write_text(default_policy(airflow.airflow.home) + lines)

    return write


@pytest.fixture
def stage(
    airflow: AirflowServer,
    lab: Lab,
    cloud: Cloud,
    witness: BootWitness,
    with_policy: Callable[[str], None],
    credentials: Path,
) -> Stage:
    """All that a test has its hands on."""
    records = airflow.airflow.home.path / "records"
    return Stage(airflow, lab, cloud, witness, with_policy, records, credentials)


def copy_credentials(lab: Lab, folder: Path) -> None:
    """Put the lab's credentials into a folder."""
    for file in (lab.clouds_yaml, lab.key, lab.key.with_suffix(".pub"), lab.known_hosts):
        (folder / file.name).unlink(missing_ok=True)
        shutil.copy(file, folder)


def default_policy(home: Home) -> str:
    return f"deployment: lab\nrecords: file://{home.path}/records\n"
