"""A fleet in a file: what was saved is what is read, and anything else is said in one sentence."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from builders import NOW, instance, service
from night_plan.snapshot_file import load, save
from openstack_maintenance.domain.errors import CheckFailed
from openstack_maintenance.domain.mark import FAILED_AT, NIGHT_DAG, Mark
from openstack_maintenance.domain.nights.due import Verdict
from openstack_maintenance.domain.nights.fleet import Size
from openstack_maintenance.domain.nights.fleet_facts import FleetInCloud
from openstack_maintenance.domain.nights.snapshot import read_snapshot, snapshot_of
from openstack_maintenance.domain.nights.tonight import Tonight, compose_tonight
from planner_bench.fleets import make_fleet

SCHEMA = Path(__file__).parents[3] / "docs/fleet.schema.json"
SECRET = "correct horse"


def tonight() -> Tonight:
    out = str(Mark(NIGHT_DAG, "r", "kernel"))
    failed = str(Mark(NIGHT_DAG, "r", f"{FAILED_AT} reboot: no", kind="failed"))
    facts = FleetInCloud(
        services=(
            service("c01"),
            service("c02", out),
            service("c03", failed),
            service("c04", f"RAM test, password={SECRET!r}"),
        ),
        capacities={f"c0{number}": Size(16, 32768, 100) for number in range(1, 5)},
        properties={"c01": frozenset({"tier=gold"})},
        instances=(
            instance("i1", extra_specs={"trait:X": "required", "tier": "gold"}, vcpus=1),
            instance("i2", "SUSPENDED", name="db"),
        ),
        groups={"i1": "g"},
        traits={"c01": frozenset({"X"})},
    )
    reason = f"a person disabled it with the reason 'RAM test, password={SECRET!r}'"
    verdicts = [Verdict("c01", "due", "is old"), Verdict("c04", "passed_over", reason)]
    return compose_tonight(facts, verdicts, {"c01": timedelta(days=2)})


def saved(fleet: Tonight | None = None) -> dict[str, Any]:
    return snapshot_of(fleet or tonight(), NOW)


def test_what_was_read_of_the_cloud_is_composed_with_who_is_out_and_what_blocks() -> None:
    found = tonight()
    assert (found.working, found.failed) == (("c02",), ("c03",))
    assert [(each.host, each.instance) for each in found.blocking] == [("c01", "db (i2)")]
    assert "Resume it" in found.blocking[0].remedy
    assert found.fleet.hosts[0].keeps_out is not None


@pytest.mark.parametrize("fleet", [tonight(), Tonight(make_fleet(9)), Tonight(make_fleet(0))])
def test_what_was_saved_is_what_is_read(fleet: Tonight) -> None:
    told = json.loads(json.dumps(saved(fleet)))
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    assert [each.message for each in Draft202012Validator(schema).iter_errors(told)] == []
    found = read_snapshot(told)
    assert found.fleet == fleet.fleet
    assert found.blocking == fleet.blocking
    assert (found.working, found.failed) == (fleet.working, fleet.failed)
    judged = {each.host: each for each in found.verdicts}
    assert all(judged[each.host] == each for each in fleet.verdicts)


def test_what_a_newer_release_says_beside_it_is_left_aside() -> None:
    told = saved()
    told["cells"] = 2
    for row in (*told["hosts"], *told["instances"], *told["blocking"], told["schema"]):
        row["new"] = {"x": [1]}
    assert read_snapshot(told) == read_snapshot(saved())


def broken(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    told = copy.deepcopy(saved())
    row: Any = told
    for key in path[:-1]:
        row = row[key]
    row[path[-1]] = value
    return told


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema",), None, "it is not the snapshot of a fleet"),
        (("schema", "name"), "openstack-maintenance/night", "it is not the snapshot of a fleet"),
        (("schema", "version"), "1", "it is not the snapshot of a fleet"),
        (("schema", "version"), 2, "its version is 2, and this release reads 1"),
        (("hosts",), {}, "hosts: {} is not a list of its rows"),
        (("hosts", 0), 5, "hosts: "),
        (("hosts", 0, "name"), None, "name: None is not what belongs there"),
        (("hosts", 0, "name"), "c02", "hosts: 'c02' is there twice"),
        (("hosts", 0, "tonight"), "soon", "tonight: 'soon' is none of due, not_due, passed_over"),
        (("hosts", 0, "capacity"), [], "capacity: [] is not what belongs there"),
        (("hosts", 0, "capacity", "ram_mib"), 1e400, "ram_mib: inf is not what belongs there"),
        (("hosts", 0, "capacity", "ram_mib"), 10**13, "ram_mib: "),
        (("hosts", 0, "capacity", "ram_mib"), True, "ram_mib: True is not what belongs there"),
        (("hosts", 0, "is_open"), 1, "is_open: 1 is not what belongs there"),
        (("hosts", 0, "provides"), "X", "provides: 'X' is not a list of texts"),
        (("hosts", 0, "keeps_out"), 5, "keeps_out: 5 is not what belongs there"),
        (("instances", 0, "host"), "c09", "instance 'i1' is on 'c09', no host of it"),
        (("instances", 0, "id"), "i2", "instances: 'i2' is there twice"),
        (("out",), None, "out: None is not what belongs there"),
        (("on_blocked",), "shout", "on_blocked: 'shout' is none of fail, leave, stop"),
        (("blocking", 0, "remedy"), None, "remedy: None is not what belongs there"),
    ],
)
def test_what_is_wrong_with_a_snapshot_is_named(
    path: tuple[Any, ...], value: Any, said: str
) -> None:
    with pytest.raises(ValueError) as error:
        read_snapshot(broken(path, value))
    assert said in str(error.value)
    assert len(str(error.value)) < 300


def test_what_people_wrote_is_saved_without_secrets_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    fleet = tonight()
    known = replace(fleet, verdicts=(*fleet.verdicts, Verdict("c02", "passed_over", "ask pA55 1")))
    save(known, path, NOW, {"pA55 1"})
    text = path.read_text()
    assert SECRET not in text
    assert "pA55 1" not in text
    assert "RAM test" in text
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert load(path).fleet == fleet.fleet


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"schema": {"name": "openstack-maintenance/fl', "it is not JSON"),
        (b"null", "it is not the snapshot of a fleet"),
    ],
)
def test_a_file_that_is_no_snapshot_is_said_with_what_to_do(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "fleet.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckFailed) as error:
        load(path)
    assert said in str(error.value)
    assert str(error.value).endswith(
        "Save the fleet with `make plan SAVE=FILE`, and name that file."
    )
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_or_a_place_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="it is not a regular file"):
        load(tmp_path)
    with pytest.raises(CheckFailed, match="cannot be written: No such file or directory"):
        save(tonight(), tmp_path / "gone" / "fleet.json", NOW, ())
