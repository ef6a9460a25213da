"""Deployment flavours from include/deployments."""

from __future__ import annotations

from pathlib import Path

from openstack_maintenance.adapters.yaml_files import load_yaml
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.errors import PolicyError


def load_deployment(name: str, folder: Path) -> Deployment:
    """Give the flavour ``name`` (a file's stem in ``folder``).

    Raises:
        PolicyError: no such flavour, or its file is not valid.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise PolicyError(
            f"deployment {name!r}",
            f"there is no such file in {folder}",
            f"Choose one of: {', '.join(known) or 'none (the folder is empty)'}.",
        )
    return load_yaml(folder / f"{name}.yaml", Deployment, "deployment")
