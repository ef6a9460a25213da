"""What mapped tasks are called in the UI: Airflow's database takes 250 characters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.taskinstance import TaskInstance
from jinja2 import Environment, StrictUndefined

from openstack_maintenance.operators.checks import of_controllers as checks
from openstack_maintenance.operators.controllers import base as controller_base
from openstack_maintenance.operators.host import drain
from openstack_maintenance.operators.nights import maintain_host

NAMED = {
    "drain": (drain.NAMED, "instance", "name"),
    "maintain_host": (maintain_host.NAMED, "planned", "host"),
    "checks": (checks.NAMED, "controller", "host"),
    "controllers": (controller_base.NAMED, "controller", "host"),
}
LONGEST = TaskInstance.__table__.c.rendered_map_index.type.length


def rendered(template: str, **context: Any) -> str:
    return (
        Environment(undefined=StrictUndefined, autoescape=True)
        .from_string(template)
        .render(context)
    )


@pytest.mark.parametrize("which", NAMED)
@pytest.mark.parametrize("name", ["web-1", "x" * 251, "修" * 5000, "{{ 7 * 7 }}", 5, None])
def test_it_fits_whatever_an_instance_is_called(which: str, name: Any) -> None:
    template, given, key = NAMED[which]
    found = rendered(template, task=SimpleNamespace(**{given: {key: name}}))
    assert 0 < len(found) <= LONGEST
    assert found.startswith(str(name)[:150])


def test_a_controller_is_called_by_the_name_that_its_step_has_set() -> None:
    assert rendered(controller_base.NAMED, controller_name="c" * 300).startswith("c" * 150)
