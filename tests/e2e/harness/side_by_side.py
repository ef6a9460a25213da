"""Scenarios played at the same time, each on hosts of its own: most of a run is waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

Scenario = Iterator[None]


def play(*scenarios: Scenario, between: Callable[[], object] = lambda: None) -> None:
    """Play all scenarios to their end. Where one yields, it waits until all others do or end.

    `between` is called at each such point.

    Raises: ExceptionGroup: the failures of all; one that failed is played no further.
    """
    failures: list[Exception] = []
    going = list(scenarios)
    with ThreadPoolExecutor(len(scenarios)) as pool:
        while going:
            outcomes = list(pool.map(_advance, going))
            failures += [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            going = [each for each, outcome in zip(going, outcomes, strict=True) if outcome is None]
            if going:
                between()
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise ExceptionGroup("several scenarios failed", failures)


class _Ended:
    """A scenario has come to its end."""


def _advance(scenario: Scenario) -> Exception | type[_Ended] | None:
    try:
        next(scenario)
    except StopIteration:
        return _Ended
    except Exception as error:  # it is raised when all have come to rest
        return error
    return None
