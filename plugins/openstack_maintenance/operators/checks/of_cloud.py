"""The nightly checks that ask the cloud by its APIs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.hooks.cloud import CloudHook
from openstack_maintenance.operators.checks.base import CheckOperator, plain_finding

if TYPE_CHECKING:
    from openstack_maintenance.adapters.cloud_health import CloudHealth


class CloudCheckOperator(CheckOperator):
    """A check by API. Skipped for a past night: no API tells how it was then."""

    check: ClassVar[str]

    def look(self) -> dict[str, Any]:
        """Ask and judge. Raises: CloudError."""
        findings = CLOUD_CHECKS[self.check](self.health)
        return {"findings": [plain_finding(each) for each in findings]}

    @cached_property
    def health(self) -> CloudHealth:
        """The cloud's APIs."""
        return CloudHook(self.cloud_conn_id).get_health()


class CheckTokenOperator(CloudCheckOperator):
    """Keystone issues a token of the connection's user."""

    check = "check_token"


class CheckEndpointsOperator(CloudCheckOperator):
    """Every endpoint of the catalog answers an authenticated request."""

    check = "check_endpoints"


class CheckNovaServicesOperator(CloudCheckOperator):
    """Every enabled Nova service is up, as `openstack compute service list` shows them."""

    check = "check_nova_services"


class CheckNetworkAgentsOperator(CloudCheckOperator):
    """Every network agent that is not switched off is alive."""

    check = "check_network_agents"


class CheckVolumeServicesOperator(CloudCheckOperator):
    """Every enabled Cinder service is up, where the catalog has volumes."""

    check = "check_volume_services"


class CheckImagesOperator(CloudCheckOperator):
    """Glance lists images."""

    check = "check_images"
