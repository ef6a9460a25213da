"""A host's record in one line, for whoever has no time for the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

_METHODS = {"live": "live", "cold": "cold", "stop": "cold after a stop"}
_PROOFS = {"reboot": "rebooted", "amqp": "on the bus", "enabled": "enabled"}


def summary(record: Mapping[str, Any]) -> str:
    """How a run ended, how long it took, and what was done and proven: one line."""
    host, outcome = record["host"] or "(no host)", record["outcome"].replace("_", " ")
    if outcome == "dry run":
        return f"{host}: dry run, nothing was changed"
    if outcome != "done":
        return f"{host}: {outcome}"
    script = record["evidence"]["script"]
    told = [f"script {script['script']} ran"] if script else []
    told += _proofs(record["evidence"])
    return f"{host}: done in {_length_of(record)}: {_moved(record)}; {', '.join(told)}"


def _proofs(evidence: Mapping[str, Any]) -> list[str]:
    return [words if evidence[name] else f"not {words}" for name, words in _PROOFS.items()]


def _length_of(record: Mapping[str, Any]) -> str:
    began, ended = (datetime.fromisoformat(record[key]) for key in ("started_at", "ended_at"))
    return length_in_words(ended - began)


def _moved(record: Mapping[str, Any]) -> str:
    # One without a migration was deleted meanwhile, or moved by somebody else.
    moved = [each for each in record["moves"] if each.get("migration")]
    told = _by_method(moved) or ["no instance moved"]
    if left := len(record["left"]):
        told.append(f"{left} left where {'it is' if left == 1 else 'they are'}")
    return ", ".join(told)


def _by_method(moved: Sequence[Mapping[str, Any]]) -> list[str]:
    """For example: 3 instances moved live, 1 cold."""
    counts = Counter(each["method"] for each in moved)
    told = [f"{counts[method]} {words}" for method, words in _METHODS.items() if counts[method]]
    if told:
        number, words = told[0].split(" ", 1)
        told[0] = f"{number} {'instance' if number == '1' else 'instances'} moved {words}"
    return told


def length_in_words(length: timedelta) -> str:
    """A length of time as people say it: 6 s, 1 min 42 s, 2 h 5 min."""
    seconds = round(length.total_seconds())
    minutes, seconds = divmod(seconds, 60)
    if not minutes:
        return f"{seconds} s"
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
