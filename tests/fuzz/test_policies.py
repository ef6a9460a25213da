"""Policies and deployments: whatever a file holds, it is read or refused in one sentence."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hostile import chars, json_values, mutated, texts
from judged import assert_grows_linearly, judged
from openstack_maintenance.adapters.yaml_files import load_yaml
from openstack_maintenance.domain.deployment import Deployment
from openstack_maintenance.domain.duration import parse_duration
from openstack_maintenance.domain.foreign_text import is_one_line
from openstack_maintenance.domain.policy import Policy

INCLUDE = Path(__file__).parents[2] / "include"
FILES = {
    Policy: (INCLUDE / "policies/default.yaml").read_text(),
    Deployment: (INCLUDE / "deployments/kolla.yaml").read_text(),
}
DURATIONS = [name for name in vars(Policy()) if isinstance(vars(Policy())[name], str)]
FULL: dict[type, Any] = {
    Policy: {
        **yaml.safe_load(FILES[Policy]),
        "controllers": [{"host": "ctl01", "address": "10.0.0.8"}],
        "addresses": {"c01": "10.0.0.21"},
        "nova_live_migration_limit": 1,
        "records": "file:///x",
    },
    Deployment: yaml.safe_load((INCLUDE / "deployments/lab.yaml").read_text()),
}
FULL[Policy]["window"]["exclude"] = ["2026-12-24"]
FULL[Policy]["due"] |= {"hosts": ["c01"], "aggregate": "a", "zone": "z"}
FULL[Deployment]["nova_compute"] |= {"container": "nova_compute", "engines": ["docker"]}
shapes = pytest.mark.parametrize("shape", FILES, ids=lambda shape: shape.__name__)

# What YAML itself has for whoever wants to be clever.
TOKENS = (
    *("&x ", "*x", "<<: *x", "<<: {a: 1}", "!!bool x", "!!int ''", "!!float x", "!!timestamp x"),
    *("!!binary x", "!!set {a, b}", "!!omap [a: 1]", "!!pairs [a: 1]", "!!python/name:os.system "),
    *("? [a]: b", "? {a: b}", "? ", "- ", "[", "]", "{", "}", ": ", "\n", "\n  ", "|\n", ">\n"),
    *("'", '"', '"\\0"', '"\\ud800"', '"\\u2028"', "\t", "#", "---\n", "...\n", "%TAG ! x\n"),
    *("\ufeff", "2026-02-31", "9999-12-31T23:59:59-14:00", "1:1:1:1", ".inf", ".nan", "-.inf"),
    *("0x" + "f" * 5000, "9" * 5000, "yes", "~", "null", "1e999", "0o7", "1_000", "=", "!!str 5"),
)
tokens = st.lists(st.one_of(st.sampled_from(TOKENS), texts), max_size=12).map("".join)


def as_people_use(made: Policy | Deployment) -> None:
    """What the rest of the project may take for granted of a file that was not refused."""
    if isinstance(made, Deployment):
        check_deployment(made)
        return
    now = datetime.now(UTC)
    for name in DURATIONS:
        if name not in ("deployment", "on_blocked", "amqp_evidence", "stuck_migration"):
            now + made.length(name)
    now - timedelta(days=made.due.days_since_boot)
    made.window.next_opening(now)
    made.window.current(datetime.max.replace(tzinfo=UTC))
    for number in (made.migrations_per_host, made.migrations_total, made.max_hosts_out):
        assert type(number) is int
        assert 1 <= number <= 100_000
    words = [*made.addresses, *made.addresses.values(), *made.due.hosts]
    words += [part for each in made.controllers for part in (each.host, each.address or "x")]
    for word in words:
        assert word
        assert word[0] != "-"
        assert is_one_line(word)
        assert not re.search(r"\s", word)


def check_deployment(made: Deployment) -> None:
    compute = made.nova_compute
    for service in made:
        assert is_one_line(service.name)
        assert service.name.strip()
        assert re.fullmatch(r"[A-Za-z0-9:_.\\@-]{0,255}", service.unit)
        assert not service.unit.startswith("-")
        assert re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9_.-]*)?", service.container)
    assert set(compute.engines) <= {"docker", "podman"}
    joined = ":".join(compute.log_paths)
    assert joined.split(":") == list(compute.log_paths)
    assert all(path[0] == "/" and is_one_line(path) for path in compute.log_paths)
    patterns = " ".join(compute.guest_processes)
    assert patterns.split() == list(compute.guest_processes)
    assert not any(pattern[0] == "-" for pattern in compute.guest_processes)
    shlex.quote(patterns)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies") / "policy.yaml"


def read(file: Path, shape: type, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    file.write_bytes(raw)
    made = judged(load_yaml, file, shape, "policy")
    if made is not None:
        judged(as_people_use, made)


@shapes
@given(text=st.text(max_size=400))
def test_any_text(file: Path, shape: type, text: str) -> None:
    read(file, shape, text)


@shapes
@given(text=tokens)
def test_any_yaml(file: Path, shape: type, text: str) -> None:
    read(file, shape, text)


@shapes
@given(data=st.data())
def test_a_file_with_something_else_at_any_place(
    file: Path, shape: type, data: st.DataObject
) -> None:
    text = FILES[shape]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    read(file, shape, text[:start] + data.draw(tokens) + text[end:])


def as_yaml(value: Any) -> str:
    """JSON is YAML."""
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return "[" * 3000


near = st.one_of(
    st.sampled_from(
        [True, False, 1, 0, -1, 10**9, 1.5, "", " ", "-x", "a b", "a:b", "/a:b", "/a\nb", "²", "٣s"]
    ),
    st.sampled_from(["9" * 30 + "d", "1d", "999999999d", "x" * 300, "2026-12-24", "25:00", "../x"]),
    st.text(chars, max_size=12),
)


@shapes
@given(data=st.data())
def test_a_file_with_any_json_at_any_place(file: Path, shape: type, data: st.DataObject) -> None:
    value = data.draw(st.one_of(mutated(FULL[shape]), mutated(FULL[shape], near), json_values))
    read(file, shape, as_yaml(value))


@shapes
@given(content=st.binary(max_size=60))
def test_any_bytes(file: Path, shape: type, content: bytes) -> None:
    read(file, shape, content)


@given(text=st.one_of(texts, st.from_regex(r"\s*\d{1,12}\s*(s|min|h|d)\s*", fullmatch=True)))
def test_any_text_for_a_duration(text: str) -> None:
    try:
        length = parse_duration(text)
    except ValueError as error:
        assert "write" in str(error)
    else:
        datetime.now(UTC) + length


MEGABYTE = 1024 * 1024 - 200
LARGE = {
    "brackets": "[" * MEGABYTE,
    "items": "[" + "a," * (MEGABYTE // 2 - 2) + "a]",
    "unknown fields": "".join(f"k{number}: 1\n" for number in range(14_000)),
    "controllers": "controllers:\n" + "".join(f"- {{host: c{n}}}\n" for n in range(9_000)),
    "a number to the base of 60": "migrations_per_host: " + "1:" * (MEGABYTE // 2 - 20) + "1",
    "doubling aliases": "a: &a0 [x]\n"
    + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60)),
    "an alias again and again": "a: &a [x]\nb: [" + "*a," * (MEGABYTE // 3 - 20) + "x]",
    "too large": "a" * 3 * MEGABYTE,
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
def test_a_megabyte_is_read_or_refused_at_once(file: Path, content: str) -> None:
    read(file, Policy, content)


def test_the_time_grows_with_the_file(file: Path) -> None:
    def load(text: str) -> object:
        file.write_text(text)
        return load_yaml(file, Policy, "policy")

    for part in ("a", "a: b\n"):
        assert_grows_linearly(load, lambda size, part=part: part * ((size - 8) // len(part)))
