"""Telling what happens, and waiting with a deadline."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import LabError

STARTED = time.monotonic()
REMIND_SECONDS = 10.0


def say(text: str) -> None:
    """Print a line with the time since the command started."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


@contextmanager
def reminding(text: str) -> Iterator[None]:
    """Say now and again that something long is still going on."""
    over = threading.Event()

    def remind() -> None:
        while not over.wait(REMIND_SECONDS):
            say(f"still {text}")

    say(text)
    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield
    finally:
        over.set()
        reminder.join()


def wait_until(
    what: str, missing: Callable[[], str], seconds: float, beat_seconds: float = 0.5
) -> None:
    """Ask again and again what is missing until the answer is the empty string.

    Raises: LabError with the last answer when the time is up.
    """
    deadline = time.monotonic() + seconds
    next_word = time.monotonic() + REMIND_SECONDS / 2
    while answer := missing():
        if time.monotonic() > deadline:
            raise LabError(f"Waited {seconds:.0f} s for {what}, in vain: {answer.rstrip('.')}.")
        if time.monotonic() > next_word:
            say(f"waiting for {what}: {answer}")
            next_word = time.monotonic() + REMIND_SECONDS
        time.sleep(beat_seconds)
