"""Verdicts over what the cloud says of itself by its APIs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from openstack_maintenance.domain.checks.finding import Finding

# A new token lives an hour or more; one that ends this soon tells of clocks that disagree.
_SHORTEST_TOKEN = timedelta(minutes=5)


@dataclass(frozen=True)
class ServiceRow:
    """A Nova or Cinder service, or a Neutron agent, as its API lists it."""

    binary: str
    host: str
    is_enabled: bool
    is_up: bool
    reason: str = ""


@dataclass(frozen=True)
class Endpoint:
    """One entry of the catalog."""

    service_type: str
    interface: str
    region: str
    url: str


@dataclass(frozen=True)
class Answered:
    """How an endpoint answered an authenticated request: a status, or why there was none.

    ``known``: the request was one that the service checks the token for; else only its root was
    asked for, because this project knows no such request for the service's type.
    """

    endpoint: Endpoint
    status: int | None
    error: str = ""
    known: bool = True


@dataclass(frozen=True)
class Token:
    """A token that Keystone has just issued."""

    user: str
    project: str
    expires: datetime


def judge_service_rows(
    rows: Sequence[ServiceRow] | None, what: str, may_be_empty: bool = False
) -> list[Finding]:
    """A finding for each kind of service; a service that is disabled may be down.

    ``rows``: None where the cloud has no such API. ``what``: for messages.
    """
    if rows is None:
        return [Finding(what, "absent", "absent (the cloud has no such API)")]
    if not rows:
        if may_be_empty:
            return [Finding(what, "absent", "absent (none is listed)")]
        return [Finding(what, "bad", "none is listed")]
    return [
        _kind(binary, [row for row in rows if row.binary == binary])
        for binary in sorted({row.binary for row in rows})
    ]


def _kind(binary: str, rows: Sequence[ServiceRow]) -> Finding:
    down = [row.host for row in rows if row.is_enabled and not row.is_up]
    off = [_disabled(row) for row in rows if not row.is_enabled]
    up = sum(row.is_enabled and row.is_up for row in rows)
    text = [f"down on {', '.join(sorted(down))}"] if down else []
    text += [f"{up} up"] if up else []
    text += [f"disabled: {', '.join(sorted(off))}"] if off else []
    return Finding(binary, "bad" if down else "ok", "; ".join(text))


def _disabled(row: ServiceRow) -> str:
    return f"{row.host} ({row.reason})" if row.reason else row.host


def judge_endpoints(answers: Iterable[Answered]) -> list[Finding]:
    """A finding for each endpoint of the catalog."""
    findings = [_endpoint(each) for each in answers]
    return findings or [Finding("catalog", "bad", "it is empty")]


def _endpoint(answered: Answered) -> Finding:
    endpoint, status = answered.endpoint, answered.status
    name = f"{endpoint.service_type} {endpoint.interface}"
    name += f" {endpoint.region}" if endpoint.region else ""
    if status is None:
        return Finding(name, "bad", f"no answer at {endpoint.url}: {answered.error}")
    if status == 401:
        return Finding(name, "bad", f"{endpoint.url} rejects a fresh token (401)")
    if status >= 500 or (answered.known and status not in (403,) and status >= 300):
        return Finding(name, "bad", f"{endpoint.url} answers {status}")
    asked = "" if answered.known else ", its root only"
    return Finding(name, "ok", f"answers ({status}{asked})")


def judge_images(count: int | None) -> list[Finding]:
    """The image list; None where the catalog has no image service."""
    if count is None:
        return [Finding("image list", "absent", "absent (the catalog has no image service)")]
    return [Finding("image list", "ok", f"answers ({'with' if count else 'without'} images)")]


def judge_token(token: Token, now: datetime) -> list[Finding]:
    """A token that lives long enough to be of use."""
    left = token.expires - now
    text = f"issued to {token.user} in {token.project}, until {token.expires:%Y-%m-%d %H:%M:%S %Z}"
    if left < _SHORTEST_TOKEN:
        return [Finding("token", "bad", f"{text}: too short, or Keystone's clock is wrong")]
    return [Finding("token", "ok", text)]
