"""What ends a measurement, in a sentence."""

from __future__ import annotations


class BenchError(Exception):
    """A drain did not come to its end; the message says which and what to look at."""
