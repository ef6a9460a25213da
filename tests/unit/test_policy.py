"""The policy file: safe defaults, and every mistake in it named with file, line and field."""

from __future__ import annotations

import dataclasses
import re
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
    assert policy.due == Due(7, False, ("c01",), "rack1", "nova")
    assert policy.seconds("reboot_timeout") == 3600
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
        ("reboot_timeout: 0s", 1, "reboot_timeout: '0s' is no time at all"),
        ("migration_timeout_per_gib: 0s", 1, "migration_timeout_per_gib: '0s' is no time at all"),
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


def test_not_waiting_for_the_window_at_all_is_allowed(policy_file: Path) -> None:
    policy_file.write_text("window_patience: 0s\n")
    assert read_policy().seconds("window_patience") == 0


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
