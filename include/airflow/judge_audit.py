"""What `include/airflow/audit` says of pip-audit's answers, one file for each lock."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

UNREACHED = "audit: the vulnerability database could not be reached: nothing was checked"


def main(arguments: Sequence[str]) -> int:
    """0 when nothing is known against any package, or nothing could be asked; 1 otherwise."""
    locks, *files = arguments
    answers = [rows for file in files if (rows := _rows(Path(file))) is not None]
    packages = {row["name"]: row for rows in answers for row in rows}
    asked = {name for name, row in packages.items() if "vulns" in row}
    found = sorted(
        {_in_words(row, vuln) for rows in answers for row in rows for vuln in row.get("vulns", [])}
    )
    for line in found:
        print(f"audit: {line}", file=sys.stderr)
    if found:
        print(f"audit: known vulnerabilities: {len(found)}. Run `make upgrade`.", file=sys.stderr)
        return 1
    if len(answers) < int(locks) or not asked:
        print(UNREACHED)
        return 0
    unknown = sorted(packages.keys() - asked)
    but = f"; the database does not know {', '.join(unknown)}" if unknown else ""
    print(f"audit: nothing is known against the {len(asked)} packages of {locks} locks{but}")
    return 0


def _rows(file: Path) -> list[dict[str, Any]] | None:
    """One answer's packages; None where pip-audit broke off."""
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text())["dependencies"]
    except ValueError:
        return None
    return rows


def _in_words(package: dict[str, Any], vulnerability: dict[str, Any]) -> str:
    names = [vulnerability["id"], *vulnerability.get("aliases", [])]
    fixed = " or ".join(vulnerability.get("fix_versions", []))
    remedy = f"fixed in {fixed}" if fixed else "no release fixes it yet"
    return f"{package['name']} {package['version']}: {' = '.join(names)}: {remedy}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
