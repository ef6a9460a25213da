"""The form of controller_maintenance in the Airflow UI."""

from __future__ import annotations

from airflow.sdk import Param

from openstack_maintenance.adapters.policy_file import read_deployment, read_policy
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.params import HOST_NAME
from openstack_maintenance.operators.params import last_params, names_param, reason_param


def controller_params() -> dict[str, Param]:
    """The params of controller_maintenance, in the order of the form."""
    return {
        "controllers": names_param(
            "Controllers",
            "Controllers of the policy. Empty: all of them, the primary last.",
            f"^{HOST_NAME}$",
            _known_controllers(),
        ),
        "action": Param(
            "restart",
            type="string",
            enum=["restart", "reboot"],
            title="Action",
            description="Restart services, or reboot; one controller at a time.",
        ),
        "services": names_param(
            "Services",
            "Services or groups of the deployment's catalog to restart. Empty: all that are in use "
            "on the controller, in the catalog's order.",
            "^[A-Za-z0-9][A-Za-z0-9 ._@-]*$",
            _known_services(),
        ),
        "allow_outage": _allow_outage(),
        "reason": reason_param("the record"),
        **last_params(),
    }


def _allow_outage() -> Param:
    return Param(
        False,
        type="boolean",
        title="Allow an outage",
        description="Go on even if this stops the last database, broker or API of the cloud for "
        "a while. Instances keep running, but nobody can manage them meanwhile.",
    )


def _known_controllers() -> list[str]:
    try:
        return [each.host for each in read_policy().controllers]
    except PolicyError:  # the run's first task says what is wrong with it
        return []


def _known_services() -> list[str]:
    try:
        deployment = read_deployment(read_policy())
    except PolicyError:
        return []
    titles = [group.title for group in deployment.groups]
    return [*titles, *(each.name for each in deployment if each.stage != "never")]
