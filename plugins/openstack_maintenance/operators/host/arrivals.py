"""What to do about an instance that is on the host although it was emptied."""

from __future__ import annotations

from openstack_maintenance.domain.deployment import NovaCompute

_AGAIN = (
    "clear list_arrivals with Downstream: it moves them, then stops nova-compute again and goes on"
)


def remedy_of_arrival(task_id: str, host: str, compute: NovaCompute) -> str:
    """What works, by how far the run is: nothing leaves a host whose nova-compute is stopped."""
    if task_id == "check_host_empty":
        return "The host was not rebooted. Clear list_arrivals with Downstream: it moves them, too."
    up = f"`openstack compute service list --host {host}` shows it as up"
    start = start_command(compute)
    if task_id == "stop_nova_compute":
        return (
            f"The host was not rebooted. See whether {up}. If not, start it on the host: {start}. "
            f"Then {_AGAIN}."
        )
    return (
        "The host was not rebooted. Its nova-compute is stopped, and without it nothing can be "
        f"moved. Start it on the host: {start}. Wait until {up}, then {_AGAIN}. What has run "
        "already (script, reboot) is not done again."
    )


def start_command(compute: NovaCompute) -> str:
    """How a person starts nova-compute on a host of this deployment."""
    by_unit = f"`systemctl start {compute.unit}`"
    if not compute.container:
        return by_unit
    by_engine = [f"`{engine} start {compute.container}`" for engine in compute.engines]
    return ", or ".join([by_unit, *by_engine])
