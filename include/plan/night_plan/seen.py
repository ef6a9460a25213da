"""The cloud as it is now, and when the next night is: what `plan` and `rehearse` begin with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from openstack_maintenance.adapters.policy_file import policy_path, read_deployment
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.nights.due import Candidate, Verdict, judge_due, unknown_names
from openstack_maintenance.domain.policy import Policy
from openstack_maintenance.hooks.cloud_hook import CLOUD_CONN_ID, CloudHook
from openstack_maintenance.operators.base import SSH_CONN_ID
from openstack_maintenance.operators.nights.plan import coming_window
from openstack_maintenance.operators.nights.select_hosts import find_candidates


@dataclass(frozen=True)
class Span:
    """The present night, or the next one. ``begins``: when a run of it would begin."""

    now: datetime
    opens: datetime
    closes: datetime

    @property
    def begins(self) -> datetime:
        """Nothing begins in the past."""
        return max(self.now, self.opens)


def span_of(policy: Policy, now: datetime) -> Span:
    """Raises: CheckFailed, where the window never opens."""
    return Span(now, *coming_window(policy, now))


def judge_hosts(policy: Policy, span: Span) -> tuple[list[Verdict], list[str]]:
    """Who is due, and which hosts could not be read. Raises: MaintenanceError."""
    deployment = read_deployment(policy)
    nova = CloudHook(CLOUD_CONN_ID).get_conn()
    candidates = find_candidates(policy, deployment, nova, SSH_CONN_ID)
    verdicts = [judge_due(each, policy.due, span.opens, span.begins) for each in candidates]
    strangers = unknown_names(policy.due, candidates)
    return [*verdicts, *strangers], _unread(candidates, verdicts)


def _unread(candidates: list[Candidate], verdicts: list[Verdict]) -> list[str]:
    return [
        candidate.service.host
        for candidate, verdict in zip(candidates, verdicts, strict=True)
        if verdict.reason == candidate.unreadable
    ]


def check_all_read(unread: list[str], command: str) -> None:
    """Raises: HostError, where some host could not be read."""
    if unread:
        raise HostError(
            f"\nNot read: {', '.join(unread)}",
            "the reasons are above, and the plan leaves these hosts out",
            f"Fix that, then run `{command}` again.",
        )


def head(policy: Policy, span: Span, what: str) -> str:
    """What it goes by, and for when it is."""
    local = span.opens.astimezone(ZoneInfo(policy.window.timezone))
    when = f"which is open: the {what} begins now"
    if span.now < span.opens:
        opening = f"{local:%a %d %b %Y %H:%M %Z}"
        when = f"which is closed: the {what} is for its next opening, {opening}"
    approval = " A person has to approve it first." if policy.approval else ""
    return (
        f"Tonight's maintenance of compute hosts, by the policy {policy_path()}.\n"
        f"Window {policy.window}, {when}.{approval}\n"
        "This changes nothing."
    )
