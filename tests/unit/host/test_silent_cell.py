"""A service whose cell does not answer is nobody's, and not lost: it is waited for."""

from __future__ import annotations

import pytest

from builders import service
from openstack_maintenance.adapters.nova_rows import read_instance, read_service
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.rules import owner_blocker
from openstack_maintenance.domain.mark import Mark
from openstack_maintenance.domain.ownership import ownership_lost
from openstack_maintenance.operators.base import is_passing

MARK = Mark("compute_host_maintenance", "r1", "kernel")
SILENT = service(is_unknown=True, is_enabled=False, disabled_reason=None)


@pytest.mark.parametrize("is_asked", ["whose it is", "whether it is lost"])
def test_nobody_is_said_to_have_disabled_it(is_asked: str) -> None:
    with pytest.raises(CloudError) as raised:
        if is_asked == "whose it is":
            owner_blocker(SILENT, MARK, frozenset())
        else:
            ownership_lost(SILENT, MARK)
    assert "its cell does not answer (Nova shows its nova-compute as UNKNOWN)" in str(raised.value)
    assert is_passing(raised.value)  # a task tries on, as while an API is silent


def test_it_is_read_as_such() -> None:
    """From 2.69 on Nova lists it with little else."""
    found = read_service({"binary": "nova-compute", "host": "c01", "status": "UNKNOWN"})
    assert found.is_unknown
    assert not read_service(
        {"id": 1, "binary": "nova-compute", "host": "c01", "status": "disabled", "state": "up"}
    ).is_unknown


@pytest.mark.parametrize("more", [{}, {"OS-EXT-SRV-ATTR:host": None}])
def test_an_instance_that_is_unknown_is_not_shelved(more: dict[str, None]) -> None:
    with pytest.raises(ValueError, match="its cell does not answer"):
        read_instance({"id": "i1", "status": "UNKNOWN", **more})
