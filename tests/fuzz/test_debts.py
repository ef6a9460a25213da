"""Debts as they lie beside the records: whatever is there, it is one or it is none."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from drain_nova import debt
from judged import judged
from odd_json import changed
from openstack_maintenance.domain.drain.debt import Debt, payment_step, plain_debt, read_debt

KEPT = json.loads(json.dumps(plain_debt(debt())))


@given(found=changed(KEPT))
def test_debts(found: Any) -> None:
    read = judged(read_debt, found)
    if read is None:
        return
    assert isinstance(read, Debt)
    assert read_debt(json.loads(json.dumps(plain_debt(read)))) == read
    assert payment_step(read, None, [], None).why
