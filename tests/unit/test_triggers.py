"""Triggers: what Airflow stores of them, and what another release stored.

That is a wire format. A golden file is what a release stored: never change one, add another.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from openstack_maintenance.operators.base import MaintenanceOperator
from trigger_runs import (
    CLASSES,
    GOLDEN,
    PAST,
    event_of,
    load,
)

pytestmark = pytest.mark.usefixtures("hurry")


def test_every_trigger_has_a_golden_file() -> None:
    stored = {json.loads(file.read_text())["classpath"].rpartition(".")[2] for file in GOLDEN}
    assert stored == {each.__name__ for each in CLASSES}


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_was_stored_once_is_still_understood(file: Path) -> None:
    trigger = load(file)
    classpath, kwargs = trigger.serialize()
    stored = json.loads(file.read_text())
    assert classpath == stored["classpath"]
    # More may be added, with defaults; what was said must still be there.
    assert {key: kwargs[key] for key in stored["kwargs"]} == stored["kwargs"]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_a_trigger_survives_airflows_own_encoding(file: Path) -> None:
    from airflow.models.trigger import Trigger
    from airflow.serialization.decoders import smart_decode_trigger_kwargs
    from airflow.serialization.encoders import encode_trigger

    classpath, kwargs = load(file).serialize()
    encoded = encode_trigger({"classpath": classpath, "kwargs": kwargs})
    stored = json.loads(json.dumps(encoded))
    assert stored["classpath"] == classpath
    assert smart_decode_trigger_kwargs(stored["kwargs"]) == kwargs
    row = Trigger(classpath=classpath, kwargs=kwargs)
    assert row.classpath == classpath


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_arguments_are_plain_json(file: Path) -> None:
    _, kwargs = load(file).serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs


OURS = [file for file in GOLDEN if not file.stem.startswith("migrate_instance")]


def from_golden(file: Path, **given: Any) -> BaseTrigger:
    stored = json.loads(file.read_text())
    module, _, name = stored["classpath"].rpartition(".")
    trigger = getattr(importlib.import_module(module), name)
    return trigger(**{**stored["kwargs"], **given})  # type: ignore[no-any-return]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
def test_what_only_a_newer_release_stores_is_left_alone(file: Path) -> None:
    trigger = from_golden(file, colour="blue", later={"a": 1}, deadline=PAST)
    assert "colour" not in trigger.serialize()[1]


MALFORMED: list[tuple[dict[str, Any], str]] = [
    *(
        ({"deadline": each}, "deadline is")
        for each in (None, "", "soon", 5, [], "2026-03-10T01:00:00", "9999-12-31T23:59:59+00:00")
    ),
    ({"host": 5}, "host is a int"),
    ({"host": None}, "host is missing"),
    ({"host": "c01\0"}, "host is 'c01"),
]
HOST_MALFORMED: list[tuple[dict[str, Any], str]] = [
    *MALFORMED,
    ({"address": {}}, "address is a dict"),
    ({"ssh_conn_id": None}, "ssh_conn_id is missing"),
    ({"cloud_conn_id": 5}, "cloud_conn_id is a int"),
    ({"nova_compute": None}, "nova_compute is missing"),
    ({"nova_compute": []}, "nova_compute is a list"),
    ({"nova_compute": {"unit": "a"}}, "log_paths"),
    ({"nova_compute": {"unit": "a", "log_paths": []}}, "log_paths"),
    ({"nova_compute": {"unit": 5, "log_paths": ["/l"]}}, "unit is a int"),
    ({"nova_compute": {"unit": "a", "log_paths": [5]}}, "one of log_paths is a int"),
    ({"nova_compute": {"unit": "a", "log_paths": "/l"}}, "log_paths is '/l', not a list"),
    ({"nova_compute": {"unit": "a", "log_paths": ["/l"], "colour": "blue"}}, "colour"),
    ({"known": [1]}, "known is a list"),
    ({"known": "x"}, "known is 'x'"),
]


async def refused(trigger: BaseTrigger, found: str) -> None:
    event = await event_of(trigger)
    error = event.payload["error"]
    assert error["found"].startswith("the stored arguments of its wait cannot be read: ")
    assert found in error["found"]
    assert "Clear this task with Downstream" in error["remedy"]


@pytest.mark.parametrize(("given", "found"), HOST_MALFORMED)
async def test_a_wait_whose_stored_arguments_cannot_be_read_ends_with_a_sentence(
    given: dict[str, Any], found: str
) -> None:
    (file,) = [each for each in GOLDEN if each.stem == "nova_compute_gone"]
    await refused(from_golden(file, **given), found)


@pytest.mark.parametrize(("given", "found"), [*MALFORMED, ({"conn_id": 5}, "conn_id is a int")])
async def test_so_does_a_wait_for_what_comes_in(given: dict[str, Any], found: str) -> None:
    (file,) = [each for each in GOLDEN if each.stem == "incoming"]
    await refused(from_golden(file, **given), found)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.stem)
async def test_a_trigger_without_any_argument_ends_with_a_sentence(file: Path) -> None:
    trigger = type(from_golden(file))()  # type: ignore[call-arg]  # they are all missing
    await refused(trigger, "host is '', not a string")


@pytest.mark.parametrize(
    ("stem", "key", "value"),
    [
        *(
            (stem, key, None)
            for stem, key in [
                ("script", "unit"),
                ("script", "script"),
                ("rebooted", "boot_id_before"),
                ("controller_rebooted", "boot_id_before"),
                ("amqp", "since"),
                ("amqp", "evidence"),
                ("amqp", "heartbeats"),
                ("services_back", "services"),
                ("services_back", "since"),
                ("checks_pass", "controllers"),
                ("serving", "probe"),
                ("heartbeats", "services"),
            ]
        ),
        ("amqp", "evidence", "rumour"),
        ("amqp", "since", "2026-03-10T01:00:00"),
        ("amqp", "heartbeats", ["x"]),
        ("nova_compute_up", "start_after_seconds", "soon"),
        ("nova_compute_up", "start_after_seconds", float("nan")),
        ("nova_compute_up", "start_after_seconds", 1e300),
        ("nova_compute_up", "start_after_seconds", True),
        ("rebooted", "boot_id_before", 5),
        ("checks_pass", "controllers", [{"host": "ctl01"}]),
        ("checks_pass", "controllers", ["ctl01"]),
        ("heartbeats", "services", [["nova-compute"]]),
        ("heartbeats", "services", {"nova-compute": "c01"}),
    ],
)
async def test_what_a_step_must_know_already_is_asked_for_before_anything_is_looked_at(
    stem: str, key: str, value: Any
) -> None:
    (file,) = [each for each in GOLDEN if each.stem == stem]
    known = {**json.loads(file.read_text())["kwargs"]["known"], key: value}
    if value is None:
        del known[key]
    await refused(from_golden(file, known=known), key)


def test_a_task_that_an_older_release_has_deferred_finds_the_method_that_it_goes_on_with() -> None:
    """Stored with the task, as a5f8ea6 did: a run that is under way outlives an upgrade."""
    for method in ("execute_complete", "execute_in_window", "look_again"):
        assert callable(getattr(MaintenanceOperator, method)), method
