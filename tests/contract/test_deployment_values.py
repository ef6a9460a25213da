"""The Helm values and docs/deployment.md against what Airflow and this project really know.

The chart itself is not here: what of it was tried is said in docs/deployment.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.cli.cli_parser import get_parser
from airflow.configuration import conf
from airflow.executors.executor_constants import CELERY_EXECUTOR, KUBERNETES_EXECUTOR

from openstack_maintenance.adapters.policy_file import POLICY_VARIABLE

PROJECT = Path(__file__).resolve().parents[2]
HELM = PROJECT / "include" / "helm"
DOC = PROJECT / "docs" / "deployment.md"
EXECUTORS = {"celery": CELERY_EXECUTOR, "kubernetes": KUBERNETES_EXECUTOR}


def values(kind: str) -> dict[str, Any]:
    """What `helm -f values.yaml -f values-KIND.yaml` goes by."""
    files = [HELM / "values.yaml", HELM / f"values-{kind}.yaml"]
    shared, own = (yaml.safe_load(file.read_text()) for file in files)
    merged = over(shared, own)
    assert isinstance(merged, dict)
    return merged


def over(below: Any, above: Any) -> Any:
    """Helm's rule: mappings are merged, everything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: over(below.get(key), value) for key, value in above.items()}
    return above


def leaves(part: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every single value with its path; positions in lists are left out of the paths."""
    if isinstance(part, dict):
        for key, value in part.items():
            yield from leaves(value, (*path, key))
    elif isinstance(part, list):
        for value in part:
            yield from leaves(value, path)
    else:
        yield path, part


def probes(part: Any) -> Iterator[list[str]]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key.endswith("Probe") and "command" in value:
                yield value["command"]
            else:
                yield from probes(value)


def at(part: dict[str, Any], *path: str) -> dict[str, Any]:
    for key in path:
        part = part[key]
    return part


@pytest.mark.parametrize(("kind", "executor"), EXECUTORS.items())
def test_each_file_names_an_executor_that_airflow_knows(kind: str, executor: str) -> None:
    assert values(kind)["executor"] == executor


@pytest.mark.parametrize("kind", EXECUTORS)
def test_every_option_in_the_values_is_one_that_airflow_knows(kind: str) -> None:
    options = [(section, key) for (section, key), _ in leaves(values(kind)["config"])]
    assert options
    unknown = [option for option in options if not conf.has_option(*option)]
    assert unknown == []


def test_every_variable_of_airflow_that_is_named_is_an_option_that_airflow_knows() -> None:
    text = "\n".join(file.read_text() for file in [DOC, *HELM.glob("*.yaml")])
    options = re.findall(r"\bAIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)\b", text)
    options += re.findall(r"`\[(\w+)\] (\w+)`", DOC.read_text())
    assert len(options) > 5
    unknown = [pair for pair in options if not conf.has_option(*(name.lower() for name in pair))]
    assert unknown == []


@pytest.mark.parametrize("kind", EXECUTORS)
def test_airflow_itself_takes_what_the_documents_and_values_say_of_its_version(kind: str) -> None:
    lock = (PROJECT / "requirements.txt").read_text()
    version = re.search(r'^version = "(.+)"$', (PROJECT / "pyproject.toml").read_text(), re.M)
    assert f"\napache-airflow=={values(kind)['airflowVersion']} " in lock
    assert version and values(kind)["defaultAirflowTag"] == version[1]


@pytest.mark.parametrize("kind", EXECUTORS)
def test_nothing_secret_has_a_value(kind: str) -> None:
    secret = re.compile(r"pass(word)?|secret_?key|fernet_?key|jwt_?secret|broker_?url|token", re.I)
    given = [
        path
        for path, value in leaves(values(kind))
        if secret.fullmatch(path[-1]) or re.search(r"://[^/\s]*:[^/\s]*@|PRIVATE KEY", str(value))
    ]
    assert given == []


@pytest.mark.parametrize("kind", EXECUTORS)
def test_connections_come_from_secrets_and_only_to_those_who_use_them(kind: str) -> None:
    all_values = values(kind)
    users = [("triggerer",), ("workers", kind)]
    for path in users:
        rows = at(all_values, *path)["env"]
        assert [row["name"] for row in rows] == [
            "AIRFLOW_CONN_OPENSTACK_DEFAULT",
            "AIRFLOW_CONN_OPENSTACK_SSH",
        ]
        assert all(row.keys() == {"name", "valueFrom"} for row in rows)
        assert all("secretKeyRef" in row["valueFrom"] for row in rows)
    assert [row["name"] for row in all_values["env"]] == [POLICY_VARIABLE]
    assert "secret" not in all_values
    for other in ("scheduler", "dagProcessor", "apiServer"):
        assert not all_values[other].keys() & {"env", "extraVolumes"}


@pytest.mark.parametrize("kind", EXECUTORS)
def test_the_policy_is_where_its_variable_says_in_every_component(kind: str) -> None:
    mounts = {row["name"]: row["mountPath"] for row in values(kind)["volumeMounts"]}
    assert values(kind)["env"][0]["value"] == mounts["maintenance-policy"] + "/policy.yaml"


@pytest.mark.parametrize("kind", EXECUTORS)
def test_what_is_mounted_is_a_volume_of_the_same_pod(kind: str) -> None:
    for path in [(), ("triggerer",), ("workers", kind)]:
        part = at(values(kind), *path)
        volumes = part["extraVolumes" if path else "volumes"]
        mounts = part["extraVolumeMounts" if path else "volumeMounts"]
        assert [row["name"] for row in mounts] == [row["name"] for row in volumes]


def test_the_document_says_how_everything_is_made_that_the_values_presuppose() -> None:
    names = {
        str(value)
        for path, value in chain.from_iterable(leaves(values(kind)) for kind in EXECUTORS)
        if re.search(r"SecretName$|^secretName$|^jwtSecretName$|^claimName$", path[-1])
        or path[-2:] in {("configMap", "name"), ("secretKeyRef", "name")}
    }
    assert len(names) == 10
    missing = [name for name in names if not re.search(rf"\b{name}\b", DOC.read_text())]
    assert missing == []


@pytest.mark.parametrize("kind", EXECUTORS)
def test_airflow_understands_the_commands_of_the_probes(kind: str) -> None:
    commands = [command for command in probes(values(kind)) if command[0] == "airflow"]
    assert len(commands) == 4
    for command in commands:
        assert get_parser().parse_args(command[1:]).local


@pytest.mark.parametrize("kind", EXECUTORS)
def test_two_of_each_part_that_runs_depend_on(kind: str) -> None:
    all_values = values(kind)
    assert [all_values[part]["replicas"] for part in ("scheduler", "triggerer", "apiServer")] == [
        2,
        2,
        2,
    ]
    assert not at(all_values, "createUserJob")["enabled"]  # the chart's is admin, password admin
