"""The checks that ask a cloud by its APIs, by the names that their tasks have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_maintenance.domain.checks import cloud_rules
from openstack_maintenance.domain.checks.finding import Finding

if TYPE_CHECKING:
    from openstack_maintenance.adapters.cloud_health import CloudHealth

CloudCheck = Callable[["CloudHealth"], list[Finding]]


def _token(health: CloudHealth) -> list[Finding]:
    return cloud_rules.judge_token(health.new_token(), datetime.now(UTC))


def _endpoints(health: CloudHealth) -> list[Finding]:
    return cloud_rules.judge_endpoints(health.try_endpoints(health.endpoints()))


def _nova_services(health: CloudHealth) -> list[Finding]:
    return cloud_rules.judge_service_rows(health.compute_services(), "Nova services")


def _network_agents(health: CloudHealth) -> list[Finding]:
    rows = health.network_agents()
    return cloud_rules.judge_service_rows(rows, "network agents", may_be_empty=True)


def _volume_services(health: CloudHealth) -> list[Finding]:
    return cloud_rules.judge_service_rows(health.volume_services(), "volume services")


def _images(health: CloudHealth) -> list[Finding]:
    return cloud_rules.judge_images(health.count_images())


# Each raises CloudError where the cloud gives no answer that could be judged.
CLOUD_CHECKS: Mapping[str, CloudCheck] = {
    "check_token": _token,
    "check_endpoints": _endpoints,
    "check_nova_services": _nova_services,
    "check_network_agents": _network_agents,
    "check_volume_services": _volume_services,
    "check_images": _images,
}
