"""Say what tonight's maintenance of the compute hosts would do. Change nothing.

It reads the cloud and each host with the two connections that the DAGs have, and goes by the same
policy, records and planner as they do, so that it differs only by what happens until then. No
Airflow needs to run. Ends with 1, and one sentence, where something could not be read.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from openstack_maintenance.adapters.policy_file import policy_path, read_deployment, read_policy
from openstack_maintenance.domain.errors import HostError, MaintenanceError
from openstack_maintenance.domain.nights.due import judge_due
from openstack_maintenance.domain.nights.plan_in_words import plan_in_words, verdicts_in_words
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.operators.base import SSH_CONN_ID
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.nights.plan import coming_window, plan_from_cloud
from openstack_maintenance.operators.nights.select_hosts import find_candidates


def main() -> int:
    argparse.ArgumentParser("make plan", description=__doc__).parse_args()
    try:
        tell_night()
    except MaintenanceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def tell_night() -> None:
    """Print who is due, the plan, and who is left. Raises: MaintenanceError."""
    policy = read_policy()
    deployment = read_deployment(policy)
    now = utc_now()
    opens, closes = coming_window(policy, now)
    begins = max(now, opens)
    nova = CloudHook(CLOUD_CONN_ID).get_conn()
    candidates = find_candidates(policy, deployment, nova, SSH_CONN_ID)
    verdicts = [judge_due(each, policy.due, opens, begins) for each in candidates]
    print(f"{_head(policy, now, opens)}\n\n{verdicts_in_words(verdicts)}\n", flush=True)
    plan, bound = plan_from_cloud(policy, nova, verdicts, begins, closes)
    print(plan_in_words(plan, bound, begins, closes, policy.window.timezone), flush=True)
    unread = [
        candidate.service.host
        for candidate, verdict in zip(candidates, verdicts, strict=True)
        if verdict.reason == candidate.unreadable
    ]
    if unread:
        raise HostError(
            f"\nNot read: {', '.join(unread)}",
            "the reasons are above, and the plan leaves these hosts out",
            "Fix that, then run `make plan` again.",
        )


def _head(policy: Policy, now: datetime, opens: datetime) -> str:
    """What the plan goes by, and for when it is."""
    local = opens.astimezone(ZoneInfo(policy.window.timezone))
    when = "which is open: the plan begins now"
    if now < opens:
        when = f"which is closed: the plan is for its next opening, {local:%a %d %b %Y %H:%M %Z}"
    approval = " A person has to approve it first." if policy.approval else ""
    return (
        f"Tonight's maintenance of compute hosts, by the policy {policy_path()}.\n"
        f"Window {policy.window}, {when}.{approval}\n"
        "This changes nothing."
    )


if __name__ == "__main__":
    sys.exit(main())
