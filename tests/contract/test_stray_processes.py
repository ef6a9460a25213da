"""Which processes called nova-compute are not the deployment's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from openstack_maintenance.adapters.shell import script_texts
from openstack_maintenance.domain.host.answers import parse_answers, parse_unit

FIXTURES = Path(__file__).parents[1] / "fixtures/host"
UNIT = "nova-compute.service"
OWN = f"61 0::/system.slice/{UNIT}\n"
LEFT_OVER = "99 0::/system.slice/openstack-nova-compute.service\n"


@pytest.mark.parametrize(
    ("computes", "strays"),
    [
        ("", ()),
        (OWN, ()),
        (OWN + LEFT_OVER, ("99 /system.slice/openstack-nova-compute.service",)),
    ],
)
def test_a_nova_compute_outside_the_unit_is_seen(
    tmp_path: Path, computes: str, strays: tuple[str, ...]
) -> None:
    (tmp_path / f"unit.{UNIT}").write_text((FIXTURES / "systemctl_show_running.txt").read_text())
    (tmp_path / "cgroups").write_text(OWN)
    (tmp_path / "computes").write_text(computes)
    done = subprocess.run(
        ["/bin/sh", "-c", script_texts()["state"], "state", UNIT, "", ""],
        env={"PATH": f"{FIXTURES / 'bin'}:{os.environ['PATH']}", "FAKE_HOST": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    answers = parse_answers(done.stdout)
    assert answers is not None, done
    unit = parse_unit(answers, UNIT)
    assert unit.strays == strays
    assert unit.pids == (61,)
