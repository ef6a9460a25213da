"""What must be true at the end of a named story, beside what every judge says.

``first``: how the first run ends by itself: success or failed. ``says``, ``says_not``: texts of
its sentence (regular expressions). ``guests``: where guests run in the end: a host, "off",
"runs", or "!c01" for anywhere else. ``asked``: what the plugin asked Nova, at most so often.
``minutes``: until everything had ended by itself; ``ended``: a single run. ``rounds``: how
often the operator may try (0: nobody follows what is said). ``reboots``: how many.
``records_not``: a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from simulator.play import Facts, Outcome
from simulator.story import Json


def broken(outcome: Outcome, must: Json) -> list[str]:
    """What is not so."""
    facts = outcome.facts or Facts()
    return [*outcome.found, *_of_runs(facts, must), *_of_world(facts, must)]


def _of_runs(facts: Facts, must: Json) -> Iterator[str]:
    first = next(iter(facts.first.values()), "never began")
    if must.get("first", first) != first:
        yield f"the first run ended as {first}: {facts.said[:600]}"
    if "says" in must and not re.search(must["says"], facts.said, re.S):
        yield f"nothing says {must['says']!r}: {facts.said[:600]}"
    if "says_not" in must and re.search(must["says_not"], facts.said, re.S):
        yield f"something says {must['says_not']!r}: {facts.said[:600]}"
    if facts.minutes > must.get("minutes", 1e9):
        yield f"it took {facts.minutes:.0f} minutes"
    for name, most in must.get("ended", {}).items():
        if facts.ended.get(name, 1e9) > most:
            yield f"{name} took {facts.ended.get(name, -1):.0f} minutes"
    if "records_not" in must and must["records_not"] in facts.records:
        yield f"a record says {must['records_not']!r}"


def _of_world(facts: Facts, must: Json) -> Iterator[str]:
    for name, wanted in must.get("guests", {}).items():
        found = facts.guests.get(name, "gone")
        is_so = {"runs": found not in ("off", "gone"), "off": found == "off"}.get(wanted)
        if is_so is None:
            is_so = found == wanted if not wanted.startswith("!") else found != wanted[1:]
        if not is_so:
            yield f"the guest of {name} is {found}, and not {wanted}"
    for what, most in must.get("asked", {}).items():
        found_count = sum(count for each, count in facts.asked.items() if each.startswith(what))
        if found_count > most:
            yield f"Nova was asked {found_count} times: {what}"
    if must.get("reboots", facts.reboots) != facts.reboots:
        yield f"{facts.reboots} reboots"
