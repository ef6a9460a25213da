"""What the person at the terminal reads: one line for everything that happens, with the time."""

from __future__ import annotations

import sys
import threading
import time

WIDTH = 9


class Narrator:
    """Prints lines with the time since the demo began; several threads may speak."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._colour = sys.stdout.isatty()

    def say(self, who: str, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        with self._lock:
            print(f"{minutes}:{seconds:02}  {who:{WIDTH}} {text}", flush=True)

    def heading(self, text: str) -> None:
        bold, plain = ("\033[1m", "\033[0m") if self._colour else ("", "")
        with self._lock:
            print(f"\n{bold}{text}{plain}", flush=True)

    def verdict(self, is_good: bool, text: str) -> None:
        with self._lock:
            print(f"  {'ok  ' if is_good else 'FAIL'}  {text}", flush=True)
