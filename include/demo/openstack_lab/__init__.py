"""What the demo and the tests do with the lab: its cloud as an administrator, its hosts by SSH."""

from openstack_lab.clean import restore
from openstack_lab.cloud import Cloud, Instance
from openstack_lab.lab import Lab, LabError

__all__ = ["Cloud", "Instance", "Lab", "LabError", "restore"]
