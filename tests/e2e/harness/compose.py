"""docker-compose.yaml, started for real: its images made of local parts, its containers crashed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from airflow_local import AirflowApi
from airflow_local.home import ADMIN, PROJECT
from airflow_local.ports import free_port
from openstack_lab import Lab

PARTS = Path(__file__).parents[1] / "compose"
BASE = "osm-lab-base:bookworm"
PATIENCE = 600
# Each container that must reach the lab's hosts is in the lab's network, too.
REACHES_THE_LAB = ("worker", "triggerer")
CA_SETTINGS = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Container:
    """One container of a service, as Docker sees it."""

    id: str
    service: str
    pid: int
    state: str
    health: str | None
    restarts: int

    @property
    def is_well(self) -> bool:
        """Whether it is healthy; `init` has none to be, and has ended."""
        return self.health == "healthy" or (self.service == "init" and self.state == "exited")


class Compose:
    """The project's docker-compose.yaml on a lab, in a folder of its own."""

    def __init__(self, lab: Lab, folder: Path, say: Callable[[str], None]) -> None:
        self.lab = lab
        self.site = folder / "site"
        self.project = "osm-compose-test"
        self.port = free_port()
        self.say = say
        self._override = folder / "lab-network.yaml"
        self._environment = {
            **os.environ,
            "AIRFLOW_IMAGE": "osm-compose-airflow:test",
            "API_WORKERS": "1",
            "COMPOSE_PROJECT_NAME": self.project,
            "PORT": str(self.port),
            "POSTGRES_IMAGE": "osm-compose-parts:test",
            "REDIS_IMAGE": "osm-compose-parts:test",
            "SITE": str(self.site),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def api(self) -> AirflowApi:
        passwords = json.loads((self.site / "secrets/passwords.json").read_text())
        return AirflowApi(self.url, ADMIN, passwords[ADMIN])

    def prepare(self, connections: dict[str, Any], policy: str) -> None:
        """Do what docs/deployment.md tells an operator to do before the first start."""
        _run(str(PROJECT / "include/compose/prepare"), str(self.site))
        (self.site / "secrets/connections.json").write_text(json.dumps(connections))
        shutil.copy(self.lab.known_hosts, self.site / "config/known_hosts")
        (self.site / "config/known_hosts").chmod(0o644)
        (self.site / "config/policy.yaml").write_text(policy)
        name = json.loads((self.lab.state / "lab.json").read_text())["name"]
        network = f"osm-lab-{name}-net" if name else "osm-lab-net"
        services = {name: {"networks": ["default", "lab"]} for name in REACHES_THE_LAB}
        networks = {"lab": {"external": True, "name": network}}
        self._override.write_text(json.dumps({"services": services, "networks": networks}))

    def build(self, scratch: Path) -> None:
        """Make the images, of Debian's packages and the locks, with this machine's settings."""
        context = scratch / "parts"
        shutil.copytree(PARTS, context)
        machine = context / "machine"
        machine.mkdir()
        if Path("/etc/pip.conf").exists():
            shutil.copy("/etc/pip.conf", machine / "pip.conf")
        bundle = next((os.environ[name] for name in CA_SETTINGS if os.environ.get(name)), None)
        if bundle and Path(bundle).is_file():
            shutil.copy(bundle, machine / "ca.pem")
        parts, image = self._environment["POSTGRES_IMAGE"], self._environment["AIRFLOW_IMAGE"]
        build = ("docker", "build", "--quiet", "--network", "host")
        self.say("building PostgreSQL and Redis of Debian's packages")
        _run(*build, "--build-arg", f"BASE={BASE}", "--tag", parts, str(context))
        self.say("building the project's image")
        dockerfile = str(PROJECT / "include/compose/Dockerfile")
        of = ("--build-arg", f"BASE={parts}", "--file", dockerfile)
        _run(*build, *of, "--tag", image, str(PROJECT))

    def up(self, **scale: int) -> None:
        """Start everything, so many of each; return when all health checks are good."""
        scaled = [f"--scale={service}={count}" for service, count in scale.items()]
        self.say(f"docker-compose up --detach {' '.join(scaled)}")
        self._compose("up", "--detach", "--no-build", *scaled)
        self.wait_until_healthy()

    def down(self) -> None:
        self._compose("down", "--volumes", "--timeout", "5")

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while bad := [
            c for c in self.containers() if c.service != "init" and c.health != "healthy"
        ]:
            assert time.monotonic() < deadline, f"not healthy: {bad}"
            time.sleep(1)

    def containers(self, service: str | None = None) -> list[Container]:
        """The containers of one service, or all of them."""
        label = f"label=com.docker.compose.project={self.project}"
        ids = _run("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
        found = [_container(each) for each in json.loads(_run("docker", "inspect", *ids) or "[]")]
        return [each for each in found if service in (None, each.service)]

    def crash(self, host: str) -> Container:
        """Kill a container's main process as a crash of its machine would; by its host name.

        Its restart policy brings it back. Returns it as it was.
        """
        container = next(each for each in self.containers() if each.id.startswith(host))
        os.kill(container.pid, signal.SIGKILL)
        self.say(f"crashed {container.service} {host}")
        return container

    def run(self, service: str, command: str) -> str:
        """What a shell in a service's first container prints."""
        return _run("docker", "exec", self.containers(service)[0].id, "sh", "-c", command)

    def read(self, path: str) -> str:
        """A file as the workers see it."""
        return self.run("worker", f"cat '{path}'")

    def logs(self) -> str:
        """All that the containers have printed."""
        return self._compose("logs", "--no-color")

    def _compose(self, *arguments: str) -> str:
        files = ("-f", str(PROJECT / "docker-compose.yaml"), "-f", str(self._override))
        order = (*_command(), *files, "--project-directory", str(PROJECT), *arguments)
        return _run(*order, env=self._environment)


@cache
def _command() -> tuple[str, ...]:
    """Docker's plugin where the machine has it, else the classic one, installed if need be."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return "docker", "compose"
    if shutil.which("docker-compose") is None:
        quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _run("apt-get", "-q", "update", env=quietly)
        install = ("apt-get", "-q", "install", "-y", "--no-install-recommends")
        _run(*install, "docker-compose", env=quietly)
    return ("docker-compose",)


def _container(found: dict[str, Any]) -> Container:
    state = found["State"]
    return Container(
        id=found["Id"],
        service=found["Config"]["Labels"]["com.docker.compose.service"],
        pid=state["Pid"],
        state=state["Status"],
        health=state.get("Health", {}).get("Status"),
        restarts=found["RestartCount"],
    )


def _run(*command: str, **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)
    assert done.returncode == 0, (
        f"{' '.join(command[:4])} ...: {(done.stderr or done.stdout)[-2000:]}"
    )
    return str(done.stdout)
