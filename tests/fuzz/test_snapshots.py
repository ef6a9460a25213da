"""Snapshots of fleets: whatever lies in the file is read, or refused in one sentence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from hostile import json_values, mutated
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.experience import Experience
from openstack_maintenance.domain.nights.fleet import Fleet, FleetHost, FleetInstance, Size
from openstack_maintenance.domain.nights.plan import NightLimits, NightPace, plan_night
from openstack_maintenance.domain.nights.rehearsal import Rules, rehearse
from openstack_maintenance.domain.nights.rehearsal_in_words import rehearsal_in_words
from openstack_maintenance.domain.nights.snapshot import read_snapshot, snapshot_of
from openstack_maintenance.domain.nights.tonight import Blocking, Tonight

SAVED = snapshot_of(
    Tonight(
        Fleet(
            (FleetHost("c01", "az1", Size(8, 8192)), FleetHost("c02", "az1", Size(8, 8192))),
            (FleetInstance("i1", "c01", Size(1, 512), group="g"),),
        ),
        (Verdict("c01", "due", "is old"),),
        (Blocking("c02", "db (i2)", "is ERROR", "Look."),),
    ),
    NOW,
)


@given(found=st.one_of(mutated(SAVED), json_values))
def test_whatever_a_snapshot_says_is_played_or_refused(found: Any) -> None:
    with suppress(ValueError):
        tonight = read_snapshot(found)
        limits = NightLimits(reserve_hosts=0)
        plan = plan_night(tonight.fleet, limits, NightPace())
        rules = Rules(limits, NightPace())
        played = rehearse(
            tonight.fleet, plan, rules, Experience(), nights=2, blocking=tonight.blocking
        )
        assert rehearsal_in_words(played, NOW, None, "UTC")
        assert json.dumps(snapshot_of(tonight, NOW))
