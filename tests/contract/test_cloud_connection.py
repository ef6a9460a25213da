"""The Airflow connection openstack_default, as it is written down in the wild."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from openstack_maintenance.domain.errors import ConnectionMissing
from openstack_maintenance.hooks.cloud_hook import CloudHook, connect_options

ALONE = {"load_yaml_config": False, "load_envvars": False}


def connection(**given: Any) -> Connection:
    extra = given.pop("extra", {})
    return Connection(
        conn_id="openstack_default", conn_type="openstack", extra=json.dumps(extra), **given
    )


def full(**extra: Any) -> dict[str, Any]:
    return connect_options(
        connection(host="https://ctl:5000/v3", login="admin", password="secret", extra=extra)
    )


def test_login_and_password_with_the_usual_domains() -> None:
    assert full(project_name="admin") == {
        "auth": {
            "auth_url": "https://ctl:5000/v3",
            "username": "admin",
            "password": "secret",
            "project_name": "admin",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        },
        **ALONE,
    }


def test_everything_that_the_contract_names_is_passed_on() -> None:
    options = full(
        project_name="ops",
        user_domain_name="ldap",
        project_domain_name="infra",
        region_name="eu-1",
        cacert="/etc/ssl/ca.pem",
    )
    auth = options["auth"]
    assert (auth["user_domain_name"], auth["project_domain_name"]) == ("ldap", "infra")
    assert (options["region_name"], options["cacert"]) == ("eu-1", "/etc/ssl/ca.pem")


def test_domains_given_by_id_are_not_mixed_with_names() -> None:
    auth = full(project_id="p1", user_domain_id="default", project_domain_id="default")["auth"]
    assert "user_domain_name" not in auth
    assert "project_domain_name" not in auth


def test_application_credentials_need_no_password() -> None:
    extra = {"application_credential_id": "a1", "application_credential_secret": "s1"}
    options = connect_options(connection(host="https://ctl:5000/v3", extra=extra))
    assert options["auth_type"] == "v3applicationcredential"
    assert options["auth"] == {"auth_url": "https://ctl:5000/v3", **extra}


def test_an_entry_of_clouds_yaml_is_taken_as_it_is() -> None:
    options = connect_options(connection(extra={"cloud": "lab", "region_name": "r2"}))
    assert options == {"cloud": "lab", "region_name": "r2"}


def test_a_cloud_wins_over_the_other_fields() -> None:
    options = connect_options(connection(host="ctl", login="x", extra={"cloud": "lab"}))
    assert options == {"cloud": "lab"}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"host": "https://ctl:5000/v3"}, "https://ctl:5000/v3"),
        ({"host": "http://ctl/identity/v3"}, "http://ctl/identity/v3"),
        ({"host": "ctl", "port": 5000}, "https://ctl:5000/v3"),
        ({"host": "ctl", "port": 5000, "schema": "http"}, "http://ctl:5000/v3"),
        ({"host": "ctl"}, "https://ctl/v3"),
    ],
)
def test_the_auth_url_may_be_written_in_parts(given: dict[str, Any], url: str) -> None:
    assert connect_options(connection(password="x", **given))["auth"]["auth_url"] == url


def test_a_connection_that_names_no_cloud_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConnectionMissing) as raised:
        connect_options(connection(login="admin", password="secret"))
    assert str(raised.value) == (
        "Airflow connection openstack_default: it has neither a host (the auth URL) nor an extra "
        "'cloud'. Fill in one of the two."
    )


def test_a_connection_without_any_secret_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConnectionMissing, match="neither a password nor an extra"):
        connect_options(connection(host="ctl", login="admin"))


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_extra_counts_as_not_given(value: str | None) -> None:
    assert full(region_name=value, project_name="p", cacert=value).keys() == {"auth", *ALONE}


# What is refused, in a sentence that repeats no secret.

NEVER = "disables the certificate check, which this project never does"


@pytest.mark.parametrize("base", [{}, {"cloud": "lab"}], ids=["fields", "entry of clouds.yaml"])
@pytest.mark.parametrize(
    ("extra", "said"),
    [
        *(
            ({"verify": value}, f"verify: false {NEVER}")
            for value in (False, "false", "False", " FALSE ", 0, "0", 0.0, "no", "off", "f", "n")
        ),
        *(({"insecure": value}, f"insecure: true {NEVER}") for value in (True, "true", 1, "yes")),
    ],
    ids=str,
)
def test_the_check_of_the_certificate_is_never_switched_off(
    extra: dict[str, Any], base: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConnectionMissing) as raised:
        full(**base, **extra)
    assert str(raised.value) == (
        f"connection openstack_default: {said}. Remove it and name the CA in the extra cacert."
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [(True, True), ("true", True), (1, True), ("/etc/ssl/ca.pem", "/etc/ssl/ca.pem")],
)
def test_a_check_that_stays_on_may_be_written(given: Any, kept: Any) -> None:
    assert full(verify=given, insecure=False)["verify"] == kept


@pytest.mark.parametrize(
    "host",
    [
        "https://admin:hunter22@ctl:5000/v3",
        "admin:hunter22@ctl",
        "https://hunter22@ctl",
        "https://admin:hun/ter22@ctl",
        "https:/admin:hunter22@ctl",
        "https://ctl/v3\nhunter22",
        "https://ctl/v3\0hunter22",
        "hunter22\u2028",
    ],
)
def test_a_login_in_the_auth_url_is_refused_without_repeating_it(host: str) -> None:
    with pytest.raises(ConnectionMissing) as raised:
        connect_options(connection(host=host, login="admin", password="x"))
    assert "hunter22" not in str(raised.value)
    assert "login and password in their own fields" in raised.value.remedy


@pytest.mark.parametrize("value", [[], ["x"], {}, {"a": 1}, 7, 1.5, True, False, "a\nb", "\ud800"])
@pytest.mark.parametrize(
    "key", ["cloud", "project_name", "region_name", "cacert", "application_credential_secret"]
)
def test_an_extra_of_another_kind_is_refused_by_its_name(key: str, value: Any) -> None:
    with pytest.raises(ConnectionMissing) as raised:
        full(**{key: value})
    assert str(raised.value) == (
        f"Airflow connection openstack_default: its extra '{key}' is not a string of one line. "
        f"Write it as a string, or leave '{key}' out."
    )


@pytest.mark.parametrize("value", [[], ["x"], {}, 7, "a\nb"])
def test_a_verify_of_another_kind_is_refused_too(value: Any) -> None:
    with pytest.raises(ConnectionMissing, match="'verify' is not a string"):
        full(verify=value)


@pytest.mark.parametrize("extra", ["[]", "null", "7", '"x"', "[" * 100_000])
def test_an_extra_that_is_no_object_is_refused(extra: str) -> None:
    odd = Connection(conn_id="openstack_default", conn_type="openstack", host="ctl", extra=extra)
    with pytest.raises(ConnectionMissing):
        connect_options(odd)


# As the environment gives it to scheduler, worker and triggerer.


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(
            json.dumps(
                {
                    "conn_type": "openstack",
                    "host": "http://ctl:5000/v3",
                    "login": "admin",
                    "password": "s/ec:ret",
                    "extra": {"project_name": "admin"},
                }
            ),
            id="JSON",
        ),
        pytest.param("openstack://admin:s%2Fec%3Aret@ctl:5000/http?project_name=admin", id="URI"),
    ],
)
def test_it_can_be_given_by_the_environment(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENSTACK_TEST", written)
    found = EnvironmentVariablesBackend().get_connection("openstack_test")
    auth = connect_options(found)["auth"]
    assert auth["auth_url"] == "http://ctl:5000/v3"
    assert (auth["username"], auth["password"]) == ("admin", "s/ec:ret")
    assert auth["project_name"] == "admin"


def test_a_hook_gives_a_nova_that_has_sent_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        CloudHook, "get_connection", lambda self, conn_id: connection(extra={"cloud": "lab"})
    )
    nova = CloudHook().get_conn()
    assert nova.name == "openstack_default"


def test_a_connection_that_is_not_defined_says_how_to_add_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(self: CloudHook, conn_id: str) -> Connection:
        raise KeyError(conn_id)

    monkeypatch.setattr(CloudHook, "get_connection", missing)
    with pytest.raises(ConnectionMissing, match="set AIRFLOW_CONN_MY_CLOUD") as raised:
        CloudHook("my_cloud").get_conn()
    assert "it is not defined" in str(raised.value)


async def test_a_trigger_gets_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(self: CloudHook, conn_id: str) -> Connection:
        return connection(extra={"cloud": "lab"})

    async def missing(self: CloudHook, conn_id: str) -> Connection:
        raise KeyError(conn_id)

    monkeypatch.setattr(CloudHook, "aget_connection", found)
    assert (await CloudHook().aget_conn()).name == "openstack_default"
    monkeypatch.setattr(CloudHook, "aget_connection", missing)
    with pytest.raises(ConnectionMissing, match="set AIRFLOW_CONN_OPENSTACK_DEFAULT"):
        await CloudHook().aget_conn()


CLOUDS = """
clouds:
  other:
    auth: {auth_url: "https://elsewhere:5000/v3", username: u, password: p, project_name: n}
"""


def test_os_variables_of_the_worker_never_mix_into_a_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker may carry somebody's openrc: the connection alone names the cloud."""
    from openstack.config import OpenStackConfig

    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    for name, value in [("AUTH_URL", "http://evil:5000/v3"), ("USERNAME", "evil"), ("CLOUD", "x")]:
        monkeypatch.setenv(f"OS_{name}", value)
    options = full(project_name="admin")
    loaders = {key: options.pop(key) for key in ALONE}
    config = OpenStackConfig(
        load_yaml_config=loaders["load_yaml_config"], load_envvars=loaders["load_envvars"]
    )
    auth = config.get_one(**options).config["auth"]
    assert (auth["auth_url"], auth["username"]) == ("https://ctl:5000/v3", "admin")


def test_os_client_config_file_is_respected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from openstack.config import OpenStackConfig

    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    options = connect_options(connection(extra={"cloud": "other"}))
    assert OpenStackConfig().get_one(**options).config["auth"]["auth_url"] == (
        "https://elsewhere:5000/v3"
    )
