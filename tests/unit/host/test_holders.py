"""Who holds room on a host that Nova's lists call empty, in words that a person can act on."""

from __future__ import annotations

import pytest

from builders import instance, migration
from openstack_maintenance.domain.host.holders import Holder, holders_in_words

HALF = Holder(
    "m1", instance("i1", "VERIFY_RESIZE", host="c02"), migration(status="finished", kind="resize")
)
LEAKED = Holder("u1", instance("i1", host="c02"), migration(status="completed"))
LEAVING = Holder("u1", instance("i1", task_state="migrating"), migration(status="running"))
BUILD = Holder("i2", instance("i2", "BUILD", vm_state="building", host=None))
ARRIVED = Holder("i2", instance("i2"))
DOUBLE = Holder("i3", instance("i3", host="c03"))
GOING = Holder("i3", instance("i3", "RESIZE", host="c03", task_state="resize_prep"))
DELETED = Holder("dead")


@pytest.mark.parametrize(
    ("holder", "says"),
    [
        (HALF, "instance i1 (i1): is on c02 and waits for its resize to be confirmed: its other"),
        (HALF, "(`openstack server resize confirm i1`)"),
        (LEAKED, "migration u1: of instance i1 (i1) has ended (completed), but Placement still"),
        (LEAKED, "(`openstack resource provider allocation delete u1`)"),
        (LEAVING, "instance i1 (i1): is on its way from c01 to c02 (running). Wait until it has"),
        (BUILD, "instance i2 (i2): is on no host yet (BUILD) and is on its way to c01"),
        (ARRIVED, "instance i2 (i2): is there (ACTIVE): it arrived a moment ago"),
        (DOUBLE, "instance i3 (i3): is on c03 (ACTIVE), but Placement holds room for it on c01"),
        (DOUBLE, "(`openstack resource provider allocation unset --provider p1 i3`)"),
        (GOING, "is on c03 (RESIZE, resize_prep) and is on its way to c01, or from it"),
        (DELETED, "allocation dead: Placement holds room on c01 for it, but Nova has no instance"),
        (DELETED, "(`openstack resource provider allocation delete dead`)"),
    ],
)
def test_each_holder_is_named_with_what_removes_it(holder: Holder, says: str) -> None:
    assert says in str(holder.blocker("c01", "p1"))


@pytest.mark.parametrize("holder", [LEAVING, BUILD, GOING])
def test_what_ends_by_itself_is_no_reason_to_refuse_the_host_beforehand(holder: Holder) -> None:
    assert holder.is_passing


@pytest.mark.parametrize("holder", [HALF, LEAKED, DOUBLE, DELETED])
def test_what_never_ends_by_itself_is(holder: Holder) -> None:
    assert not holder.is_passing


def test_several_are_named_together_each_remedy_once() -> None:
    found, remedy = holders_in_words([DELETED, HALF, HALF], "c01", "p1")
    assert found.count("; ") == 2
    assert remedy.count("resize confirm") == 1
