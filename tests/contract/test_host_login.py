"""The SSH adapter's login: keys that are trusted, and what is said where it fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from host_over_ssh import BOOT, FakeHost, opened
from openstack_maintenance.adapters.shell import HostUnreachable
from openstack_maintenance.adapters.ssh_login import connect_shell
from openstack_maintenance.domain.errors import HostError


async def refused(options: dict[str, Any], kind: type[HostError] = HostError) -> str:
    with pytest.raises(kind) as caught:
        async with connect_shell(options, "c01"):
            pytest.fail("it logged in")
    assert caught.value.remedy
    assert isinstance(caught.value, HostUnreachable) == (kind is HostUnreachable)
    return str(caught.value)


async def test_a_host_key_that_changed_and_one_that_is_unknown_are_told_apart(
    fake: FakeHost,
) -> None:
    options, other = fake.options(), asyncssh.generate_private_key("ssh-ed25519")
    fake.trust(f"[127.0.0.1]:{fake.port}", other)
    assert "the host key has changed" in await refused(options)
    fake.trust("c02.example.com", other)
    assert "the host key is not trusted" in await refused(options)
    given = b"127.0.0.1 " + other.export_public_key()
    assert "has changed" in await refused(fake.options(known_hosts=given))


async def test_a_host_key_of_another_type_is_not_trusted_either(fake: FakeHost) -> None:
    options = fake.options()
    fake.trust(f"[127.0.0.1]:{fake.port}", asyncssh.generate_private_key("ecdsa-sha2-nistp256"))
    assert "known_hosts" in await refused(options)


ODD_KNOWN_HOSTS: list[Any] = [5, True, False, [], ["/a"], (), {}, {"a": 1}, object(), lambda *a: []]


@pytest.mark.parametrize("known", ODD_KNOWN_HOSTS)
async def test_known_hosts_of_an_odd_type_are_one_sentence(fake: FakeHost, known: Any) -> None:
    assert "known_hosts" in await refused(fake.options(known_hosts=known))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("client_keys", "/" + "secret" * 500),
        ("client_keys", "secret\0" * 500),
        ("known_hosts", "secret" * 500),
        ("known_hosts", "/secret\0\ud800" * 500),
        ("port", 70_000),
        ("username", "secret\0\ud800" * 500),
    ],
)
async def test_what_an_error_repeats_of_a_connection_is_short_and_can_be_stored(
    fake: FakeHost, part: str, value: Any
) -> None:
    told = await refused(fake.options(**{part: value}))
    told.encode("utf-8")
    assert "\0" not in told
    assert told.count("secret") < 60


@pytest.mark.parametrize(
    "boot_id", ["x", BOOT.upper(), BOOT + "x", "²" * 36, "None", f"{BOOT} {BOOT}"]
)
async def test_a_boot_id_that_cannot_be_read_is_no_other_boot(fake: FakeHost, boot_id: str) -> None:
    fake.write("boot_id", f"{boot_id}\n")
    async with opened(fake) as host:
        for asked in (host.boot_id(), host.read_facts(), host.reboot(BOOT), host.amqp_evidence()):
            with pytest.raises(HostError, match="its boot_id cannot be read: it says"):
                await asked
    assert "systemctl reboot " not in fake.calls()


async def test_a_container_that_answers_in_another_form_is_neither_gone_nor_active(
    fake: FakeHost,
) -> None:
    fake.write("docker", "f00dcafe|/nova_compute|exited\n")
    async with opened(fake, fake.kolla) as host:
        state = await host.nova_compute_state()
    assert (state.kind, state.is_gone, state.is_active) == ("docker", False, False)


@pytest.mark.parametrize("known", [None, "", b"", "/nonexistent/known_hosts"])
async def test_without_known_hosts_nobody_logs_in(fake: FakeHost, known: Any) -> None:
    assert "known_hosts" in await refused(fake.options(known_hosts=known))


async def test_a_login_that_is_refused_says_so(fake: FakeHost) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    text = await refused(fake.options(client_keys=[stranger]))
    assert "login as maintenance is refused" in text
    assert "authorized_keys" in text


async def test_a_missing_key_file_is_named(fake: FakeHost) -> None:
    assert "/nonexistent/id" in await refused(fake.options(client_keys="/nonexistent/id"))


async def test_a_key_file_that_cannot_be_read_is_no_trouble_of_the_network(
    fake: FakeHost, tmp_path: Path
) -> None:
    text = await refused(fake.options(client_keys=str(tmp_path)))
    assert f"{tmp_path} cannot be read by " in text
    assert "fix key_file or known_hosts in the SSH connection" in text


async def test_a_connection_without_any_key_says_so(fake: FakeHost) -> None:
    options = fake.options()
    del options["client_keys"]
    text = await refused(options)
    assert "neither key_file, private_key nor password is given" in text


async def test_a_closed_port_and_a_silent_one_may_be_tried_again(fake: FakeHost) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    quick = fake.options(port=port, connect_timeout=0.2, login_timeout=0.2)
    assert "nobody answers in time" in await refused(quick, HostUnreachable)
    silent.close()
    await silent.wait_closed()
    assert "refused" in await refused(fake.options(port=port), HostUnreachable)


async def test_a_name_that_does_not_resolve_needs_an_address(fake: FakeHost) -> None:
    text = await refused(fake.options(host="c01.invalid"))
    assert "cannot be resolved" in text
    assert "addresses:" in text


async def test_values_reach_the_host_as_they_are_and_are_never_run(fake: FakeHost) -> None:
    nasty = "a b;$(touch hacked)'\"`touch hacked`* \\"
    async with connect_shell(fake.options(), "c01") as shell:
        with pytest.raises(HostError, match="this is not the name of a unit"):
            await shell.ask("journal", nasty, "2", wait=timedelta(seconds=5))
        await shell.ask("reboot", "0", nasty, wait=timedelta(seconds=5))  # a guest's pattern
    assert fake.calls() == []
    assert not (fake.folder / "hacked").exists()


async def test_standard_input_reaches_a_command(fake: FakeHost) -> None:
    async with connect_shell(fake.options(), "c01") as shell:
        answer = await shell.run("cat; exit 3", wait=timedelta(seconds=5), stdin=b"x")
    assert (answer.status, answer.stdout) == (3, "x")
