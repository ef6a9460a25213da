"""How a hostile input is judged: our own errors only, no program run, no file written outside.

A fuzz test gives what it tries to `judged`; anything but a MaintenanceError that says subject,
found and remedy fails the test, and hypothesis makes the input as small as it can.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from openstack_maintenance.domain.errors import MaintenanceError

Found = TypeVar("Found")

# What a parser has no business to do, by the names of Python's audit events.
_FORBIDDEN = frozenset(
    {
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "socket.connect",
        "os.remove",
        "os.rename",
        "os.symlink",
        "shutil.rmtree",
        "pickle.find_class",
        "ctypes.dlopen",
    }
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Watched:
    """What happens while an input is judged; the hook itself stays for the process's life."""

    active = False
    folder: Path | None = None
    seen: list[str]
    longest: dict[str, float]

    def __init__(self) -> None:
        self.seen, self.longest = [], {}
        sys.addaudithook(self.note)

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in _FORBIDDEN:
            inside = event.startswith("os.re") and self._is_inside(args[0])
            if not inside:
                self.seen.append(f"{event} {args!r:.200}")
        elif event == "open" and self._is_written(args[2]) and not self._is_inside(args[0]):
            self.seen.append(f"writes {args[0]!r:.200}")

    @staticmethod
    def _is_written(flags: Any) -> bool:
        return isinstance(flags, int) and bool(flags & _WRITES)

    def _is_inside(self, path: Any) -> bool:
        if self.folder is None or not isinstance(path, (str, bytes)):
            return False
        return Path(os.fsdecode(path)).resolve().is_relative_to(self.folder.resolve())


watched = _Watched()


def judged(
    target: Callable[..., Found], *args: Any, folder: Path | None = None, **kwargs: Any
) -> Found | None:
    """What the target makes of an input; None where it refuses it in our words.

    ``folder``: where it may write. Raises: whatever else the target raises; AssertionError.
    """
    watched.seen.clear()
    watched.folder, watched.active = folder, True
    began = time.process_time()
    try:
        found = target(*args, **kwargs)
    except MaintenanceError as error:
        found = None
        watched.active = False
        said = (error.subject, error.found, error.remedy)
        assert all(isinstance(part, str) and part.strip() for part in said), said
        str(error).encode("utf-8")  # what cannot be encoded, no log and no database takes
        assert "\0" not in str(error), "PostgreSQL takes no NUL"
        assert len(str(error)) < 20_000, "an error repeats its input whole"
    finally:
        watched.active = False
        spent = time.process_time() - began
        name = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
        watched.longest[name] = max(spent, watched.longest.get(name, 0.0))
    assert not watched.seen, watched.seen
    return found


def cpu_seconds(target: Callable[[Any], object], given: Any) -> float:
    """The CPU time of one call, the least of two; our own errors count as an answer."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        with suppress(MaintenanceError):
            target(given)
        spent.append(time.process_time() - began)
    return min(spent)


def assert_grows_linearly(target: Callable[[Any], object], make: Callable[[int], Any]) -> float:
    """Four times the input costs about four times, not sixteen. ``make``: an input of a size.

    Returns: the CPU seconds of a megabyte.

    A ratio of two calls in this very process: how fast the machine is does not matter.
    """
    small, large = 256 * 1024, 1024 * 1024
    # Below this the clock and the interpreter's own noise are all that is measured.
    floor = 0.01
    once = max(cpu_seconds(target, make(small)), floor)
    four = cpu_seconds(target, make(large))
    name = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    watched.longest[name] = max(four, watched.longest.get(name, 0.0))
    assert four < 9 * once, f"{small} bytes take {once:.3f} s, {large} bytes {four:.3f} s"
    return four
