"""Bad input ends in one clear sentence, and nothing is changed: not in Nova, not on any host."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from airflow_local.rest import ApiError
from harness import Stage

NOTHING = "Nothing was changed."
# What is asked for, and the sentence that comes back: how it begins, and what it says further on.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a misspelt host": (
        {"host": "c-01"},
        "host c-01: Nova knows no compute host of that name (did you mean c01",
        "Write it as `openstack compute service list` shows it.",
    ),
    "a controller": (
        {"host": "ctl01"},
        "host ctl01: is a controller: it runs nova-conductor, nova-scheduler and no nova-compute.",
        "Use the DAG controller_maintenance for it, or name a compute host.",
    ),
    "an unknown destination": (
        {"host": "c01", "destination": "c99"},
        "destination c99: Nova knows no compute host of that name",
        "Name another host that is enabled and up, or leave destination empty.",
    ),
    "the host itself as destination": (
        {"host": "c01", "destination": "c01"},
        "destination c01: is the host that is to be emptied.",
        "Name another host that is enabled and up, or leave destination empty.",
    ),
    "a disabled destination": (
        {"host": "c01", "destination": "c02"},
        "destination c02: is disabled (ask Ana).",
        "Name another host that is enabled and up, or leave destination empty.",
    ),
    "a host that a person disabled": (
        {"host": "c02"},
        "host c02: it is disabled with the reason 'ask Ana'.",
        "Find out who or what disabled it. When it may be used again, enable it (`openstack "
        "compute service set --enable c02 nova-compute`), then run again.",
    ),
    "an unknown param": (
        {"host": "c01", "destinaton": "c03"},
        "param destinaton: this DAG has no such param (did you mean destination?).",
        "Known are host, destination, ",
    ),
    "the window ignored without a reason": (
        {"host": "c01", "reason": " "},
        "param ignore_window: is set without a reason.",
        "Say in reason why this cannot wait for the window.",
    ),
    "no sudo": (
        {"host": "c04"},
        "host c04: the SSH login may not run with sudo: ",
        "Allow these without a password in sudoers.",
    ),
}
REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "shell characters": ({"host": "c01; reboot"}, "does not match"),
    "no host": ({"host": ""}, "does not match"),
    "a script that is not there": ({"host": "c01", "script": "x.sh"}, "is not one of"),
    "a script elsewhere": ({"host": "c01", "script": "../lab/lab"}, "is not one of"),
    "a choice that is none": ({"host": "c01", "on_blocked": "ignore"}, "is not one of"),
    "a text for yes": ({"host": "c01", "reboot": "false"}, "is not of type"),
}
POLICIES = {
    "migrations_per_hots: 2": "migrations_per_hots",
    "reboot_timeout: 20": "reboot_timeout",
    "max_hosts_out: -1": "max_hosts_out",
}


def test_what_cannot_be_asked_for_is_refused_in_one_sentence(stage: Stage) -> None:
    stage.place("c01", "ACTIVE")
    stage.cloud.disable("c02", "ask Ana")
    stage.lab.fault("c04", "sudo-refused")
    before = stage.picture()

    runs = {name: stage.airflow.maintain(**conf) for name, (conf, _, _) in REFUSED.items()}
    problems = {name: stage.fail(run, "check_host") for name, run in runs.items()}

    for name, (_, start, remedy) in REFUSED.items():
        assert problems[name].startswith(start), name
        assert remedy in problems[name], name
        assert problems[name].endswith(NOTHING), name
        assert problems[name] in runs[name].log("check_host"), name
    assert stage.picture() == before


def test_what_the_form_does_not_allow_is_rejected_before_there_is_a_run(stage: Stage) -> None:
    for name, (conf, said) in REJECTED.items():
        with pytest.raises(ApiError) as error:
            stage.airflow.maintain(**conf)
        assert error.value.status == 400, name
        assert said in error.value.text, name


def test_a_malformed_policy_is_named_with_its_field(stage: Stage) -> None:
    before = stage.picture()
    runs = []
    for line, field in POLICIES.items():
        stage.set_policy(f"{line}\n")
        runs.append(run := stage.airflow.maintain("c01"))
        run.wait_for("check_host", "failed")
        said = run.xcom("check_host", "error")
        assert "policy.yaml" in said["subject"], line
        assert field in said["found"], line
        assert said["remedy"] == "Fix policy.yaml and run again; nothing was changed.", line
    assert {run.wait() for run in runs} == {"failed"}
    assert stage.picture() == before


def test_a_wrong_password_for_the_cloud_is_named_as_such(stage: Stage) -> None:
    before = stage.picture()
    clouds = stage.credentials / "clouds.yaml"
    clouds.write_text(clouds.read_text().replace("password: ", "password: not-"))

    problem = stage.fail(stage.airflow.maintain("c01"), "check_host")

    assert problem == (
        "cloud openstack_default: Keystone rejected the credentials (401). "
        "Fix login, password and project, or the application credential, of connection "
        f"openstack_default. Check that its auth URL is Keystone's. {NOTHING}"
    )
    assert stage.picture() == before


def test_a_wrong_ssh_key_and_a_changed_host_key_are_named_as_such(stage: Stage) -> None:
    before = stage.picture()
    key, known_hosts = stage.credentials / "id_ed25519", stage.credentials / "known_hosts"
    key.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    stranger = (stage.credentials / "id_ed25519.pub").read_text().split()[1]
    lines = [line.split() for line in known_hosts.read_text().splitlines()]
    known_hosts.write_text(
        "".join(
            f"{host} {kind} {stranger if host.endswith('c02') else trusted}\n"
            for host, kind, trusted, *_ in lines
        )
    )

    wrong_key, changed = stage.airflow.maintain("c01"), stage.airflow.maintain("c02")
    refused = stage.fail(wrong_key, "check_host")
    not_trusted = stage.fail(changed, "check_host")

    assert refused.startswith("host c01 at ")
    assert ": login as maintenance is refused. Put the public key of the SSH connection" in refused
    assert refused.endswith(NOTHING)
    assert not_trusted.startswith("host c02 at ")
    assert ": the host key has changed: it is not the one in " in not_trusted
    assert "compare the new key at its console" in not_trusted
    assert not_trusted.endswith(NOTHING)
    assert stage.picture() == before
