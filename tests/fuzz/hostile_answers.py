"""Hostile answers: real ones with what breaks parsers in every place, and a shell to tell them."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from openstack_maintenance.adapters.shell import Answer, Shell, _answer, _Listener

FIXTURES = Path(__file__).parents[1] / "fixtures"
BOOT = "6f1f3f0a-5f39-4d5e-a6c0-0d4bb1d5f001"
# What Python takes for the end of a line, and no shell does.
FALSE_BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"

_ODD = [
    "",
    " ",
    "²",
    "٣",
    "-1",
    "1e9",
    "0x10",
    "9" * 5_000,
    "9" * 19,
    "9" * 12,
    "nan",
    "null",
    "true",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\\ud800\\u0000",
    "a|b",
    "|" * 6,
    "|" * 50,
    "=",
    "end=ok",
    f"\u2028boot_id={BOOT}\u2028end=ok",
    "x\x85pid=1\x0bsocket=x\x1cend=ok",
    "{",
    "[" * 2_000,
    '{"a":' * 1_500,
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2026-13-45T99:99:99Z",
    "2026-03-10T01:00:00",
    "٢٠٢٦-٠٣-١٠T01:00:00Z",
    "Sun 9999-12-31 23:59:59 UTC",
    "Sun 0001-01-01 00:00:00 UTC",
    "../../etc/passwd",
    "zoneinfo/../../etc/passwd",
    "/usr/share/zoneinfo/Europe/Berlin",
    "/usr/share/zoneinfo/\0",
    "$(reboot)",
    "é" * 300,
    "AMQP server " * 50,
    "x" * 9_000,
]
_ALPHABET = "0123456789²٣|=:-+TZ. \t\r\0\x0b\x1c\x85\u2028{}[](),\"'\\/@\ud800abcunix"


def odd_texts() -> st.SearchStrategy[str]:
    """One value that a parser may not expect; a line feed is never in it."""
    return st.one_of(
        st.sampled_from(_ODD),
        st.text(_ALPHABET, max_size=40),
        st.text(max_size=20).map(lambda text: text.replace("\n", " ")),
        st.integers(-(10**20), 10**20).map(str),
        st.datetimes().map(lambda at: f"{at.isoformat()}+0000"),
    )


_ODD_JSON: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**30), 1e300),
    *(float("nan"), float("inf"), [], {}, [[]], [None], [1], [[1], {}], {"a": None}, {"": {}}),
    *({"a": {"b": [1, {"c": "x"}]}}, [{"host": "c01"}], [["a", "b"]], [["a", 1]], "x" * 30_000),
]


def odd_json() -> st.SearchStrategy[Any]:
    """Any JSON, the wrong types and huge numbers among them. Simple: making it must cost little."""
    # Copied: a test may change what it was given.
    flat = st.one_of(st.sampled_from(_ODD_JSON).map(copy.deepcopy), odd_texts())
    return st.one_of(
        flat,
        flat,
        st.lists(flat, max_size=3),
        st.dictionaries(st.sampled_from(["a", "host", "unit", "", "\0"]), flat, max_size=3),
    )


@st.composite
def mutated(draw: st.DrawFn, lines: list[str], may_end: bool = True) -> str:
    """An answer with some of its lines changed, dropped, doubled, cut or moved."""
    found = list(lines)
    for _ in range(draw(st.integers(0, 5))):
        place = draw(st.integers(0, len(found) - 1)) if found else 0
        key, _, value = (found[place] if found else "").partition("=")
        match draw(st.sampled_from(["value", "part", "value", "part", "drop", "double", "line"])):
            case "value":
                found[place : place + 1] = [f"{key}={draw(odd_texts())}"]
            case "part":
                at = draw(st.integers(0, len(value)))
                rest = value[at + draw(st.integers(0, 5)) :]
                found[place : place + 1] = [f"{key}={value[:at]}{draw(odd_texts())}{rest}"]
            case "drop":
                del found[place : place + 1]
            case "double":
                found.insert(place, f"{key}={value}")
            case "line":
                found.insert(place, draw(odd_texts()))
    text = "\n".join(found) + "\nend=ok\n"
    if may_end and draw(st.integers(0, 9)) == 0:
        text = text[: draw(st.integers(0, len(text)))]
    return text


class ToldShell(Shell):
    """A shell whose host answers whatever it is told to; nothing is run."""

    def __init__(self, said: bytes = b"", status: int | None = 0, err: bytes = b"") -> None:
        super().__init__(None, "c01")  # type: ignore[arg-type]  # nothing is asked through it
        self.said, self.status, self.err = said, status, err

    async def run(self, command: str, *, wait: timedelta, stdin: bytes = b"") -> Answer:
        heard = _Listener()
        heard.out.extend(self.said)
        heard.err.extend(self.err)
        return _answer(self.status, heard)


def as_bytes(text: str) -> bytes:
    """As a host would send it: lone surrogates too, which are no UTF-8."""
    return text.encode("utf-8", errors="surrogatepass")


class Loop:
    """One event loop for all inputs of a module."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)
