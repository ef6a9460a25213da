"""The stage of a test: instances placed, moments waited for, and pictures of the whole cloud."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jsonschema import Draft202012Validator

from airflow_local.home import PROJECT
from harness.airflow_server import PATIENCE, AirflowServer, Run
from harness.witness import BootWitness
from openstack_lab import Cloud, Instance, Lab
from picture import Picture

T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """A test's hands: Airflow, the lab and its cloud, at rest when the test begins."""

    airflow: AirflowServer
    lab: Lab
    cloud: Cloud
    witness: BootWitness
    set_policy: Callable[[str], None]
    records: Path
    credentials: Path

    def place(
        self,
        host: str,
        *states: str,
        ram_mib: int = 512,
        prefix: str = "",
        group: str | None = None,
    ) -> list[str]:
        """Create instances on a host; they are called after their states: active-01, ...

        ``group``: the name of an anti-affinity group that they belong to.
        """
        kinds = sorted(set(states))

        def create(state: str) -> list[str]:
            name = f"{prefix}{state.lower()}"
            return self.lab.create_instances(
                host, states.count(state), state, prefix=name, ram_mib=ram_mib, group=group
            )

        with ThreadPoolExecutor() as pool:
            return [name for names in pool.map(create, kinds) for name in names]

    def picture(self) -> Picture:
        """Take a picture of the cloud and its hosts."""
        status = self.lab.status()
        services = {host: self.cloud.service(host) for host in self.cloud.compute_hosts()}
        return Picture(
            services={
                host: (service["status"], service["disabled_reason"])
                for host, service in services.items()
            },
            boots={host: status["hosts"][host]["boot_id"] for host in services},
            instances={i.name: (i.host, i.status) for i in self.cloud.instances()},
            migrations=len(self.cloud.migrations()),
        )

    def instance(self, name: str) -> Instance:
        found = self.cloud.find_instance(name)
        assert found is not None, f"there is no instance {name}"
        return found

    def where(self, *names: str) -> dict[str, tuple[str | None, str]]:
        """The host and the status of these instances."""
        return {i.name: (i.host, i.status) for i in self.cloud.instances() if i.name in names}

    def migrations_of(self, name: str) -> list[dict[str, Any]]:
        """Nova's migrations of an instance, oldest first."""
        wanted = self.instance(name).id
        found = [m for m in self.cloud.migrations() if m["instance_uuid"] == wanted]
        return sorted(found, key=lambda migration: migration["id"])

    def migrate(self, name: str, host: str, *, live: bool = True) -> None:
        """Migrate an instance as another administrator would."""
        body = (
            {"os-migrateLive": {"host": host, "block_migration": "auto"}}
            if live
            else {"migrate": {"host": host}}
        )
        self.cloud.act(self.instance(name).id, body)

    def wait_for_migration(
        self, name: str, *states: str, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until the last migration of an instance is in one of these states."""
        wanted = states or ("running",)

        def look() -> dict[str, Any] | None:
            found = self.migrations_of(name)
            return found[-1] if found and found[-1]["status"] in wanted else None

        return self.until(look, f"a migration of {name} that is {' or '.join(wanted)}", timeout)

    def until(self, look: Callable[[], T | None], wanted: str, timeout: float = PATIENCE) -> T:
        """Wait until `look` finds something; returns it."""
        deadline = time.monotonic() + timeout
        while not (found := look()):
            assert time.monotonic() < deadline, f"after {timeout:.0f} s there is not: {wanted}"
            time.sleep(0.5)
        return found

    def record(self, run: Run) -> dict[str, Any]:
        """The run's record, as it is stored; it is what its published schema says."""
        record = json.loads((self.records / run.dag_id / f"{run.run_id}.json").read_text())
        kind = record["schema"]["name"].rpartition("/")[2]
        schema = json.loads((PROJECT / f"docs/records/{kind}.schema.json").read_text())
        Draft202012Validator(schema).validate(record)
        return dict(record)

    def page(self, run: Run) -> str:
        """The run's record as a person reads it."""
        return (self.records / run.dag_id / f"{run.run_id}.html").read_text()

    def finish(self, run: Run, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for a run's end, which must be a good one; returns its record."""
        state = run.wait(timeout)
        record = self.record(run)
        assert (state, record["outcome"]) == ("success", "done"), record["problem"]
        return record

    def fail(self, run: Run, task_id: str, timeout: float = PATIENCE) -> str:
        """Wait for a run's end, which must be the failure of this task; returns the problem."""
        assert run.wait(timeout) == "failed", "it should not have succeeded"
        record = self.record(run)
        failed = [task["task_id"] for task in record["tasks"] if task["state"] == "failed"]
        assert set(failed) == {task_id}, record["problem"]
        assert record["outcome"] == "failed"
        return str(record["problem"])

    def assert_stays_out(self, host: str, run: Run, task_id: str) -> None:
        """A host that failed is disabled, and Nova's reason names the run, the step and why."""
        service = self.cloud.service(host)
        assert service["status"] == "disabled"
        mark = f"[airflow {run.dag_id} {run.run_id}][failed] failed at {task_id}: "
        problem = str(self.record(run)["problem"])
        assert service["disabled_reason"] == f"{mark}{problem}"[:255]

    def assert_given_back(self, host: str, boot_before: str) -> None:
        """The host was rebooted and is enabled, up and empty."""
        service = self.cloud.service(host)
        assert (service["status"], service["state"]) == ("enabled", "up")
        assert service["disabled_reason"] is None
        assert self.lab.boot_id(host) != boot_before
        assert self.cloud.instances(host) == []
