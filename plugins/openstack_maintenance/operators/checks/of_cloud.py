"""The nightly checks that ask the cloud by its APIs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.hooks.cloud_hook import CloudHook
from openstack_maintenance.operators.checks.base import CheckOperator, plain_finding


def _asks(check: str) -> Callable[[CheckOperator], dict[str, Any]]:
    """A look by API. Skipped for a past night: no API tells how it was then. Raises: CloudError."""

    def look(step: CheckOperator) -> dict[str, Any]:
        health = CloudHook(step.cloud_conn_id).get_health()
        return {"findings": [plain_finding(each) for each in CLOUD_CHECKS[check](health)]}

    return look


class CheckTokenOperator(CheckOperator):
    """Keystone issues a token of the connection's user."""

    look = _asks("check_token")


class CheckEndpointsOperator(CheckOperator):
    """Every endpoint of the catalog answers an authenticated request."""

    look = _asks("check_endpoints")


class CheckNovaServicesOperator(CheckOperator):
    """Every enabled Nova service is up, as `openstack compute service list` shows them."""

    look = _asks("check_nova_services")


class CheckNetworkAgentsOperator(CheckOperator):
    """Every network agent that is not switched off is alive."""

    look = _asks("check_network_agents")


class CheckVolumeServicesOperator(CheckOperator):
    """Every enabled Cinder service is up, where the catalog has volumes."""

    look = _asks("check_volume_services")


class CheckImagesOperator(CheckOperator):
    """Glance lists images."""

    look = _asks("check_images")
