"""The Airflow connection for SSH, as the hook reads it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.hooks.host import HostHook

VARIABLE = "AIRFLOW_CONN_OPENSTACK_SSH"


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Any:
    def define(extra: dict[str, Any], **fields: Any) -> None:
        values = {"conn_type": "ssh", "login": "maintenance", "extra": extra, **fields}
        monkeypatch.setenv(VARIABLE, json.dumps(values))

    return define


def options_of(hook: HostHook) -> dict[str, Any]:
    return asyncio.run(hook.get_options())  # as in a task


def test_the_connections_parts_become_options(connection: Any) -> None:
    connection({"key_file": "~/.ssh/id", "known_hosts": "/etc/known", "passphrase": "p"}, port=2222)
    assert options_of(HostHook(address="10.0.0.1", name="c01")) == {
        "host": "10.0.0.1",
        "port": 2222,
        "username": "maintenance",
        "client_keys": [str(Path("~/.ssh/id").expanduser())],
        "passphrase": "p",
        "known_hosts": "/etc/known",
    }


def test_the_users_known_hosts_is_the_default(connection: Any) -> None:
    connection({}, password="secret")
    options = options_of(HostHook(address="10.0.0.1"))
    assert options["known_hosts"] == str(Path("~/.ssh/known_hosts").expanduser())
    assert options["password"] == "secret"
    assert options["port"] == 22
    assert "client_keys" not in options


def test_a_private_key_in_the_connection_is_used(connection: Any) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    connection({"private_key": key.export_private_key().decode()})
    (loaded,) = options_of(HostHook(address="10.0.0.1"))["client_keys"]
    assert loaded.export_public_key() == key.export_public_key()


def test_one_host_key_in_the_connection_is_for_the_address_asked(connection: Any) -> None:
    connection({"host_key": "ssh-ed25519 AAAAC3Nza comment"})
    known = options_of(HostHook(address="10.0.0.1"))["known_hosts"]
    assert known == b"10.0.0.1 ssh-ed25519 AAAAC3Nza"


@pytest.mark.parametrize(
    "extra",
    [
        {"no_host_key_check": True},
        {"no_host_key_check": "true"},
        {"ignore_hostkey_verification": "True"},
        {"known_hosts": "none"},
        {"no_host_key_check": True, "host_key": "ssh-ed25519 AAAA"},
    ],
)
def test_switching_the_check_of_host_keys_off_is_refused(
    connection: Any, extra: dict[str, Any]
) -> None:
    connection(extra)
    with pytest.raises(HostError, match="never done here"):
        options_of(HostHook(address="10.0.0.1"))


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_a_broken_private_key_is_said_without_showing_it(connection: Any, text: str) -> None:
    connection({"private_key": text})
    with pytest.raises(HostError, match="private_key cannot be read") as caught:
        options_of(HostHook(address="10.0.0.1"))
    assert "AAAA" not in str(caught.value)


def test_a_missing_connection_says_how_to_add_it() -> None:
    with pytest.raises(HostError, match="airflow connections add nowhere_ssh"):
        options_of(HostHook("nowhere_ssh", address="10.0.0.1"))


async def test_it_works_in_a_running_loop_and_a_missing_known_hosts_is_one_clear_sentence(
    connection: Any,
) -> None:
    connection({"known_hosts": "/nonexistent/known_hosts"})
    with pytest.raises(HostError, match="known_hosts file /nonexistent/known_hosts does not exist"):
        async with HostHook(address="127.0.0.1", name="c01").connect_shell():
            pytest.fail("it logged in")
