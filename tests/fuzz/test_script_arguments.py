"""Arguments of the scripts that run on hosts, in both shells: what is no name is refused at once.

Many inputs go through one shell, each in a subshell of its own, with no program on the PATH: a
script that went on would answer something else, or complain that a program is not found.
"""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openstack_maintenance.adapters.shell import script_texts

_AT_ONCE = 25
_REFUSED = re.compile(rb"error=refused: [ -~]+\nend=ok\n")
_MARK = "=== next ==="

_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,254}")
_CONTAINER = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,254})?")
_SCRIPT_UNIT = re.compile(r"openstack-maintenance-[A-Za-z0-9_.@-]{0,233}")
_ENGINES = re.compile(r"|docker|podman|docker podman|podman docker")
_NUMBER = re.compile(r"[0-9]{1,12}")
_LOGS = re.compile(r"(/[^:\n]*(:/[^:\n]*)*)?")
_DIGEST = re.compile(r"[0-9a-f]*")
_BOOT = re.compile(r"[0-9a-f-]*")
_UNITS = re.compile(rf" *({_UNIT.pattern}( +|$))*")
_SPEC = re.compile(rf"{_UNIT.pattern}\|{_CONTAINER.pattern}\|(broker|database|cache)?")
_ORDER = re.compile(r"start|stop|restart")
_RIGHT = re.compile(r"restart|reboot")
# What each script takes, place by place; whatever follows is like the last.
TAKES: dict[str, list[re.Pattern[str]]] = {
    "amqp": [_UNIT, _CONTAINER, _ENGINES, _LOGS],
    "control": [_ORDER, _UNIT, _CONTAINER, _ENGINES],
    "controller": [_ENGINES, _UNITS, _SPEC, _SPEC],
    "controller_past": [_NUMBER, _ENGINES, _SPEC],
    "facts": [_UNIT, _CONTAINER, _ENGINES, _LOGS, _SCRIPT_UNIT, _DIGEST],
    "journal": [_UNIT, _NUMBER],
    "reboot": [_BOOT],
    "rights": [_RIGHT, _ENGINES, _SPEC],
    "script_start": [_SCRIPT_UNIT, _NUMBER],
    "script_state": [_SCRIPT_UNIT, _NUMBER],
    "state": [_UNIT, _CONTAINER, _ENGINES],
}
VALID = {
    _UNIT: "nova-compute.service",
    _CONTAINER: "nova_compute",
    _SCRIPT_UNIT: "openstack-maintenance-0123456789ab.service",
    _ENGINES: "docker podman",
    _NUMBER: "5",
    _LOGS: "/var/log/nova/nova-compute.log:/var/log/x.log",
    _DIGEST: "0a",
    _BOOT: "6f1f3f0a-5f39",
    _UNITS: "chronyd.service ntpd.service",
    _SPEC: "nova-api.service|nova_api|cache",
    _ORDER: "restart",
    _RIGHT: "restart",
}
_PIECES = (
    *("-H", "-oProxyCommand=id", "--", "-", "|", "||", "|id", "|/bin/id", "bash", "id", " ", ":"),
    *("\n", "\r", "\t", "*", "?", "[a-z]", "~", "$(id)", "`id`", ";id", "&&id", "'", '"', "\\"),
    *("/", "..", "../../etc/x", "end=ok", "broker", "docker", "\x7f", "é", "\u2028", "\udcff"),
    *("a" * 256, "0" * 13, "=", "#", "@", "%", "!", "{1..9}", "${IFS}", "\x01"),
)
_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@st.composite
def _refused(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A script, and arguments of which at least one is not what it takes."""
    script = draw(st.sampled_from(sorted(TAKES)))
    takes = TAKES[script]
    arguments = [VALID[each] for each in takes]
    place = draw(st.integers(0, len(takes) - 1))
    piece = draw(st.sampled_from(_PIECES) | _text)
    at = draw(st.integers(0, len(arguments[place])))
    mutated = draw(
        st.sampled_from(
            (piece, arguments[place][:at] + piece + arguments[place][at:], arguments[place][:at])
        )
    )
    # A script unit and its digest may be left out together; other places keep what they must hold.
    may_be_empty = script == "facts" and takes[place] is _SCRIPT_UNIT and mutated == ""
    if may_be_empty or takes[place].fullmatch(mutated):
        mutated = "\n-"
    arguments[place] = mutated
    return script, arguments


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
@settings(max_examples=max(1, settings().max_examples // _AT_ONCE))
@given(inputs=st.lists(_refused(), min_size=_AT_ONCE, max_size=_AT_ONCE))
def test_what_is_no_name_is_refused_before_anything_else(
    shell: str, inputs: list[tuple[str, list[str]]]
) -> None:
    functions = [f"{name}() (\n{script_texts()[name]}\n)" for name in {name for name, _ in inputs}]
    calls = [f"{shlex.join([name, *arguments])}; echo '{_MARK}'" for name, arguments in inputs]
    done = subprocess.run(
        [shell, "-c", "\n".join([*functions, "cd /", *calls]).encode(errors="surrogateescape")],
        env={"PATH": "/nowhere"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    answers = done.stdout.split(_MARK.encode() + b"\n")[:-1]
    wrong = [
        (given, answer)
        for given, answer in zip(inputs, answers, strict=True)
        if not _REFUSED.fullmatch(answer)
    ]
    assert wrong == []
    assert done.stderr == b""
