"""What the credentials must be allowed to do for a plan, and what to say where they are not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import Instance
from openstack_maintenance.domain.drain.movability import DrainPlan

POLICIES = "include/rights/openstack-policies"
# Nova's words, and Placement's.
_DENIED = re.compile(r"[Pp]olicy (?:doesn't|does not) allow (\S+:\S+) to be performed")


@dataclass(frozen=True)
class Right:
    """One thing that a step does: the rule of Nova's policy, and in an operator's words."""

    rule: str
    what: str


UPDATE_SERVICE = Right("os_compute_api:os-services:update", "disable and enable a compute service")
LIST_MIGRATIONS = Right("os_compute_api:os-migrations:index", "list the cloud's migrations")
MIGRATION_HOSTS = Right("os_compute_api:os-migrations:index:host", "see a migration's hosts")
SHOW = Right("os_compute_api:servers:show", "show an instance")
SEE_ALL = Right("context_is_admin", "see other projects' instances")
SEE_HOST = Right("os_compute_api:os-extended-server-attributes", "see an instance's host")
ALL_FILTERS = Right("os_compute_api:servers:allow_all_filters", "list the instances of a host")
SEE_EXTRA_SPECS = Right(
    "os_compute_api:servers:show:flavor-extra-specs", "see an instance's extra specs"
)
LIST_GROUPS = Right("os_compute_api:os-server-groups:index", "list the server groups")
LIVE = Right("os_compute_api:os-migrate-server:migrate_live", "live-migrate an instance")
LIVE_TO_HOST = Right(
    "os_compute_api:os-migrate-server:migrate_live:host", "live-migrate an instance to a host"
)
ABORT = Right("os_compute_api:servers:migrations:delete", "abort a live migration")
FORCE_COMPLETE = Right(
    "os_compute_api:servers:migrations:force_complete", "force a live migration to complete"
)
COLD_TO_HOST = Right(
    "os_compute_api:os-migrate-server:migrate:host", "cold-migrate an instance to a host"
)
START = Right("os_compute_api:servers:start", "start an instance")
RESET_STATE = Right("os_compute_api:os-admin-actions:reset_state", "set an instance's state")
CONFIRM = Right("os_compute_api:servers:confirm_resize", "confirm a cold migration")
DELETE_FLAVOR = Right("os_compute_api:os-flavor-manage:delete", "delete a flavor")
CREATE_INSTANCE = Right("os_compute_api:servers:create", "create an instance of its own")


@dataclass(frozen=True)
class Needed:
    """A right that a plan needs, and the instance to ask with; None where it needs none."""

    right: Right
    instance_id: str | None = None


# Of controller_maintenance: the round trip to a scheduler takes a flavor and an instance.
CONTROLLER_RIGHTS = (Needed(CREATE_INSTANCE), Needed(DELETE_FLAVOR))


def rights_needed(
    plan: DrainPlan,
    *,
    to_named_host: bool,
    to_any_host: bool,
    may_force: bool,
    may_stop: bool,
    may_repair: bool = False,
) -> list[Needed]:
    """The rights that a plan needs and that can be asked for without a side effect, once each.

    ``to_named_host``, ``to_any_host``: how instances are sent. ``may_force``: a stuck migration
    is forced to complete. ``may_stop``: what Nova refuses to move live is stopped, moved cold and
    started again. ``may_repair``: a wrong state that a move has ended in is set right.
    """
    needed = [Needed(UPDATE_SERVICE), Needed(LIST_MIGRATIONS)]
    live = [move.instance for move in plan.moves if move.method == "live"]
    cold = [move.instance for move in plan.moves if move.method != "live"]
    for any_one in [*live, *cold][:1]:
        needed += [Needed(SHOW, any_one.id), Needed(LIST_GROUPS)]
    for one in live[:1]:
        rights = [*([LIVE] if to_any_host else []), *([LIVE_TO_HOST] if to_named_host else [])]
        rights += [ABORT, *([FORCE_COMPLETE] if may_force else [])]
        needed += [Needed(right, one.id) for right in rights]
        # Of an instance that there is, the question would be an order.
        needed += [Needed(RESET_STATE)] if may_repair else []
    running = [move.instance for move in plan.moves if move.method != "cold"] if may_stop else []
    # Whether it may be started again is asked while it runs: there is nothing to start.
    needed += [Needed(START, one.id) for one in running[:1]]
    for one in [*cold, *running][:1]:
        # Without a host there is no question that Nova could not take for an order.
        needed.append(Needed(COLD_TO_HOST, one.id))
        needed += [Needed(CONFIRM, each) for each in _never_resized([*live, *cold])]
    return needed


def _never_resized(instances: Iterable[Instance]) -> list[str]:
    """The instance that cannot wait for a confirmation a moment later; none where any could."""
    quiet = [each for each in instances if each.task_state is None]
    # Only what is active or stopped can be resized.
    quiet.sort(key=lambda each: each.vm_state in {"active", "stopped"})
    return [each.id for each in quiet[:1]]


def denied_rule(said: str) -> str | None:
    """The rule that a 403 names, where it does."""
    found = _DENIED.search(said)
    return found[1] if found else None


def right_remedy(rule: str | None, connection: str) -> str:
    """What to do about a right that is missing to the user of an Airflow connection."""
    whom = f"the user of connection {connection}"
    what = f"Allow {rule} to {whom}" if rule else f"Give {whom} the role for it"
    return f"{what}: see {POLICIES}."


def missing_blocker(cloud: str, right: Right, said: str) -> Blocker:
    """A right that the credentials do not have. ``cloud``: the connection. ``said``: by Nova."""
    return Blocker(
        f"cloud {cloud}",
        f"its user may not {right.what}: {said}",
        right_remedy(denied_rule(said) or right.rule, cloud),
    )
