"""What to do about an instance that is on the host although it was emptied."""

from __future__ import annotations

from openstack_maintenance.domain.deployment import NovaCompute


def remedy_of_arrival(task_id: str, host: str, compute: NovaCompute) -> str:
    """What works, by how far the run is: nothing leaves a host whose nova-compute is stopped."""
    if task_id == "check_host_empty":
        return "The host was not rebooted. Clear list_arrivals with Downstream: it moves them, too."
    return (
        "The host was not rebooted. Nothing can be moved off it while its nova-compute is stopped, "
        f"as this run does it: see whether `openstack compute service list --host {host}` shows it "
        f"as up. If not, start it on the host: {start_command(compute)}. When it is up, clear "
        "list_arrivals with Downstream: it moves them, stops nova-compute again and goes on. A "
        "script or a reboot that this run has done is not done again."
    )


def start_command(compute: NovaCompute) -> str:
    """How a person starts nova-compute on a host of this deployment."""
    by_unit = f"`systemctl start {compute.unit}`"
    if not compute.container:
        return by_unit
    by_engine = [f"`{engine} start {compute.container}`" for engine in compute.engines]
    return ", or ".join([by_unit, *by_engine])
