"""A host's record in one line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.host.record_in_words import length_in_words, summary

EVIDENCE: dict[str, Any] = {
    "script": None,
    "reboot": {"boot_id_after": "b2"},
    "amqp": {"kind": "log_line"},
    "enabled": {"state": "enabled, up"},
}


def record(*methods: str, **given: Any) -> dict[str, Any]:
    return {
        "host": "c01",
        "outcome": "done",
        "started_at": "2026-03-10T01:00:00+00:00",
        "ended_at": "2026-03-10T01:01:42.400000+00:00",
        "moves": [{"method": method, "migration": "m"} for method in methods],
        "left": [],
        "evidence": EVIDENCE,
        **given,
    }


UNMOVED = {"method": "live", "migration": None}
LEFT = [{"name": "old-1"}]


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (record("live", "live", "live", "cold"), "3 instances moved live, 1 cold"),
        (record("cold"), "1 instance moved cold"),
        (record("stop", "live"), "1 instance moved live, 1 cold after a stop"),
        (record(), "no instance moved"),
        (record(moves=[UNMOVED]), "no instance moved"),
        (record("live", left=LEFT), "1 instance moved live, 1 left where it is"),
        (record(left=LEFT * 2), "no instance moved, 2 left where they are"),
    ],
)
def test_who_was_moved_is_counted_by_how(given: dict[str, Any], moved: str) -> None:
    expected = f"c01: done in 1 min 42 s: {moved}; rebooted, on the bus, enabled"
    assert summary(given) == expected


def test_what_was_not_done_is_said_and_a_script_named() -> None:
    evidence = {**EVIDENCE, "reboot": None, "script": {"script": "fstrim.sh"}}
    said = summary(record(evidence=evidence))
    assert said.endswith("; script fstrim.sh ran, not rebooted, on the bus, enabled")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("dry_run", "c01: dry run, nothing was changed"),
        ("failed", "c01: failed"),
        ("already_done", "c01: already done"),
    ],
)
def test_a_run_that_changed_nothing_or_failed_claims_nothing(outcome: str, said: str) -> None:
    assert summary(record("live", outcome=outcome)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (102, "1 min 42 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_length_is_said_as_people_do(seconds: float, said: str) -> None:
    assert length_in_words(timedelta(seconds=seconds)) == said
