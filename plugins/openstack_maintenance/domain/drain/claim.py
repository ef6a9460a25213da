"""A claim: said to all triggerers before Nova is asked to migrate, so that no slot is taken twice.

Two triggerers may both see a slot free in Nova's list, and both ask. So each writes down what it is
about to ask for, and then reads what the others have written: of any two, one sees the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from openstack_maintenance.domain.cloud import Migration
from openstack_maintenance.domain.record_name import file_name

# A request may take 90 s to be answered, and a minute to show in Nova's list; whoever looks does
# so every few seconds. After that Nova's list alone counts: a claim of the dead blocks nobody.
CLAIM_HOLDS = timedelta(minutes=4)
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_LONGEST = 64
_KINDS = {"live": "live-migration", "cold": "migration"}


@dataclass(frozen=True, order=True)
class Claim:
    """``at``: by Nova's clock. ``instance``, ``host``: their names in file names (`name_of`).
    ``holder``: the watch that claims. ``after``: the id of the instance's newest migration then.
    """

    at: datetime
    instance: str
    host: str
    holder: str
    after: int
    is_live: bool

    @property
    def file_name(self) -> str:
        """All of it: whoever lists the claims need not read any."""
        method = "live" if self.is_live else "cold"
        parts = [self.at.strftime(_STAMP), self.instance, self.host, self.holder, str(self.after)]
        return ",".join([*parts, method]) + ".json"


def name_of(text: str) -> str:
    """An instance's id, or a host's name, as a part of a file name."""
    name = file_name(text)
    if len(name) <= _LONGEST:
        return name
    return f"~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def read_claim(name: str) -> Claim | None:
    """A claim by its file's name; None where that is none."""
    parts = name.removesuffix(".json").split(",")
    if not name.endswith(".json") or len(parts) != 6:
        return None
    stamp, instance, host, holder, after, method = parts
    try:
        at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        return Claim(at, instance, host, holder, int(after), {"live": True, "cold": False}[method])
    except (ValueError, KeyError):
        return None


def is_over(claim: Claim, now: datetime) -> bool:
    """Whether Nova shows by now whatever was asked for; also where a clock has been set since."""
    return abs(now - claim.at) > CLAIM_HOLDS


def open_claims(
    claims: Iterable[Claim], rows: Sequence[Migration], now: datetime
) -> list[Migration]:
    """What was claimed and Nova does not list yet, as the migrations that may come of it.

    One an instance: Nova takes only one. ``rows``: all migrations that are known.
    """
    held = [each for each in sorted(claims) if not is_over(each, now)]
    if not held:
        return []
    newest: dict[str, int] = {}
    for row in rows:
        instance = name_of(row.instance_id)
        newest[instance] = max(newest.get(instance, 0), row.id)
    hosts = {name_of(row.source): row.source for row in rows}
    unseen = {each.instance: each for each in held if newest.get(each.instance, 0) <= each.after}
    return [_to_come(each, hosts.get(each.host, each.host)) for each in unseen.values()]


def _to_come(claim: Claim, source: str) -> Migration:
    return Migration(
        id=0,
        uuid="",
        instance_id=claim.instance,
        kind=_KINDS["live" if claim.is_live else "cold"],
        status="accepted",
        source=source,
        destination=None,
        created_at=claim.at,
        updated_at=claim.at,
    )
