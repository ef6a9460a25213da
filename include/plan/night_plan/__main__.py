"""Say what tonight's maintenance of the compute hosts would do. Change nothing.

It reads the cloud and each host with the two connections that the DAGs have, and goes by the same
policy, records and planner as they do, so that it differs only by what happens until then. No
Airflow needs to run. Ends with 1, and one sentence, where something could not be read.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from night_plan.seen import check_all_read, head, judge_hosts, span_of
from night_plan.snapshot_file import save
from openstack_maintenance.adapters.policy_file import read_policy
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.domain.nights.plan_in_words import plan_in_words, verdicts_in_words
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.plan import plan_tonight, read_tonight


def main() -> int:
    parser = argparse.ArgumentParser("make plan", description=__doc__)
    parser.add_argument("--save", type=Path, help="write the fleet that was read into this file")
    arguments = parser.parse_args()
    try:
        tell_night(arguments.save)
    except MaintenanceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def tell_night(save_as: Path | None = None) -> None:
    """Print who is due, the plan, and who is left. Raises: MaintenanceError."""
    policy = read_policy()
    span = span_of(policy, utc_now())
    verdicts, unread = judge_hosts(policy, span)
    print(f"{head(policy, span, 'plan')}\n\n{verdicts_in_words(verdicts)}\n", flush=True)
    nova = CloudHook(CLOUD_CONN_ID).get_conn()
    tonight = read_tonight(policy, nova, verdicts)
    if save_as is not None:
        save(tonight, save_as, span.now, nova.secrets())
        print(f"Saved: {save_as}. Rehearse it with `make rehearse SNAPSHOT={save_as}`.\n")
    plan, bound = plan_tonight(policy, tonight, span.begins, span.closes)
    print(plan_in_words(plan, bound, span.begins, span.closes, policy.window.timezone), flush=True)
    check_all_read(unread, "make plan")


if __name__ == "__main__":
    sys.exit(main())
