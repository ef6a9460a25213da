"""Many stories, and what became of them.

    python -m simulator.campaign --seeds 1000          seeds 1 to 1000
    python -m simulator.campaign --seed 17             one, with its timeline
    python -m simulator.campaign --story FILE          a story of a file

Exit code: 0 all good, 1 a story went wrong.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import multiprocessing
import os
import sys
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.play import Outcome
    from simulator.story import Story

_LONGEST = 60.0  # seconds of a processor for one story: then it hangs
_PATIENCE = 600.0  # seconds for a seed that does not even come to see that
_SHRINK = 90.0
_EVERY = 20  # stories, between two collections of garbage


@dataclass
class Result:
    """What a worker says of one seed."""

    seed: int
    found: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    story: str = ""
    timeline: list[str] = field(default_factory=list)


def calm() -> None:
    """What Airflow and the SDK print for people is not for this."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def played(story: Story, *, with_timeline: bool = False, cpu_seconds: float = _LONGEST) -> Outcome:
    """A story's outcome; a crash or a hang of the simulator is one that is found, too."""
    from simulator.clock import TooLong
    from simulator.play import Outcome, play

    try:
        return play(story, with_timeline=with_timeline, cpu_seconds=cpu_seconds)
    except TooLong:
        return Outcome(story, [f"hangs: it takes more than {cpu_seconds:g} s of a processor"])
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        said = f"crash: {type(error).__name__}: {error} ({where})"
        lines = traceback.format_exception(error)
        return Outcome(story, [said], "".join(lines).splitlines())


def _kind_of(found: Iterable[str]) -> set[str]:
    return {each.partition(":")[0] for each in found}


def one(seed: int, kind: str | None, shrinking: float) -> Result:
    """Draw and play a seed; where it goes wrong, shrink its story."""
    from simulator.draw import draw
    from simulator.shrink import shrink

    began = time.process_time()
    story = draw(seed, kind)
    outcome = played(story)
    seconds = time.process_time() - began
    result = Result(seed, outcome.found, outcome.counts, outcome.faults, seconds, str(story))
    if outcome.is_good:
        return result
    judges = _kind_of(outcome.found)

    def fails(smaller: Story) -> bool:
        return bool(judges & _kind_of(played(smaller).found))

    if shrinking > 0:
        story = shrink(story, fails, shrinking)
    last = played(story, with_timeline=True)
    result.found = last.found or result.found
    result.story, result.timeline = str(story), last.timeline
    return result


def _work(parent: Connection, kind: str | None, shrinking: float) -> None:
    """A process: one seed after the other."""
    calm()
    gc.disable()
    count = 0
    while (seed := parent.recv()) is not None:
        parent.send(one(seed, kind, shrinking))
        count += 1
        if count % _EVERY == 0:
            gc.collect()


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    seed: int | None = None
    since: float = 0.0


class Campaign:
    """Seeds, in one process a core. A process that dies or hangs is a failure of its seed."""

    def __init__(self, seeds: list[int], kind: str | None, jobs: int, shrinking: float) -> None:
        self._waiting = deque(seeds)
        self._kind, self._jobs, self._shrinking = kind, jobs, shrinking
        self._longest = _PATIENCE + shrinking
        self._workers: list[_Worker] = []

    def results(self) -> Iterator[Result]:
        """Each seed's result, as they come."""
        for _ in range(min(self._jobs, len(self._waiting))):
            self._start()
        while any(worker.seed is not None for worker in self._workers):
            ready = wait([worker.pipe for worker in self._workers], timeout=5.0)
            for worker in list(self._workers):
                is_late = time.monotonic() - worker.since > self._longest
                if worker.pipe in ready or is_late:
                    yield from self._heard(worker, is_late)
        for worker in self._workers:
            worker.process.kill()

    def _start(self) -> None:
        ours, theirs = multiprocessing.Pipe()
        given = (theirs, self._kind, self._shrinking)
        process = multiprocessing.get_context("fork").Process(target=_work, args=given, daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        self._give(worker)

    def _give(self, worker: _Worker) -> None:
        worker.seed = self._waiting.popleft() if self._waiting else None
        worker.since = time.monotonic()
        if worker.seed is not None:
            worker.pipe.send(worker.seed)

    def _heard(self, worker: _Worker, is_late: bool) -> Iterator[Result]:
        """A result, or the end of a worker that has died or does not come to an end."""
        if worker.seed is None:
            return
        try:
            if is_late:
                raise EOFError
            yield worker.pipe.recv()
            self._give(worker)
        except EOFError:
            self._workers.remove(worker)
            worker.process.kill()
            worker.process.join()
            why = "does not end" if is_late else f"has ended ({worker.process.exitcode})"
            yield Result(worker.seed, [f"crash: its process {why}"])
            if self._waiting:
                self._start()


def failure_in_words(result: Result) -> str:
    """What a person reads of a seed that went wrong."""
    lines = [f"== seed {result.seed} =="]
    lines += [f"  {each}" for each in result.found]
    lines += ["  its shortest story:", f"    {result.story}", "  what happened:"]
    lines += [f"    {each}" for each in result.timeline]
    return "\n".join(lines)


class Tally:
    """Sums of a campaign."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seeds = 0
        self.cpu = 0.0
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.bad: dict[int, list[str]] = {}

    def add(self, result: Result) -> None:
        """One more."""
        self.seeds += 1
        self.cpu += result.seconds
        self.counts.update(result.counts)
        self.faults.update(result.faults)
        if result.found:
            self.bad[result.seed] = result.found

    def line(self) -> str:
        """Progress."""
        passed = time.monotonic() - self.began
        return f"{self.seeds} seeds, {len(self.bad)} bad, {passed:.0f} s"

    def __str__(self) -> str:
        counts = self.counts
        passed = time.monotonic() - self.began
        kinds: Counter[str] = Counter()
        for found in self.bad.values():
            kinds.update(_kind_of(found))
        lines = [
            f"seeds               {self.seeds}",
            f"bad                 {len(self.bad)}  "
            + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())),
            f"faults              {sum(self.faults.values())}",
            *(f"  {name:<18}{count}" for name, count in sorted(self.faults.items())),
            f"simulated hours     {counts['hours']:.1f}",
            f"runs                {counts['runs']:.0f} ({counts['red']:.0f} still red)",
            f"reboots             {counts['reboots']:.0f}",
            f"live migrations     {counts['migrations']:.0f}",
            f"API requests        {counts['requests']:.0f}",
            f"seconds             {passed:.1f} ({self.cpu:.1f} of CPU without shrinking, "
            f"{self.cpu / max(1, self.seeds):.2f} a seed)",
        ]
        if self.bad:
            lines.append("bad seeds           " + " ".join(map(str, sorted(self.bad))))
        return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    """See the module."""
    given = _arguments(words)
    calm()
    if given.story or given.seed is not None:
        return _replay(given)
    seeds = seeds_with(given.having, given.kind, given.first, given.seeds)
    tally = Tally()
    _warm_up()
    shrinking = 0.0 if given.no_shrink else given.shrink
    campaign = Campaign(seeds, given.kind, given.jobs or os.cpu_count() or 1, shrinking)
    shown = time.monotonic()
    for result in campaign.results():
        tally.add(result)
        if result.found:
            print(failure_in_words(result), flush=True)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(tally.line(), file=sys.stderr, flush=True)
    print(tally)
    return 1 if tally.bad else 0


def seeds_with(texts: Sequence[str], kind: str | None, first: int, count: int) -> list[int]:
    """Those of ``count`` seeds whose stories have all these texts in them."""
    from simulator.draw import draw

    seeds = range(first, first + count)
    return [seed for seed in seeds if all(each in str(draw(seed, kind)) for each in texts)]


def _warm_up() -> None:
    """What every story needs is imported, and parsed, before the processes part."""
    from simulator.draw import draw
    from simulator.play import play

    play(draw(1, "host"), with_timeline=False)
    gc.collect()
    gc.freeze()


def _replay(given: argparse.Namespace) -> int:
    from simulator.draw import draw
    from simulator.story import Story

    story = Story.read(given.story) if given.story else draw(given.seed, given.kind)
    outcome = played(story, with_timeline=True)
    print(json.dumps(story.as_json(), indent=1))
    print("\n".join(outcome.timeline))
    for each in outcome.found:
        print(each)
    print("good" if outcome.is_good else "BAD", json.dumps(outcome.counts))
    return 0 if outcome.is_good else 1


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--story", type=Path)
    parser.add_argument("--kind", choices=["host", "night", "backfill", "controllers", "checks"])
    parser.add_argument(
        "--with",
        dest="having",
        action="append",
        default=[],
        metavar="TEXT",
        help="only seeds whose stories have this text in them, such as order_lost; may be repeated",
    )
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--shrink", type=float, default=_SHRINK, help="seconds for each failure")
    parser.add_argument("--no-shrink", action="store_true")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
