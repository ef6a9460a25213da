"""Many stories, and what became of them.

    python -m simulator.campaign --seeds 1000          seeds 1 to 1000
    python -m simulator.campaign --seed 17             one, with its timeline
    python -m simulator.campaign --story FILE          a story of a file

Exit code: 0 all good, 1 a story went wrong.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.play import Outcome
    from simulator.story import Story

_LONGEST = 120  # seconds of one story: then it hangs
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


class Hangs(BaseException):
    """A story takes too long in real time."""


def _calm() -> None:
    """What Airflow and the SDK print for people is not for this."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    faulthandler.enable()


def _alarm(*_: Any) -> None:
    raise Hangs


def played(story: Story, *, with_timeline: bool = False) -> Outcome:
    """A story's outcome; a crash or a hang of the simulator is one that is found, too."""
    from simulator.play import Outcome, play

    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(_LONGEST)
    try:
        return play(story, with_timeline=with_timeline)
    except Hangs:
        return Outcome(story, [f"hangs: it takes more than {_LONGEST} s of real time"])
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        said = f"crash: {type(error).__name__}: {error} ({where})"
        lines = traceback.format_exception(error)
        return Outcome(story, [said], "".join(lines).splitlines())
    finally:
        signal.alarm(0)


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


def _work(numbers: Any, results: Any, kind: str | None, shrinking: float) -> None:
    """A process: one seed after the other."""
    _calm()
    gc.disable()
    count = 0
    while (seed := numbers.get()) is not None:
        results.put(("begins", os.getpid(), seed))
        results.put(("ends", os.getpid(), one(seed, kind, shrinking)))
        count += 1
        if count == 1:
            gc.collect()
            gc.freeze()
        elif count % _EVERY == 0:
            gc.collect()
    results.put(("over", os.getpid(), None))


class Campaign:
    """Seeds, in one process a core. A process that dies or hangs is a failure of its seed."""

    def __init__(self, seeds: list[int], kind: str | None, jobs: int, shrinking: float) -> None:
        self._seeds, self._kind, self._jobs, self._shrinking = seeds, kind, jobs, shrinking
        self._context = multiprocessing.get_context("fork")
        self._numbers = self._context.Queue()
        self._results = self._context.Queue()
        self._workers: dict[int, Any] = {}
        self._at: dict[int, tuple[int, float]] = {}

    def results(self) -> Iterator[Result]:
        """Each seed's result, as they come."""
        for each in self._seeds:
            self._numbers.put(each)
        for _ in range(self._jobs):
            self._start()
        left = len(self._seeds)
        while left:
            for result in self._next():
                left -= 1
                yield result
        for worker in self._workers.values():
            worker.terminate()

    def _start(self) -> None:
        given = (self._numbers, self._results, self._kind, self._shrinking)
        worker = self._context.Process(target=_work, args=given, daemon=True)
        worker.start()
        self._workers[worker.pid or 0] = worker

    def _next(self) -> Iterator[Result]:
        import queue

        try:
            what, pid, value = self._results.get(timeout=5.0)
        except queue.Empty:
            yield from self._lost()
            return
        if what == "begins":
            self._at[pid] = (value, time.monotonic())
        elif what == "ends":
            self._at.pop(pid, None)
            yield value

    def _lost(self) -> Iterator[Result]:
        """Workers that have died, or do not come to an end."""
        longest = 4 * _LONGEST + self._shrinking
        for pid, worker in list(self._workers.items()):
            seed, since = self._at.get(pid, (None, time.monotonic()))
            is_late = time.monotonic() - since > longest
            if worker.is_alive() and not is_late:
                continue
            worker.kill()
            del self._workers[pid]
            self._at.pop(pid, None)
            self._start()
            if seed is not None:
                why = "it does not end" if is_late else f"its process ended ({worker.exitcode})"
                yield Result(seed, [f"crash: {why}"])


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
        self.counts.update(result.counts)  # type: ignore[arg-type]
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
            f"runs                {counts['runs']:.0f} (red at first, or again: {counts['red']:.0f})",
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
    _calm()
    if given.story or given.seed is not None:
        return _replay(given)
    seeds = list(range(given.first, given.first + given.seeds))
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
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--shrink", type=float, default=_SHRINK, help="seconds for each failure")
    parser.add_argument("--no-shrink", action="store_true")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
