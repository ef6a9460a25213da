"""Play tonight's maintenance of the compute hosts many times, and say how it goes. Change nothing.

It reads the cloud as `make plan` does, or a fleet that `make plan SAVE=FILE` has saved; then no
connection is needed. How often something fails, and how long it takes, is learned from the records.
Ends with 1, and one sentence, where something could not be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from night_plan.seen import check_all_read, head, judge_hosts, span_of
from night_plan.snapshot_file import load
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import CheckFailed, MaintenanceError
from openstack_maintenance.domain.foreign_text import quoted, whole_number
from openstack_maintenance.domain.nights.plan_in_words import plan_in_words, verdicts_in_words
from openstack_maintenance.domain.nights.rehearsal import NIGHTS
from openstack_maintenance.domain.nights.rehearsal_in_words import rehearsal_in_words
from openstack_maintenance.domain.nights.tonight import Tonight
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.plan import (
    plan_tonight,
    read_tonight,
    rehearse_tonight,
)

_MOST_NIGHTS = 100_000
# A longer list of hosts is not read, and `make plan` prints it.
_LONGEST_PLAN = 40


def main() -> int:
    parser = argparse.ArgumentParser("make rehearse", description=__doc__)
    parser.add_argument("--snapshot", type=Path, help="a fleet that `make plan SAVE=FILE` saved")
    parser.add_argument("--seed", default="1", help="the same seed gives the same answer")
    parser.add_argument("--nights", default=str(NIGHTS), help="how often the night is played")
    arguments = parser.parse_args()
    try:
        seed = _number("SEED", arguments.seed, 0, 10**18)
        nights = _number("NIGHTS", arguments.nights, 1, _MOST_NIGHTS)
        tell_rehearsal(arguments.snapshot, seed, nights)
    except MaintenanceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def tell_rehearsal(snapshot: Path | None, seed: int, nights: int) -> None:
    """Print the plan and how it goes. Raises: MaintenanceError."""
    policy = read_policy()
    span = span_of(policy, utc_now())
    unread: list[str] = []
    if snapshot is not None:
        tonight = load(snapshot)
        print(f"{head(policy, span, 'rehearsal')}\nFleet: the snapshot {snapshot}.", flush=True)
        _note_other_policy(policy, tonight)
    else:
        verdicts, unread = judge_hosts(policy, span)
        tonight = read_tonight(policy, CloudHook(CLOUD_CONN_ID).get_conn(), verdicts)
        print(head(policy, span, "rehearsal"), flush=True)
    plan, bound = plan_tonight(policy, tonight, span.begins, span.closes)
    zone = policy.window.timezone
    if len(tonight.fleet.hosts) <= _LONGEST_PLAN:
        print(f"\n{verdicts_in_words(tonight.verdicts)}")
        print(f"\n{plan_in_words(plan, bound, span.begins, span.closes, zone)}", flush=True)
    played = rehearse_tonight(
        policy, tonight, plan, span.begins, span.closes, seed=seed, nights=nights
    )
    print(f"\n{rehearsal_in_words(played, span.begins, span.closes, zone)}", flush=True)
    check_all_read(unread, "make rehearse")


def _note_other_policy(policy: Policy, tonight: Tonight) -> None:
    if policy.on_blocked != tonight.on_blocked:
        print(
            f"It was saved with on_blocked={tonight.on_blocked}; the policy says "
            f"{policy.on_blocked}. Which instances block is still as it was saved."
        )


def _number(name: str, text: str, least: int, most: int) -> int:
    number = whole_number(text)
    if number is None or not least <= number <= most:
        raise CheckFailed(
            name,
            f"{quoted(text)} is not a whole number from {least} to {most}",
            f"Write for example `make rehearse {name}={max(least, 7)}`.",
        )
    return number


if __name__ == "__main__":
    sys.exit(main())
