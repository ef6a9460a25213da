"""Stories of trouble on the lab, with a real Airflow: each played once, followed up and judged.

    python -m lab_campaign --seeds 20        seeds 1 to 20
    python -m lab_campaign --seed 17         one again, with its timeline
    python -m lab_campaign --story FILE      a story of a file

The lab that is up is used (LAB_NAME), else one is brought up and taken down again. What is on it
is deleted. Exit code: 0 all good, 1 a story went wrong.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_local import Home, LocalAirflow
from airflow_local.home import PROJECT
from airflow_local.ports import free_port
from lab_campaign.draw import draw
from lab_campaign.play import Outcome, Play, Site
from openstack_lab import Lab
from simulator.story import Story

PATIENCE = 900  # seconds for a start that takes twenty, when its machine has time


@contextmanager
def a_folder(kept: Path | None) -> Iterator[Path]:
    """The folder that is given, or one that is gone afterwards."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="campaign-lab-") as made:
        yield Path(made)


@contextmanager
def a_site(folder: Path, *, is_kept: bool) -> Iterator[Site]:
    """A lab and an Airflow of the campaign's own; the Airflow is left running where it is kept."""
    lab = Lab()
    existed = lab.exists()
    home = Home(folder / "airflow")
    airflow = LocalAirflow.find_running(home) or LocalAirflow(home, port=free_port())
    site = Site(lab, airflow, folder)
    airflow.environment = site.environment()
    try:
        lab.up()
        site.prepare(PROJECT / "include")
        airflow.start(timeout=PATIENCE)
        airflow.api().wait_for_dag("compute_host_maintenance")
        yield site
    finally:
        if not is_kept:
            airflow.stop()
        if not existed:
            lab.down()


def played(site: Site, story: Story) -> Outcome:
    """A story's outcome; what the campaign itself cannot do is one that is found, too."""
    began = time.monotonic()
    play = Play(site, story)
    try:
        return play.play()
    except Exception as error:
        said = f"crash: {type(error).__name__}: {error}"
        lines = traceback.format_exception(error)
        outcome = Outcome(story, [said], [*play.timeline(), *"".join(lines).splitlines()])
        outcome.seconds = time.monotonic() - began
        return outcome


def in_a_line(outcome: Outcome) -> str:
    """How a seed went, and how long it took."""
    counts = ", ".join(f"{count} {name}" for name, count in outcome.counts.items())
    faults = ", ".join(f"{name} {count}" for name, count in outcome.faults.items())
    said = "good" if outcome.is_good else "BAD"
    took = f"{outcome.seconds:.0f} s ({outcome.setting_up:.0f} s to set up)"
    return f"seed {outcome.story.seed}: {said}, {took}; {counts}; faults: {faults or 'none'}"


def failure_in_words(outcome: Outcome) -> str:
    """What a person reads of a seed that went wrong."""
    lines = [f"== seed {outcome.story.seed} ==", *(f"  {each}" for each in outcome.found)]
    lines += ["  its story:", f"    {outcome.story}", "  what happened:"]
    lines += [f"    {each}" for each in outcome.timeline]
    lines.append(f"  again (if it was drawn): make campaign-lab SEED={outcome.story.seed}")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """See the module."""
    given = _arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or Airflow would live on
    if given.story:
        stories = [Story.read(given.story)]
    else:
        first, count = (given.first, given.seeds) if given.seed is None else (given.seed, 1)
        stories = [draw(seed) for seed in range(first, first + count)]
    is_again = given.story or given.seed is not None
    bad, kinds, began = [], Counter[str](), time.monotonic()
    with a_folder(given.keep) as folder, a_site(folder, is_kept=bool(given.keep)) as site:
        for story in stories:
            outcome = played(site, story)
            kinds.update(outcome.faults)
            print(in_a_line(outcome), flush=True)
            if not outcome.is_good:
                bad.append(story.seed)
            if is_again or not outcome.is_good:
                print(failure_in_words(outcome), flush=True)
    faults = ", ".join(f"{name} {count}" for name, count in sorted(kinds.items()))
    print(f"{len(stories)} seeds, {len(bad)} bad, {time.monotonic() - began:.0f} s; {faults}")
    return 1 if bad else 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="campaign-lab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--story", type=Path)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave Airflow and records there for next time"
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
