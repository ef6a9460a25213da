"""Writes docs/licenses.md: the licence of every package that requirements.txt pins."""

from __future__ import annotations

import re
from importlib.metadata import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "requirements.txt"
PAGE = PROJECT / "docs" / "licenses.md"
UNKNOWN = "unknown"
_LONGEST_NAME = 60  # of a licence; some packages put its whole text where the name belongs

_HEAD = """\
# Licences

What `requirements.txt` pins, and the licence that each package states in its own metadata. None of
it is part of this project, which is under the Apache License 2.0. `make licenses` writes this page.

| package | version | licence |
| --- | --- | --- |
"""


def page() -> str:
    """The whole page, from the packages that are installed.

    Raises: PackageNotFoundError, ValueError where the lock and what is installed differ: run
    `make setup` first.
    """
    pinned = sorted(re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    rows = (f"| {name} | {version} | {licence(name, version)} |\n" for name, version in pinned)
    return _HEAD + "".join(rows)


def licence(name: str, version: str) -> str:
    """A package's licence: as an expression, by name, or by its classifiers, in this order."""
    about = metadata(name)
    if about["Version"] != version:
        raise ValueError(
            f"{name}: {about['Version']} is installed, the lock pins {version}: run `make setup`."
        )
    (expression,) = about.get_all("License-Expression") or [""]
    by_name = (about.get_all("License") or [""])[0].strip()
    if "\n" in by_name or len(by_name) > _LONGEST_NAME or by_name.upper() == "UNKNOWN":
        by_name = ""
    kinds = [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    by_kind = sorted(text.rpartition(" :: ")[2] for text in kinds)
    return expression or by_name or "; ".join(by_kind) or UNKNOWN


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"licenses: {PAGE.relative_to(PROJECT)} is written")
