"""The Airflow connection for SSH, as the hook reads it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.hooks.host_hook import HostHook

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
    with pytest.raises(HostError, match="which this project never does"):
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


async def test_what_to_do_names_the_connection_that_was_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {"known_hosts": "/nonexistent/known_hosts"}
    monkeypatch.setenv("AIRFLOW_CONN_SECOND_SSH", json.dumps({"conn_type": "ssh", "extra": extra}))
    hook = HostHook("second_ssh", address="127.0.0.1", name="c01")
    for opened in (
        hook.connect_shell(),
        hook.connect(NovaCompute("nova-compute.service", ("/var/log/nova.log",))),
    ):
        with pytest.raises(HostError, match="`known_hosts` of the SSH connection second_ssh"):
            async with opened:
                pytest.fail("it logged in")


def test_a_private_key_where_a_name_belongs_is_refused_without_repeating_it(
    connection: Any,
) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    text = key.export_private_key("pkcs1-pem").decode()
    body = "".join(text.strip().splitlines()[1:-1])
    pasted = [text, text.replace("\n", " "), text.replace("\n", "\\n"), text.lower(), body]
    pasted += [f"a\n{body[:60]}", body[:100], "PuTTY-User-Key-File-3: x", "x" * 5_000]
    for part in ("key_file", "known_hosts"):
        for each in pasted:
            connection({part: each})
            with pytest.raises(HostError, match=f"its {part} holds a key, not the name") as caught:
                options_of(HostHook(address="10.0.0.1"))
            told = str(caught.value)
            assert told == (
                f"connection openstack_ssh: its {part} holds a key, not the name of a file. "
                "Put the key into private_key, or name its file in key_file."
            )
    for given in ({"extra": {"host_key": text}}, {"extra": {}, "login": text}):
        connection(**given)
        with pytest.raises(HostError, match="holds a private key") as caught:
            options_of(HostHook(address="10.0.0.1"))
        assert body[:20] not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["~/.ssh/id_ed25519", "keys/openstack", "/a/b c/id", "~nobody-x/id"]
)
def test_a_name_of_a_file_is_taken_as_it_is(connection: Any, name: str) -> None:
    connection({"key_file": name, "known_hosts": name})
    (file,) = options_of(HostHook(address="10.0.0.1"))["client_keys"]
    assert file.endswith(name.lstrip("~"))


def test_a_long_name_of_a_file_that_exists_is_taken(connection: Any, tmp_path: Path) -> None:
    file = tmp_path / ("d" * 150) / ("f" * 150)
    file.parent.mkdir()
    file.write_text("")
    connection({"key_file": str(file), "known_hosts": str(file)})
    assert options_of(HostHook(address="10.0.0.1"))["known_hosts"] == str(file)


ODD_TYPES: list[Any] = [5, 0, 1.5, True, False, [], ["/a"], {}, {"a": 1}]


@pytest.mark.parametrize("odd", ODD_TYPES, ids=repr)
@pytest.mark.parametrize(
    "part",
    ["key_file", "known_hosts", "host_key", "private_key", "passphrase", "private_key_passphrase"],
)
def test_a_part_of_an_odd_type_is_one_sentence(connection: Any, part: str, odd: Any) -> None:
    connection({part: odd})
    with pytest.raises(HostError, match=f"its {part} cannot be of the type") as caught:
        options_of(HostHook(address="10.0.0.1"))
    assert caught.value.remedy == f"Write {part} as a string, in quotation marks."


@pytest.mark.parametrize("extra", ["[1]", "null", "5", '"x"'])
def test_an_extra_that_is_no_object_is_one_sentence(connection: Any, extra: Any) -> None:
    connection(extra)
    with pytest.raises(HostError, match="its extra is not a JSON object"):
        options_of(HostHook(address="10.0.0.1"))


@pytest.mark.parametrize("port", [-1, 65_536, 10**30])
def test_a_port_that_is_none_is_one_sentence(connection: Any, port: Any) -> None:
    connection({}, port=port)
    with pytest.raises(HostError, match="its port is not a number from 1 to 65535"):
        options_of(HostHook(address="10.0.0.1"))


@pytest.mark.parametrize(
    "fields", [{"port": "secret"}, {"port": ["secret"]}, {"login": ["secret"]}]
)
def test_a_connection_that_airflow_cannot_read_is_not_repeated(
    connection: Any, fields: dict[str, Any]
) -> None:
    connection({}, **fields)
    with pytest.raises(HostError) as caught:
        options_of(HostHook(address="10.0.0.1"))
    assert "secret" not in str(caught.value)
