"""The policy file: where it is, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.yaml_files import load_yaml
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.policy import Policy

POLICY_VARIABLE = "OPENSTACK_MAINTENANCE_POLICY"
# plugins/openstack_maintenance/adapters/policy_file.py -> the project's include/
_INCLUDE = Path(__file__).resolve().parents[3] / "include"


def include_folder() -> Path:
    """The project's include/, beside plugins/; OPENSTACK_MAINTENANCE_INCLUDE names another."""
    return Path(os.environ.get("OPENSTACK_MAINTENANCE_INCLUDE") or _INCLUDE)


def policy_path() -> Path:
    """The file that OPENSTACK_MAINTENANCE_POLICY names, else include/policies/default.yaml."""
    named = os.environ.get(POLICY_VARIABLE)
    return Path(named) if named else include_folder() / "policies" / "default.yaml"


def read_policy() -> Policy:
    """The policy in force. Raises: PolicyError, naming file, line and field."""
    return load_yaml(policy_path(), Policy, "policy")


def read_deployment(policy: Policy) -> Deployment:
    """The deployment flavour that a policy names. Raises: PolicyError."""
    return load_deployment(policy.deployment, include_folder() / "deployments")


def inventory(policy: Policy) -> list[dict[str, str]]:
    """The policy's controllers as plain JSON, each with host and SSH address, the primary first.

    Raises: PolicyError where none is named, or one twice.
    """
    names = [each.host for each in policy.controllers]
    if not names:
        raise PolicyError(
            f"policy {policy_path()}",
            "controllers: none is named, so there is nothing to check",
            "Name them: controllers: [{host: ctl01.example.com, address: 10.0.0.8}].",
        )
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise PolicyError(
            f"policy {policy_path()}",
            f"controllers: named more than once: {', '.join(doubled)}",
            "Name each controller once.",
        )
    return [
        {
            "host": each.host,
            "address": each.address or policy.addresses.get(each.host) or each.host,
        }
        for each in policy.controllers
    ]


def script_path(name: str) -> Path | None:
    """A maintenance script of include/scripts by its file name; None when there is none."""
    return next((path for path in scripts() if path.name == name), None)


def script_names() -> list[str]:
    """Their names."""
    return [path.name for path in scripts()]


def scripts() -> list[Path]:
    """The scripts that a run may name, in order."""
    folder = include_folder() / "scripts"
    return sorted(path for path in folder.glob("*") if path.is_file() and path.suffix != ".md")
