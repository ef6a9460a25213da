"""The published JSON schema of each kind of record holds for what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from openstack_maintenance.domain.record import SCHEMA_VERSION, Failure, failures
from openstack_maintenance.records.page import PAGES
from sample_records import RECORDS

SCHEMAS = Path(__file__).parents[3] / "docs/records"


def schema(kind: str) -> Draft202012Validator:
    read = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    Draft202012Validator.check_schema(read)
    return Draft202012Validator(read)


def faults(kind: str, record: dict[str, Any]) -> list[str]:
    return [each.message for each in schema(kind).iter_errors(json.loads(json.dumps(record)))]


def test_each_kind_has_its_schema_and_no_other_is_published() -> None:
    published = {path.name.partition(".")[0] for path in SCHEMAS.glob("*.json")}
    assert published == set(RECORDS) == set(PAGES.values())


@pytest.mark.parametrize("kind", RECORDS)
def test_what_is_written_is_what_its_schema_says(kind: str) -> None:
    assert faults(kind, RECORDS[kind]) == []
    assert RECORDS[kind]["schema"] == {
        "name": f"openstack-maintenance/{kind}",
        "version": SCHEMA_VERSION,
    }


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("key", ["schema", "outcome", "problem", "tasks", "errors"])
def test_a_record_that_lacks_something_is_not_valid(kind: str, key: str) -> None:
    without = {name: value for name, value in RECORDS[kind].items() if name != key}
    assert faults(kind, without) != []
    assert faults(kind, {**RECORDS[kind], key: 5}) != []


def test_each_failed_task_is_told_by_its_own_words_or_said_to_have_none() -> None:
    tasks = [
        {"task_id": "a", "map_index": 1, "state": "failed"},
        {"task_id": "a", "map_index": 0, "state": "success"},
        {"task_id": "b", "map_index": -1, "state": "upstream_failed"},
        {"task_id": "c", "map_index": -1, "state": "failed"},
    ]
    said = {"task_id": "a", "map_index": 1, "subject": "s", "found": "f.", "remedy": "Do r."}
    first, second = failures(tasks, [said], "Look.")
    assert first == Failure(task_id="a", map_index=1, subject="s", found="f.", remedy="Do r.")
    assert str(first) == "s: f. Do r."
    assert second.is_silent
    assert str(second) == (
        "task c: it ended without an error message (killed, or its worker died). Look."
    )
