"""The least rights, in OpenStack and on the hosts, as an administrator gives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Stage
from harness.host_rights import HostRights, new_key, write_rights
from harness.maintainer import Maintainer, maintainer

ROLES = {
    "c01": ("compute", "--scripts"),
    "c02": ("compute", "--scripts"),
    "c03": ("compute", "--scripts"),
    "ctl01": ("controller",),
}


@pytest.fixture
def user(stage: Stage) -> Iterator[Maintainer]:
    """Airflow's credentials are an application credential whose only role is the project's."""
    with maintainer(stage.lab, stage.cloud) as made:
        made.log_in(stage.credentials)
        yield made


@pytest.fixture
def least(stage: Stage, user: Maintainer, tmp_path: Path) -> Iterator[dict[str, HostRights]]:
    """Beside that, the lab's login has the installed rights alone, once the fault sudo-refused
    takes its own; and Airflow's key is one that the forced command restricts."""
    write_rights(tmp_path / "rights", "lab", "maintenance")
    key = stage.credentials / stage.lab.key.name
    new_key(key)
    hosts = {name: HostRights(stage.lab, name, "maintenance") for name in ROLES}
    try:
        for name, rights in hosts.items():
            rights.install(tmp_path / "rights", *ROLES[name], key=key)
            rights.keep_keys_over_boots()
        yield hosts
    finally:
        for name, rights in hosts.items():
            stage.lab.run("fault", name, "clear")
            rights.give_back_keys()
            rights.remove()
