"""The policy file: safe defaults, and every mistake in it named with file, line and field."""

from __future__ import annotations

import dataclasses
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from openstack_maintenance.adapters.policy_file import (
    POLICY_VARIABLE,
    policy_path,
    read_deployment,
    read_policy,
)
from openstack_maintenance.domain.errors import PolicyError
from openstack_maintenance.domain.policy import Controller, Due, Policy
from openstack_maintenance.domain.window import Window

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT = PROJECT / "include/policies/default.yaml"


@pytest.fixture
def policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of its own that OPENSTACK_MAINTENANCE_POLICY names."""
    file = tmp_path / "policy.yaml"
    monkeypatch.setenv(POLICY_VARIABLE, str(file))
    return file


@pytest.mark.parametrize("text", ["deployment: debian\n", "", "# nothing yet\n", "{}\n"])
def test_a_policy_that_says_nothing_more_is_complete(policy_file: Path, text: str) -> None:
    policy_file.write_text(text)
    assert read_policy() == Policy()


def test_without_the_variable_the_projects_default_is_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(POLICY_VARIABLE, raising=False)
    assert policy_path() == DEFAULT
    assert read_policy() == Policy()


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Policy)])
def test_the_default_file_documents_each_field_with_its_default(name: str) -> None:
    text = DEFAULT.read_text()
    assert name in yaml.safe_load(text), f"{name} is not in {DEFAULT.name}"
    lines = text.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith(f"{name}:"))
    # A comment stands above it, or above the group of lines that it belongs to.
    above = lines[at - 1]
    while above and not above.startswith("#"):
        at -= 1
        above = lines[at - 1]
    assert above.startswith("#"), f"{name} has no comment"


@pytest.mark.parametrize(
    ("part", "shape"), [("window", Window), ("due", Due)], ids=["window", "due"]
)
def test_the_default_file_shows_each_field_of_a_group(part: str, shape: type) -> None:
    shown = yaml.safe_load(DEFAULT.read_text())[part]
    assert set(shown) == {field.name for field in dataclasses.fields(shape)}


def test_every_field_can_be_set(policy_file: Path) -> None:
    policy_file.write_text(
        """
deployment: kolla
window: {start: "22:00", end: "04:00", timezone: Europe/Berlin, exclude: ["2026-12-24"]}
controllers: [{host: ctl01, address: 10.0.0.8}, {host: ctl02}]
addresses: {c01: 10.0.0.21}
migrations_per_host: 2
migrations_total: 8
max_hosts_out: 2
on_blocked: leave
amqp_evidence: log_line
failure_budget: 0
reserve_hosts: 0
approval: true
due: {days_since_boot: 7, reboot_required: false, hosts: [c01], aggregate: rack1, zone: nova}
records: s3://bucket/records
nova_live_migration_limit: 2
stuck_migration: force_complete
migration_retries: 0
reboot_timeout: 1h
"""
    )
    policy = read_policy()
    assert policy.window == Window("22:00", "04:00", "Europe/Berlin", ("2026-12-24",))
    assert policy.controllers == (Controller("ctl01", "10.0.0.8"), Controller("ctl02"))
    assert policy.due == Due(
        days_since_boot=7, reboot_required=False, hosts=("c01",), aggregate="rack1", zone="nova"
    )
    assert policy.length("reboot_timeout") == timedelta(hours=1)
    assert policy.failure_budget == policy.reserve_hosts == policy.migration_retries == 0


# What is written, and what the sentence must name: the line, the field and the remedy.
@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("max_host_out: 2", 1, "max_host_out: is not a known field (did you mean max_hosts_out?)"),
        ("\nwindow: {begin: '01:00'}", 2, "window.begin: is not a known field"),
        ("due: {days: 3}", 1, "due.days: is not a known field"),
        ("controllers: [{host: a, adress: b}]", 1, "controllers[0].adress: is not a known field"),
        ("migrations_per_host: -1", 1, "migrations_per_host: -1 is below 1; write 1 or more"),
        ("migrations_per_host: 0", 1, "migrations_per_host: 0 is below 1"),
        ("migrations_total: 0", 1, "migrations_total: 0 is below 1"),
        ("max_hosts_out: 0", 1, "max_hosts_out: 0 is below 1"),
        ("failure_budget: -1", 1, "failure_budget: -1 is below 0"),
        ("reserve_hosts: -1", 1, "reserve_hosts: -1 is below 0"),
        ("migration_retries: -1", 1, "migration_retries: -1 is below 0"),
        ("nova_live_migration_limit: 0", 1, "nova_live_migration_limit: 0 is below 1"),
        ("due: {days_since_boot: 0}", 1, "due.days_since_boot: 0 is below 1"),
        ("reboot_timeout: 20", 1, "reboot_timeout: write it in quotes, with its unit if it is"),
        ("reboot_timeout: '20'", 1, "reboot_timeout: '20' is not a duration"),
        ("reboot_timeout: 20m", 1, "reboot_timeout: '20m' is not a duration; write for example"),
        ("reboot_timeout: -5min", 1, "reboot_timeout: '-5min' is not a duration"),
        ("reboot_timeout: 0s", 1, "reboot_timeout: '0s' must be longer than zero"),
        (
            "migration_timeout_per_gib: 0s",
            1,
            "migration_timeout_per_gib: '0s' must be longer than zero",
        ),
        ("migrations_per_host: many", 1, "migrations_per_host: write a whole number (found"),
        ("migrations_per_host: 1.5", 1, "migrations_per_host: "),
        ("migrations_per_host: [1]", 1, "migrations_per_host: "),
        ("approval: perhaps", 1, "approval: "),
        ("controllers: ctl01", 1, "controllers: "),
        ("controllers: [ctl01]", 1, "controllers[0]: write it as fields, such as {host: ctl01}"),
        ("controllers: [{address: 10.0.0.8}]", 1, "controllers[0].host: is required and missing"),
        ("addresses: [c01]", 1, "addresses: "),
        ("on_blocked: ignore", 1, "on_blocked: write 'fail', 'leave' or 'stop' (found 'ignore')"),
        ("amqp_evidence: none", 1, "amqp_evidence: "),
        ("stuck_migration: retry", 1, "stuck_migration: "),
        ("window: {start: 25:00}", 1, "window.start: write it in quotes"),
        ('window: {start: "25:00"}', 1, "window.start: '25:00' is not a time; write HH:MM"),
        ("window: {timezone: Berlin}", 1, "window.timezone: 'Berlin' is unknown"),
        ('window: {exclude: ["24.12."]}', 1, "window.exclude: '24.12.' is not a date"),
        ("window: {exclude: [2026-12-24]}", 1, "window.exclude[0]: write it in quotes"),
        ("window: 01-02", 1, "window: "),
        ("deployment: debian\ndeployment: kolla", 2, "deployment: is given twice"),
        ("deployment: [debian", 2, "is not YAML"),
        ("- deployment: debian", 1, ""),
        ("migrations_per_host: true", 1, "migrations_per_host: write a whole number (found True)"),
        ("due: {days_since_boot: yes}", 1, "due.days_since_boot: write a whole number (found Tr"),
        ("nova_live_migration_limit: on", 1, "nova_live_migration_limit: write a whole number"),
        ("migrations_per_host: .inf", 1, "migrations_per_host: write a whole number (found inf)"),
        ("migrations_per_host: .nan", 1, "migrations_per_host: write a whole number (found nan)"),
        ("migrations_per_host: 999999999999", 1, "migrations_per_host: 999999999999 is above"),
        ("due: {days_since_boot: 9999999999}", 1, "due.days_since_boot: 9999999999 is above"),
        ("migrations_per_host: " + "9" * 5000, 1, "a value is too long"),
        ("migrations_per_host: 0x" + "f" * 5000, 1, "a value is too long"),
        ("migrations_per_host: 1" + ":1" * 500, 1, "a value is too long"),
        ("reboot_timeout: 999999999d", 1, "reboot_timeout: '999999999d' is too long; write at mo"),
        ("reboot_timeout: 99999999999d", 1, "reboot_timeout: '99999999999d' is not a duration"),
        (f"reboot_timeout: {'9' * 5000}d", 1, "is not a duration; write for example"),
        ("reboot_timeout: ²s", 1, "reboot_timeout: '²s' is not a duration"),
        ("approval: !!bool x", 1, "'x' is no value of the kind bool"),
        ("max_hosts_out: !!int ''", 1, "'' is no value of the kind int"),
        ("max_hosts_out: !!float ''", 1, "'' is no value of the kind float"),
        ("records: !!timestamp x", 1, "'x' is no value of the kind timestamp"),
        ("\nrecords: 2026-13-01", 2, "'2026-13-01' is no value of the kind timestamp"),
        ("records: 9999-12-31T23:59:59-14:00", 1, "records: write it in quotes"),
        ("a: !!python/name:os.system x", 1, "could not determine a constructor for the tag"),
        ("a: &x [*x]", 1, "'x' refers to itself"),
        ("\na: &x {b: [*x]}", 2, "'x' refers to itself"),
        ("[" * 2000, 1, "nested more than 30 levels deep"),
        ("{a: " * 2000, 1, "nested more than 30 levels deep"),
        ("? " * 2000, 1, "nested more than 30 levels deep"),
        ("? [a]: b", 1, "found unhashable key"),
        ("? {a: b}\n: c", 1, "found unhashable key"),
        ("<<: 5", 1, "expected a mapping"),
        ("<<: {deploymnt: x}", 1, "deploymnt: is not a known field"),
        ("--- a\n--- b", 2, "but found another document"),
        ('controllers: [{host: ""}]', 1, "controllers[0].host: is empty"),
        (
            "controllers: [{host: -oProxyCommand=x}]",
            1,
            "controllers[0].host: '-oProxyCommand=x' is",
        ),
        ('controllers: [{host: "a\\nb"}]', 1, "controllers[0].host: 'a\\nb' holds a line break"),
        (
            'controllers: [{host: a, address: "a b"}]',
            1,
            "controllers[0].address: 'a b' is not a ho",
        ),
        ('controllers: [{host: a, address: ""}]', 1, "controllers[0].address: is empty"),
        ("addresses: {c01: -x}", 1, "addresses: '-x' is not a host's name or address"),
        ('addresses: {"": x}', 1, "addresses: is empty"),
        ('addresses: {c01: "a\\0"}', 1, "addresses: 'a\\x00' holds a line break or a control"),
        ('addresses: {c01: "a\\u2028"}', 1, "holds a line break or a control"),
        ('due: {hosts: ["a b"]}', 1, "due.hosts: 'a b' is not a host's name"),
        ('due: {zone: ""}', 1, "due.zone: is empty"),
        ('records: "file:///a\\nb"', 1, "records: 'file:///a\\nb' holds a line break"),
        ('records: "\\ud800"', 1, "is not YAML"),
        ("just words", 1, ""),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(
    policy_file: Path, text: str, line: int, said: str
) -> None:
    policy_file.write_text(text + "\n")
    with pytest.raises(PolicyError) as raised:
        read_policy()
    error = raised.value
    assert re.fullmatch(rf"policy {re.escape(str(policy_file))}:{line}", error.subject)
    assert said in error.found
    assert error.remedy


def test_doubling_aliases_are_refused_before_they_are_walked(policy_file: Path) -> None:
    lines = [f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]" for n in range(60)]
    policy_file.write_text("\n".join(["a0: &a0 [x]", *lines]))
    with pytest.raises(PolicyError, match="more than 30000 values"):
        read_policy()


def test_an_alias_that_stands_for_little_is_read(policy_file: Path) -> None:
    policy_file.write_text("reboot_timeout: &long 1h\nscript_timeout: *long\n")
    assert read_policy().length("script_timeout") == timedelta(hours=1)


def test_a_byte_order_mark_is_no_fault(policy_file: Path) -> None:
    policy_file.write_bytes(b"\xef\xbb\xbfmax_hosts_out: 2\n")
    assert read_policy().max_hosts_out == 2


def test_of_many_faults_the_first_are_named(policy_file: Path) -> None:
    policy_file.write_text("".join(f"k{number}: 1\n" for number in range(5000)))
    with pytest.raises(PolicyError, match=r"line 20: k19: .*; and more") as raised:
        read_policy()
    assert "k20" not in raised.value.found


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a device", "too large", "NUL", "UTF-16"])
def test_what_is_no_file_of_text_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "policy.yaml"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path = Path("/dev/zero")
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(100 * 1024 * 1024)
    elif kind == "NUL":
        path = tmp_path / "a\0b"
    else:
        path.write_bytes("max_hosts_out: 2".encode("utf-16"))
    monkeypatch.setattr("openstack_maintenance.adapters.policy_file.policy_path", lambda: path)
    with pytest.raises(PolicyError, match="cannot be read") as raised:
        read_policy()
    assert "\0" not in str(raised.value)


def test_not_waiting_for_the_window_at_all_is_allowed(policy_file: Path) -> None:
    policy_file.write_text("window_patience: 0s\n")
    assert read_policy().length("window_patience") == timedelta(0)


def test_several_unknown_fields_are_all_named(policy_file: Path) -> None:
    policy_file.write_text("deploymnt: kolla\nrecord: file:///x\n")
    with pytest.raises(PolicyError) as raised:
        read_policy()
    assert "deploymnt: " in raised.value.found
    assert "line 2: record: " in raised.value.found


def test_a_file_that_is_not_there_is_not_replaced_by_the_default(policy_file: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy()


@pytest.mark.parametrize("name", ["ubuntu", "../policies/default", "debian.yaml", ""])
def test_a_deployment_that_does_not_exist_is_named(policy_file: Path, name: str) -> None:
    policy_file.write_text(f"deployment: '{name}'\n")
    with pytest.raises(PolicyError):
        read_deployment(read_policy())


@pytest.mark.parametrize("name", ["debian", "rdo", "rdo-liberty", "kolla", "lab"])
def test_every_flavour_can_be_named(policy_file: Path, name: str) -> None:
    policy_file.write_text(f"deployment: {name}\n")
    assert read_deployment(read_policy()).nova_compute.unit
