"""The judges can fail: each planted fault takes one guard out of the plugin, and a campaign must
see that.

    python -m simulator.proof                    every patch of include/simulator/planted
    python -m simulator.proof --only reboot      those whose names have this in them

A fault counts as found where a judge says of a seed what it does not say of the code as it is.
Exit code: 0 all found, 1 one was not, or its patch does not apply any more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PLANTED = ROOT / "include/simulator/planted"
_SIMULATOR = ROOT / "include/simulator"
_MOST_SEEDS = 2000
_CAMPAIGN = (sys.executable, "-m", "simulator.campaign")
_under_way: set[subprocess.Popen[str]] = set()
# These say that a story could not be played, which no judge has said.
_NO_JUDGE = ("crash", "hangs")


class NotPlayedError(Exception):
    """A campaign has not come to its end."""


@dataclass(frozen=True)
class Planted:
    """A patch. Its first line says which guard it takes out.

    ``kind: host`` and ``with: order_lost`` in it are the campaign's --kind and --with: stories that
    cannot show the fault need not be played.
    """

    file: Path
    about: str
    kind: str | None
    having: tuple[str, ...]

    @classmethod
    def read(cls, file: Path) -> Planted:
        """The lines before the patch itself are its header."""
        header = file.read_text().partition("\n--- ")[0].splitlines()
        told = [line.partition(": ") for line in header[1:]]
        kind = next((value for name, _, value in told if name == "kind"), None)
        having = tuple(value for name, _, value in told if name == "with")
        return cls(file, header[0], kind, having)

    @property
    def name(self) -> str:
        """As the table calls it."""
        return self.file.stem

    @property
    def options(self) -> list[str]:
        """Which stories a campaign is to play."""
        kind = [f"--kind={self.kind}"] if self.kind else []
        return kind + [f"--with={each}" for each in self.having]


@dataclass(frozen=True)
class Failure:
    """What the judges say of a seed. ``said``: sentences, each after its judge's name."""

    seed: int
    said: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What became of a planted fault. ``seeds``: how many were tried; ``why``: not found."""

    planted: Planted
    failure: Failure | None = None
    seeds: int = 0
    seconds: float = 0.0
    why: str = ""


def planted_faults(only: str = "") -> list[Planted]:
    """All, or those whose names have ``only`` in them."""
    files = sorted(each for each in PLANTED.glob("*.patch") if only in each.stem)
    return [Planted.read(each) for each in files]


def applies(planted: Planted, folder: Path) -> str:
    """Apply a patch to the code in ``folder``; what is wrong where it does not apply."""
    # A folder that happens to lie in a checkout is not to be taken for a part of it.
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    command = ["git", "apply", str(planted.file)]
    done = subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip().splitlines() or ["git says nothing"])[0]
    return (
        f"{planted.file.name} does not apply any more ({said}): take the same guard out of the "
        "code as it is now, and keep `git diff -U1` as the patch"
    )


@contextmanager
def code_copied() -> Iterator[Path]:
    """A copy of the code under test, beside the rest of the checkout."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for name in ("plugins", "dags"):
            shutil.copytree(ROOT / name, Path(folder, name))
        Path(folder, "include").symlink_to(ROOT / "include")
        yield Path(folder)


def tried(planted: Planted, seeds: int) -> Finding:
    """Play seed after seed with the fault, until a judge sees it."""
    began = time.monotonic()
    with code_copied() as code:
        if why := applies(planted, code):
            return Finding(planted, why=why)
        found = Finding(planted, seeds=seeds, why=f"no judge saw it in {seeds} seeds")
        try:
            for failure in failures(code, planted.options, seeds):
                if is_new(failure, planted.options):
                    found = Finding(planted, failure, played(planted, failure.seed))
                    break
        except NotPlayedError as error:
            found = Finding(planted, why=str(error))
    return replace(found, seconds=time.monotonic() - began)


def played(planted: Planted, last: int) -> int:
    """How many seeds a campaign has played when it comes to ``last``."""
    from simulator.campaign import seeds_with

    return len(seeds_with(planted.having, planted.kind, 1, last))


def is_new(failure: Failure, options: Sequence[str]) -> bool:
    """Whether it is a judge's, and the code as it is plays the same seed well."""
    if all(each.startswith(_NO_JUDGE) for each in failure.said):
        return False
    words = [*_CAMPAIGN, *options, "--seed", str(failure.seed)]
    return subprocess.run(words, env=_path(ROOT), stdout=subprocess.DEVNULL).returncode == 0


def failures(code: Path, options: Sequence[str], seeds: int) -> Iterator[Failure]:
    """What a campaign over ``seeds`` seeds finds in the code of a folder, as it finds it."""
    words = [*_CAMPAIGN, *options, "--seeds", str(seeds), "--jobs", "1", "--no-shrink"]
    campaign = subprocess.Popen(
        words,
        env=_path(code),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _under_way.add(campaign)
    try:
        yield from failures_in(campaign.stdout or ())
    finally:
        _under_way.discard(campaign)
        _end(campaign)
        campaign.communicate()


def _end(campaign: subprocess.Popen[str]) -> None:
    """End it with its workers: they would wait for another seed for ever."""
    if campaign.poll() is None:
        os.killpg(campaign.pid, signal.SIGKILL)


def failures_in(lines: Iterable[str]) -> Iterator[Failure]:
    """The failures that a campaign tells, line by line: see `campaign.failure_in_words`.

    Raises: NotPlayedError, where it does not tell its sums at the end.
    """
    seed, said = 0, list[str]()
    for line in lines:
        if line.startswith("== seed "):
            seed, said = int(line.split()[2]), []
        elif seed and line.startswith("  its shortest story:"):
            yield Failure(seed, tuple(said))
            seed = 0
        elif seed:
            said.append(line.strip())
        elif line.startswith("seeds  "):
            return  # its sums
    raise NotPlayedError("the campaign ended before its seeds did: the patch may leave no program")


def _path(code: Path) -> dict[str, str]:
    """Where a campaign finds the code under test; its own is always this checkout's."""
    return {**os.environ, "PYTHONPATH": f"{code / 'plugins'}:{_SIMULATOR}"}


def row(finding: Finding) -> str:
    """A line of the table, and below it what the judge said or why there is none."""
    failure = finding.failure
    seed = str(failure.seed) if failure else "-"
    said = failure.said[0] if failure else f"NOT FOUND: {finding.why}"
    return (
        f"{finding.planted.name:<28} seed {seed:>5} {finding.seeds:>5} seeds "
        f"{finding.seconds:>6.0f} s\n    {finding.planted.about}\n    {said}"
    )


def main(words: list[str] | None = None) -> int:
    """See the module."""
    given = _arguments(words)
    planted = planted_faults(given.only)
    if not planted:
        print(f"no patch of {PLANTED.relative_to(ROOT)} has {given.only!r} in its name")
        return 1
    found = 0
    threads = ThreadPoolExecutor(given.jobs or os.cpu_count() or 1)
    try:
        for finding in threads.map(partial(tried, seeds=given.seeds), planted):
            found += finding.failure is not None
            print(row(finding), flush=True)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for campaign in list(_under_way):
            _end(campaign)
        threads.shutdown()
    print(f"{found} of {len(planted)} planted faults found")
    return 0 if found == len(planted) else 1


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="proof", description=__doc__)
    parser.add_argument("--only", default="", help="a part of the patches' names")
    parser.add_argument("--seeds", type=int, default=_MOST_SEEDS, help="at most, for each patch")
    parser.add_argument("--jobs", type=int, default=0, help="patches at a time")
    return parser.parse_args(words)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends its campaigns, too
    sys.exit(main())
