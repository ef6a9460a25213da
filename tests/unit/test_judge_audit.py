"""What is made of pip-audit's answers where its exit code says too little."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judge_audit import UNREACHED, main

KNOWN = {"name": "jinja2", "version": "3.1.6", "vulns": []}
SKIPPED = {
    "name": "six",
    "skip_reason": "Dependency not found on PyPI and could not be audited: six (1.17.0)",
}
BAD = {
    "name": "six",
    "version": "1.17.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": [], "aliases": [], "description": "-"}],
}


def answer(folder: Path, name: str, *packages: object) -> str:
    file = folder / name
    file.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    return str(file)


def test_an_index_that_knows_no_package_is_no_clean_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """pip-audit 2.10 says "No known vulnerabilities found" then, and ends with 0."""
    assert main(["1", answer(tmp_path, "a", SKIPPED)]) == 0
    assert capsys.readouterr().out == UNREACHED + "\n"


def test_a_package_that_the_database_does_not_know_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["1", answer(tmp_path, "a", KNOWN, SKIPPED)]) == 0
    assert capsys.readouterr().out == (
        "audit: nothing is known against the 1 packages of 1 locks; "
        "the database does not know six\n"
    )


def test_a_lock_whose_answer_broke_off_leaves_nothing_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "b"
    broken.write_text("")
    assert main(["2", answer(tmp_path, "a", KNOWN), str(broken)]) == 0
    assert capsys.readouterr().out == UNREACHED + "\n"


def test_what_one_answer_found_stands_when_another_broke_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "b"
    broken.write_text("")
    assert main(["2", answer(tmp_path, "a", KNOWN, BAD), str(broken)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "audit: six 1.17.0: PYSEC-2026-1: no release fixes it yet",
        "audit: known vulnerabilities: 1. Run `make upgrade`.",
    ]
