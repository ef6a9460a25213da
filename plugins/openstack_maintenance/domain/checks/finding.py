"""A finding: one line of a report, with a verdict that is never a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

# absent: there is no such thing here, and need not be. unknown: it could not be found out.
Verdict = Literal["ok", "bad", "absent", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and where it has one, the end of its journal."""

    name: str
    verdict: Verdict
    text: str
    journal: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def worst(findings: Iterable[Finding]) -> Verdict:
    """The verdict over all: one that is bad decides; absent only where everything is absent."""
    verdicts = {finding.verdict for finding in findings}
    for verdict in ("bad", "unknown", "ok"):
        if verdict in verdicts:
            return verdict
    return "absent"


def faults_in_words(findings: Iterable[Finding]) -> str:
    """What is bad, in one line; empty where nothing is."""
    return ", ".join(str(finding) for finding in findings if finding.verdict == "bad")


def read_finding(found: Mapping[str, Any]) -> Finding:
    """A finding that came as plain JSON."""
    return Finding(found["name"], found["verdict"], found["text"], tuple(found["journal"]))
