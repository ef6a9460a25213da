"""The lab at rest, as every test finds it: no fault, no instance, every host enabled and up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from openstack_lab.cloud import Cloud
from openstack_lab.lab import Lab

TIDY = (
    "sudo systemctl start nova-compute; sudo rm -f"
    " /var/tmp/go /var/tmp/fixed /var/tmp/*.runs /usr/local/bin/systemctl"
)


def restore(lab: Lab, cloud: Cloud, say: Callable[[str], None]) -> None:
    """Take back whatever was done to the lab."""
    lab.clear_faults()
    hosts = cloud.compute_hosts()
    with ThreadPoolExecutor() as pool:  # every host answers in its own time
        list(pool.map(lambda host: put_into_service(lab, cloud, host, say), hosts))
    cloud.wait_until_enabled_and_up(hosts)
    if leftovers := cloud.instances():
        say(f"deleting {len(leftovers)} instances")
        cloud.delete(leftovers)
    if forgotten := cloud.free_forgotten_room():
        say(f"Nova forgot to give room back in Placement: {', '.join(forgotten)}")


def put_into_service(lab: Lab, cloud: Cloud, host: str, say: Callable[[str], None]) -> None:
    """Start what is stopped on a host and enable it; nothing when it is in service."""
    service = cloud.service(host)
    lab.ssh(host, TIDY)  # also where Nova has not noticed yet that it is stopped
    if service["status"] != "enabled":
        say(f"enabling {host}, which was disabled: {service['disabled_reason']}")
        cloud.enable(host)
