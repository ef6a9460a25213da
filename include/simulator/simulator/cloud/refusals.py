"""Nova's refusals, in its words; `simulator.http` makes error answers of them."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not performed. ``status``: of the answer."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(Refusal):
    """What is asked for makes no sense."""

    status = 400


class Forbidden(Refusal):
    """The policy or a quota does not allow it."""

    status = 403


class NotFound(Refusal):
    """There is no such thing."""

    status = 404


class Conflict(Refusal):
    """The thing is in a state in which this cannot be done."""

    status = 409


class Broken(Refusal):
    """An error that nobody expected, as of a cell that does not answer."""


class MigrationRefused(Exception):
    """Nova looked for a destination and found none, or one refused: why, in its words."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def wrong_state(instance_id: str, action: str, attribute: str, state: str | None) -> Conflict:
    """Source: nova.api.openstack.common.raise_http_conflict_for_instance_invalid_state."""
    if state is None:
        return Conflict(f"Instance {instance_id} is in an invalid state for '{action}'")
    return Conflict(f"Cannot '{action}' instance {instance_id} while it is in {attribute} {state}")


def no_valid_host(*, has_candidates: bool) -> MigrationRefused:
    """What the scheduler says when no host is left: after its filters, or by Placement at once."""
    why = "There are not enough hosts available." if has_candidates else ""
    return MigrationRefused("NoValidHost", f"No valid host was found. {why}")
