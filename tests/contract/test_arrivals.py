"""An instance that arrives on an emptied host: what is said works where the run is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from builders import hypervisor, instance, service
from in_memory_nova import CloudState, InMemoryNova
from openstack_maintenance.adapters.policy_file import read_deployment
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.operators.host.arrivals import start_command
from openstack_maintenance.operators.host.emptiness import prove_empty

LOGS = ("/var/log/nova/nova-compute.log",)
PLAIN = NovaCompute("nova-compute", LOGS)


def said(task_id: str) -> str:
    cloud = CloudState(instances={"i1": instance("i1", name="web-1")})
    step: Any = SimpleNamespace(
        task_id=task_id,
        nova=InMemoryNova(cloud),
        hypervisor_id=hypervisor("c01").id,
        check_ownership=lambda: service("c01", "ours"),
        request=SimpleNamespace(host="c01", on_blocked="fail"),
        deployment=SimpleNamespace(nova_compute=PLAIN),
    )
    with pytest.raises(CheckFailed) as arrived:
        prove_empty(step)
    assert "web-1" in arrived.value.found
    assert arrived.value.remedy.startswith("The host was not rebooted. ")
    return arrived.value.remedy


def test_before_the_stop_clearing_the_list_is_enough() -> None:
    assert said("check_host_empty").endswith(
        "Clear list_arrivals with Downstream: it moves them, too."
    )


@pytest.mark.parametrize("task_id", ["stop_nova_compute", "run_script", "reboot"])
def test_from_the_stop_on_nova_compute_is_started_first(task_id: str) -> None:
    remedy = said(task_id)
    look = remedy.index("see whether `openstack compute service list --host c01` shows it as up")
    start = remedy.index("start it on the host: `systemctl start nova-compute`.")
    clear = remedy.index("When it is up, clear list_arrivals with Downstream")
    assert look < start < clear


@pytest.mark.parametrize(
    ("flavour", "commands"),
    [
        ("debian", "`systemctl start nova-compute`"),
        ("rdo", "`systemctl start openstack-nova-compute`"),
        (
            "kolla",
            "`systemctl start kolla-nova_compute-container`, or `docker start nova_compute`, or "
            "`podman start nova_compute`",
        ),
    ],
)
def test_how_it_is_started_is_said_as_the_deployment_has_it(flavour: str, commands: str) -> None:
    compute = read_deployment(Policy(deployment=flavour)).nova_compute
    assert start_command(compute) == commands
