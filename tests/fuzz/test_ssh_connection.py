"""The Airflow connection for SSH: options, or one sentence, and never a word of a key in it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_answers import Loop, odd_json, odd_texts
from judged import judged
from openstack_maintenance.adapters import ssh_login
from openstack_maintenance.domain.errors import MaintenanceError
from openstack_maintenance.hooks import host_hook
from openstack_maintenance.hooks.host_hook import HostHook

PARTS = [
    "key_file",
    "known_hosts",
    "host_key",
    "private_key",
    "passphrase",
    "private_key_passphrase",
    "no_host_key_check",
    "ignore_hostkey_verification",
]
KEYS = [
    asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode(),
    asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_private_key("pkcs8-pem").decode(),
    asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    .export_private_key("pkcs1-pem")
    .decode(),
]
loop = Loop()
given_connection: Any = None


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(conn_id: str) -> Any:
        return given_connection

    async def extra_of(conn: Any) -> Any:
        return json.loads(conn.extra)

    monkeypatch.setattr(host_hook, "get_async_connection", found)
    monkeypatch.setattr(host_hook, "get_async_extra_dejson", extra_of)


def options(extra: Any, **parts: Any) -> dict[str, Any]:
    global given_connection
    fields = {"host": "", "login": "maintenance", "password": None, "port": 22, **parts}
    given_connection = SimpleNamespace(extra=json.dumps(extra), **fields)
    return dict(loop.run(HostHook(address="10.0.0.1", name="c01").get_options()))


async def opened(given: dict[str, Any]) -> None:
    """Up to where a connection would be made; what comes then is asyncssh's own."""
    ssh_login._require_known_hosts(given, "c01", ssh_login.SOURCE)


def safe(found: dict[str, Any] | None) -> None:
    if found is not None:
        assert isinstance(found["known_hosts"], str | bytes)
        judged(lambda: loop.run(opened(found)))


@given(extra=st.dictionaries(st.sampled_from(PARTS), odd_json(), max_size=4))
def test_any_types_in_the_extra(extra: dict[str, Any]) -> None:
    safe(judged(options, extra))


@given(extra=st.dictionaries(st.sampled_from(PARTS), odd_texts(), max_size=4))
def test_any_texts_in_the_extra(extra: dict[str, Any]) -> None:
    safe(judged(options, extra))


@given(extra=odd_json(), part=st.sampled_from(["login", "password", "port"]), value=odd_json())
def test_any_parts_of_a_connection(extra: Any, part: str, value: Any) -> None:
    safe(judged(options, extra))
    safe(judged(options, {}, **{part: value}))


@st.composite
def mutilated_keys(draw: st.DrawFn) -> tuple[str, str]:
    """A private key, and what became of it when it was pasted."""
    key = draw(st.sampled_from(KEYS))
    lines = key.strip().splitlines()
    return key, draw(
        st.sampled_from(
            [
                key,
                key.replace("\n", " "),
                key.replace("\n", "\\n"),
                key.replace("\n", ""),
                key.lower(),
                "~/" + key,
                "".join(lines[1:-1]),
                "\n".join(lines[1:-1]),
                "\r\n".join(lines[1:]),
                key.replace("\n", "\u2028"),
            ]
        )
    )


@given(pasted=mutilated_keys(), part=st.sampled_from(["key_file", "known_hosts", "host_key"]))
def test_a_key_in_a_wrong_place_is_refused_and_not_repeated(
    pasted: tuple[str, str], part: str
) -> None:
    key, text = pasted
    try:
        given = options({part: text})
        loop.run(opened(given))
        said = ""
    except MaintenanceError as error:
        said = str(error)
    secret = "".join(key.strip().splitlines()[1:-1])
    words = {secret[at : at + 12].lower() for at in range(len(secret) - 12)}
    assert not [word for word in words if word in said.lower()]
    assert said or part == "host_key"  # a host's key may be any base64
    if said:
        assert "PRIVATE KEY" not in said


@given(
    key=st.sampled_from(KEYS),
    at=st.integers(0, 1_700),
    odd=odd_texts(),
    cut=st.integers(0, 50),
    passphrase=st.one_of(st.none(), odd_texts()),
)
def test_any_private_key(key: str, at: int, odd: str, cut: int, passphrase: str | None) -> None:
    text = key[:at] + odd + key[at + cut :]
    judged(options, {"private_key": text, "passphrase": passphrase})


NETWORK = [
    OSError(2, "No such file", "x" * 5_000),
    PermissionError(13, "Permission denied", "/a\0\ud800"),
    FileNotFoundError(2, "No such file", KEYS[0]),
    asyncssh.DisconnectError(2, "told by a hostile server\0\ud800" * 5_000),
    asyncssh.HostKeyNotVerifiable("x" * 50_000),
    asyncssh.PermissionDenied("\ud800"),
    asyncssh.KeyExchangeFailed("\0" * 50_000),
    asyncssh.KeyImportError("x\0" * 50_000),
    ConnectionRefusedError(),
    TimeoutError(),
    OverflowError("getsockaddrarg: port must be 0-65535."),
    ValueError("embedded null byte"),
]


@given(
    error=st.sampled_from(NETWORK), known=odd_texts(), user=odd_texts(), port=st.integers(0, 70_000)
)
def test_any_failed_login(error: Exception, known: str, user: str, port: int) -> None:
    given = {"host": "10.0.0.1", "port": port, "known_hosts": known, "username": user}

    def refused() -> None:
        raise ssh_login._in_words(error, given, "c01", ssh_login.SOURCE)

    assert judged(refused) is None


@given(known=st.one_of(odd_json(), odd_texts(), st.binary()))
def test_any_known_hosts(known: Any) -> None:
    found = judged(lambda: asyncio.run(opened({"known_hosts": known})) or "trusted")
    assert found is None or (isinstance(known, str | bytes) and known)
