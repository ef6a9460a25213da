"""Policies and deployments: whatever a file holds, it is read or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judged import judged
from openstack_maintenance.adapters.yaml_files import load_yaml
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.policy import Policy


@pytest.mark.parametrize("shape", [Policy, Deployment])
@given(text=st.text(max_size=400))
def test_any_text(tmp_path_factory: pytest.TempPathFactory, shape: type, text: str) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "policy.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    judged(load_yaml, path, shape, "policy")
