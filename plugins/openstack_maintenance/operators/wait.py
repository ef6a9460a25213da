"""Leaving the waiting for a host or a controller to the triggerer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from openstack_maintenance.domain.host.record_in_words import length_in_words
from openstack_maintenance.operators.clock import utc_now

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy
    from openstack_maintenance.triggers.host_wait import HostWaitTrigger


class Reaches(Protocol):
    """A step that can say how its host or controller is reached."""

    cloud_conn_id: str

    @property
    def policy(self) -> Policy: ...

    def host_trigger_args(self) -> dict[str, Any]: ...

    def defer(self, *, trigger: Any, method_name: str) -> Any: ...


def wait(step: Reaches, trigger: type[HostWaitTrigger], patience: str, **known: Any) -> None:
    """Defer a step to a trigger that ends it. ``patience``: a duration field of the policy."""
    deadline = utc_now() + step.policy.length(patience)
    step.defer(
        trigger=trigger(
            **step.host_trigger_args(),
            deadline=deadline.isoformat(),
            cloud_conn_id=step.cloud_conn_id,
            known=known,
        ),
        method_name="execute_complete",
    )


def since_in_words(back: Mapping[str, Any], what: str) -> str:
    """How long a host was away, for its log line; nothing where its clock does not tell.

    ``back``: ordered_at and back_at, both by its own clock, which a boot may have set back.
    """
    if not back.get("ordered_at"):
        return ""
    ordered, returned = (datetime.fromisoformat(back[key]) for key in ("ordered_at", "back_at"))
    if returned < ordered:
        return ""
    return f", {length_in_words(returned - ordered)} after {what}"
