"""Planted faults: each still applies to the code, and what is said of them is read rightly."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from simulator import proof
from simulator.campaign import Result, Tally, failure_in_words, seeds_with
from simulator.draw import draw
from simulator.proof import Failure, Finding, Planted

FAULTS = proof.planted_faults()


def test_there_are_twenty_faults_and_more() -> None:
    assert len(FAULTS) >= 20
    numbers = [each.name.partition("-")[0] for each in FAULTS]
    assert numbers == [f"{number:02}" for number in range(1, len(FAULTS) + 1)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda each: each.name)
def test_a_planted_fault_still_applies(fault: Planted) -> None:
    """Where one does not: take the same guard out of the code as it is, and keep that."""
    command = ["git", "apply", "--check", str(fault.file)]
    done = subprocess.run(command, cwd=proof.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert fault.about.endswith(".")
    changed = [line for line in fault.file.read_text().splitlines() if line.startswith("+++ b/")]
    assert all(each.startswith(("+++ b/plugins/", "+++ b/dags/")) for each in changed)
    assert changed


def test_a_fault_is_planted_in_a_copy_alone() -> None:
    fault = FAULTS[0]
    with proof.code_copied() as code:
        assert proof.applies(fault, code) == ""
        changed = fault.file.read_text().partition("+++ b/")[2].splitlines()[0]
        assert (code / changed).read_text() != (proof.ROOT / changed).read_text()
        assert (code / "include/policies/default.yaml").is_file()


def test_a_patch_that_does_not_apply_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "99-gone.patch"
    name = "plugins/openstack_maintenance/operators/clock.py"
    file.write_text(f"Gone.\n\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-nobody wrote this\n+x\n")
    finding = proof.tried(Planted.read(file), seeds=1)
    assert finding.failure is None
    assert "99-gone.patch does not apply any more" in finding.why
    assert "git diff -U1" in finding.why


def test_a_header_says_which_stories_are_played(tmp_path: Path) -> None:
    file = tmp_path / "99-x.patch"
    file.write_text("It is so.\nkind: night\nwith: order_lost\n\n--- a/x\n+++ b/x\n with: no\n")
    fault = Planted.read(file)
    assert (fault.about, fault.options) == ("It is so.", ["--kind=night", "--with=order_lost"])


def test_what_a_campaign_tells_is_read() -> None:
    first = Result(7, ["once: twice", "limits: three"], story="{}", timeline=["== seed 3 =="])
    second = Result(9, ["crash: boom"])
    words = [failure_in_words(first), failure_in_words(second)]
    told = "\n".join(["noise", *words, str(Tally())])
    assert list(proof.failures_in(told.splitlines())) == [
        Failure(7, ("once: twice", "limits: three")),
        Failure(9, ("crash: boom",)),
    ]


def test_a_campaign_that_does_not_come_to_its_end_is_not_one_that_saw_nothing() -> None:
    told = failure_in_words(Result(7, ["once: twice"]))
    found = proof.failures_in(told.splitlines())
    assert next(found).seed == 7
    with pytest.raises(proof.NotPlayedError):
        next(found)


def test_a_story_that_cannot_be_played_is_no_judges_finding() -> None:
    assert not proof.is_new(Failure(1, ("crash: boom",)), ["--kind=host"])


def test_only_seeds_whose_stories_have_a_text_are_played() -> None:
    found = seeds_with(["order_lost"], "host", 1, 100)
    assert 0 < len(found) < 20
    assert found == [seed for seed in range(1, 101) if "order_lost" in str(draw(seed, "host"))]


def test_the_table_says_who_saw_it_and_what_was_not_seen() -> None:
    fault = FAULTS[0]
    seen = proof.row(Finding(fault, Failure(43, ("once: twice",)), 43, 71.0))
    assert fault.name in seen and "seed    43" in seen and "once: twice" in seen
    assert "NOT FOUND: no judge" in proof.row(Finding(fault, seeds=5, why="no judge saw it"))


@pytest.mark.thorough
def test_a_judge_sees_a_planted_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert proof.main(["--only", "dry-run-goes-on", "--seeds", "40", "--jobs", "1"]) == 0
    assert "1 of 1 planted faults found" in capsys.readouterr().out
