"""Kolla's way: nova-compute in a container, asked and driven through a real container engine.

The engine and its answers are real; only systemd is stood in for (it knows no unit here, as on a
host whose containers the engine itself restarts), since this machine has no systemd.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from openstack_lab import Lab
from openstack_maintenance.adapters.shell import script_command
from openstack_maintenance.domain.host.answers import parse_answers, parse_unit
from openstack_maintenance.domain.host.facts import UnitState

# Ends at once when it is told to, as nova-compute's container does.
RUNS = "trap 'exit 0' TERM; sleep 600 & wait"


@pytest.fixture
def container(lab: Lab) -> Iterator[str]:
    """A container that runs something for as long as it may, made from the lab's image."""
    name = f"osm-lab-nova-compute-{uuid4().hex[:8]}"
    # Any image with a shell will do; the lab's is here, and no registry can be reached.
    node = docker("ps", "-q", "--filter", "name=osm-lab").splitlines()[0]
    image = docker("inspect", "--format", "{{.Image}}", node)
    how = ["--stop-signal", "TERM", "--restart", "unless-stopped", "--network", "none"]
    docker("run", "-d", "--name", name, *how, "--entrypoint", "/bin/sh", image, "-c", RUNS)
    yield name
    docker("rm", "-f", name)


def docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout.strip()


def ask(tmp_path: Path, script: str, *arguments: str) -> UnitState:
    """Run one of the adapter's scripts as a host would, without systemd."""
    stand_in = tmp_path / "systemctl"
    stand_in.write_text("#!/bin/sh\necho LoadState=not-found\n")
    stand_in.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-c", script_command(script, *arguments)],  # as sshd runs it
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    answers = parse_answers(done.stdout)
    assert answers is not None, done.stderr
    return parse_unit(answers, "kolla-nova_compute-container.service")


def test_a_container_is_seen_stopped_proven_gone_and_started_again(
    container: str, tmp_path: Path
) -> None:
    unit = ("kolla-nova_compute-container.service", container, "podman docker")

    running = ask(tmp_path, "state", *unit)
    assert (running.kind, running.is_active, running.is_idle) == ("docker", True, False)
    assert running.main_pid in running.pids
    assert running.name == container

    stopped = ask(tmp_path, "control", "stop", *unit)
    # Not is_gone: the lab's own nova-computes are processes of this machine, too.
    assert stopped.is_idle
    assert not stopped.is_active
    # Docker does not start it at boot any more: the run has to.
    assert not stopped.is_back_after_boot

    started = ask(tmp_path, "control", "start", *unit)
    assert started.is_active
    assert started.main_pid != running.main_pid


def test_a_container_that_is_not_there_is_absent_and_named(tmp_path: Path, lab: Lab) -> None:
    found = ask(tmp_path, "state", "kolla-nova.service", "osm-lab-no-such", "docker")
    assert found.kind == "absent"
    assert not found.is_idle
