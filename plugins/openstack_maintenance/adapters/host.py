"""One compute host over SSH: read facts, or perform exactly one action.

The login needs these commands without a password, and no others (UNIT is nova-compute's):
``systemctl stop|start --no-block -- UNIT``, ``systemctl reset-failed -- UNIT``,
``systemctl reboot``,
``ss -tnp``, ``tail -c 16777216 -- LOG`` where it cannot read the log itself, ``journalctl
--no-pager -o ...`` unless it is in the group systemd-journal; for scripts ``install -D -m 0700
-o root -g root -- /dev/stdin /var/lib/openstack-maintenance/...``, ``systemd-run --unit=...`` and
``systemctl reset-failed`` of those units; for containers ``docker|podman inspect|stop|start|ps``.
include/rights/host-rights writes them as a sudoers file: keep it in step with the scripts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from openstack_maintenance.adapters.shell import HostUnreachable, Shell
from openstack_maintenance.adapters.ssh_login import SOURCE, connect_shell
from openstack_maintenance.domain.deployment import NovaCompute
from openstack_maintenance.domain.errors import HostError
from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.domain.host import answers as answers_of
from openstack_maintenance.domain.host.amqp_log import LogFile
from openstack_maintenance.domain.host.answers import Answers, one, words
from openstack_maintenance.domain.host.facts import (
    AmqpEvidence,
    HostFacts,
    RebootAnswer,
    ScriptState,
    UnitState,
)
from openstack_maintenance.domain.host.guests import guests_run
from openstack_maintenance.domain.host.unit_name import service_unit
from openstack_maintenance.domain.moment import parse_iso

_QUICK = timedelta(seconds=30)
_LOOK = timedelta(seconds=90)
_CONTROL = timedelta(seconds=150)  # a container gets 60 s to stop before it is killed
# Both stand in sudoers as they are: host-rights reads them here.
OUTPUT_LINES = "100"
JOURNAL_LINES = 5
# How many, and how much of each: a message is read by a person.
_RIGHTS_SHOWN = (60, 300)


@asynccontextmanager
async def connect_host(
    options: Mapping[str, Any], name: str, nova_compute: NovaCompute, source: str = SOURCE
) -> AsyncIterator[Host]:
    """Log in to the compute host ``name``; ``options`` are those of ``asyncssh.connect``.

    ``source``: where they come from, for messages.

    Raises:
        HostUnreachable: nobody answers now; try again later.
        HostError: the login cannot work as configured; a person must fix it.
    """
    async with connect_shell(options, name, source) as shell:
        yield Host(shell, nova_compute)


class Host:
    """A compute host with an open connection. Every method is one round trip.

    Each raises HostUnreachable where no complete answer comes: what was asked may or may not
    have happened, so read the host again. An answer is taken apart in a thread of its own.
    """

    def __init__(self, shell: Shell, nova_compute: NovaCompute) -> None:
        self._shell = shell
        self._compute = nova_compute
        self.name = shell.name

    @property
    def _manager(self) -> tuple[str, str, str]:
        compute = self._compute
        return service_unit(compute.unit), compute.container, " ".join(compute.engines)

    async def read_facts(self, script_unit: str = "", script: bytes = b"") -> HostFacts:
        """Everything that the pre-check wants to know; changes nothing on the host.

        ``script``: a maintenance script that is to run as ``script_unit``, for the rights it needs.
        """
        logs = ":".join(self._compute.log_paths)
        unit = service_unit(script_unit) if script_unit else ""
        digest = hashlib.sha256(script).hexdigest() if script_unit else ""
        patterns = self._compute.guest_processes
        answers = await self._shell.ask(
            "facts", *self._manager, logs, unit, digest, *patterns, wait=_LOOK
        )
        return await asyncio.to_thread(self._facts, answers)

    def _facts(self, answers: Answers) -> HostFacts:
        booted = answers_of.parse_systemd_time(one(answers, "UserspaceTimestamp"))
        reboot_reasons, reboot_unread = answers_of.parse_reboot_reasons(answers, booted)
        return HostFacts(
            hostname=self._need(answers, "hostname"),
            fqdn=one(answers, "fqdn"),
            boot_id=self._boot_id(answers),
            booted=booted,
            clock=self._clock(answers),
            zone_name=_zone_name(answers),
            nova_compute=self._unit(answers),
            log_path=one(answers, "log"),
            log_error=words(answers, "log_error"),
            sudo_missing=brief_list(answers.get("sudo_missing", ()), *_RIGHTS_SHOWN),
            script_refused=one(answers, "script_refused") == "yes",
            guests=answers_of.parse_guests(answers.get("guest", ())),
            reboot_reasons=reboot_reasons,
            reboot_unread=reboot_unread,
        )

    async def boot_id(self) -> str:
        """Which boot this is: changed means rebooted, and nothing else does."""
        return self._boot_id(await self._shell.ask("boot_id", wait=_QUICK))

    async def nova_compute_state(self) -> UnitState:
        """nova-compute's state and processes; kind "absent" where the host does not know it."""
        answers = await self._shell.ask("state", *self._manager, wait=_QUICK)
        return await asyncio.to_thread(self._unit, answers)

    async def stop_nova_compute(self) -> UnitState:
        """Ask for a stop and give the state right after; wait until ``is_gone``.

        Raises:
            HostError: refused, or there is no such unit (similar ones are named).
        """
        return await self._control("stop")

    async def start_nova_compute(self) -> UnitState:
        """Ask for a start and give the state right after; wait until ``is_active``.

        Raises:
            HostError: refused, or there is no such unit (similar ones are named).
        """
        return await self._control("start")

    async def _control(self, order: str) -> UnitState:
        answers = await self._shell.ask("control", order, *self._manager, wait=_CONTROL)
        state = await asyncio.to_thread(self._unit, answers)
        if state.kind == "absent":
            raise HostError(
                f"{self._compute.unit} on {self.name}",
                "there is no such unit or container; similar: "
                + (", ".join(state.look_alikes) or "none"),
                "Name the right one under nova_compute in the deployment file.",
            )
        reached = state.is_gone if order == "stop" else state.is_active
        if one(answers, "status") != "0" and not reached:
            raise HostError(
                f"{state.name} on {self.name}",
                f"{order} was refused: {words(answers, 'message') or 'no reason given'}",
                "See `systemctl status` on the host; the login needs sudo for this command.",
            )
        return state

    async def reboot(self, expected_boot_id: str) -> RebootAnswer:
        """Reboot the host if it is still in this boot and holds no guest's process.

        The order proves nothing: wait for another ``boot_id``. Asking twice for one boot is safe.

        Raises:
            CheckFailed: a guest's process runs; nothing was done.
            HostError: the host refused the order.
        """
        patterns = self._compute.guest_processes
        try:
            answers = await self._shell.ask("reboot", expected_boot_id, *patterns, wait=_QUICK)
        except HostUnreachable:
            return RebootAnswer("unknown")
        await self._no_guests(answers, "It was not rebooted")
        boot_id, clock = self._boot_id(answers), self._clock(answers)
        if one(answers, "refused") == "already_rebooted":
            return RebootAnswer("already_rebooted", boot_id, clock)
        if one(answers, "status") != "0":
            raise HostError(
                f"host {self.name}",
                f"the reboot was refused: {words(answers, 'message') or 'no reason given'}",
                "Allow the login `sudo systemctl reboot` without a password, or end what "
                "blocks it (`systemd-inhibit --list` shows it).",
            )
        return RebootAnswer("asked", boot_id, clock)

    async def check_no_guests(self, then: str) -> None:
        """See that no guest's process runs. ``then``: what was therefore not done, for the error.

        Raises: CheckFailed, naming the guests.
        """
        patterns = self._compute.guest_processes
        await self._no_guests(await self._shell.ask("guests", *patterns, wait=_QUICK), then)

    async def _no_guests(self, answers: Answers, then: str) -> None:
        lines = answers.get("guest", ())
        if guests := await asyncio.to_thread(answers_of.parse_guests, lines):
            raise guests_run(self.name, guests, then)

    async def amqp_evidence(self) -> AmqpEvidence:
        """The log's last lines about the broker, and nova-compute's sockets to it."""
        logs = ":".join(self._compute.log_paths)
        ports = map(str, self._compute.broker_ports)
        answers = await self._shell.ask("amqp", *self._manager, logs, *ports, wait=_LOOK)
        return await asyncio.to_thread(self._evidence, answers)

    def _evidence(self, answers: Answers) -> AmqpEvidence:
        compute = self._unit(answers)
        return AmqpEvidence(
            boot_id=self._boot_id(answers),
            clock=self._clock(answers),
            zone_name=_zone_name(answers),
            nova_compute=compute,
            log_path=one(answers, "log"),
            log_error=words(answers, "log_error"),
            log=LogFile(
                lines=answers.get("line", ()),
                newest=one(answers, "newest"),
                modified=_modified(answers),
            ),
            sockets=answers_of.parse_sockets(
                answers.get("socket", ()), compute.pids, self._compute.broker_ports
            ),
            other_sockets=answers_of.parse_sockets(
                answers.get("other_socket", ()), compute.pids, None
            ),
            sockets_error=words(answers, "sockets_error"),
        )

    async def journal_tail(
        self, unit: str | None = None, lines: int = JOURNAL_LINES
    ) -> tuple[str, ...]:
        """The last lines of a unit's journal (default: nova-compute's), for messages."""
        name = service_unit(unit or self._compute.unit)
        answers = await self._shell.ask("journal", name, str(lines), wait=_QUICK)
        return tuple(brief(line) for line in answers.get("output", ())[-lines:])

    async def start_script(
        self, name: str, content: bytes, unit: str, again: bool = False
    ) -> ScriptState:
        """Run a maintenance script as root in transient unit ``unit``, once per boot of the host.

        It survives a broken connection. Where the unit exists already nothing is started: the
        state of what runs, or ran, is given; a failed one runs again only with ``again``.

        Raises:
            HostError: not a script, or the host cannot start it.
        """
        if not content.startswith(b"#!"):
            raise HostError(
                f"script {name}",
                "its first line names no interpreter",
                "Begin the script with a line such as #!/bin/sh.",
            )
        unit = service_unit(unit)
        answers = await self._shell.ask(
            "script_start",
            unit,
            OUTPUT_LINES,
            "yes" if again else "no",
            wait=_LOOK,
            stdin=content,
        )
        return answers_of.parse_script(answers, unit)

    async def script_state(self, unit: str) -> ScriptState:
        """How the script's unit fares; "absent" after a reboot, or where it never ran."""
        unit = service_unit(unit)
        answers = await self._shell.ask("script_state", unit, OUTPUT_LINES, wait=_QUICK)
        return answers_of.parse_script(answers, unit)

    def _unit(self, answers: Answers) -> UnitState:
        return answers_of.parse_unit(answers, service_unit(self._compute.unit))

    def _clock(self, answers: Answers) -> datetime:
        try:
            return answers_of.parse_clock(self._need(answers, "clock"))
        except ValueError as error:
            raise self._unreadable(str(error)) from error

    def _boot_id(self, answers: Answers) -> str:
        boot_id = self._need(answers, "boot_id")
        if not answers_of.is_boot_id(boot_id):
            raise self._unreadable(f"its boot_id cannot be read: it says {brief(boot_id, 100)!r}")
        return boot_id

    def _need(self, answers: Answers, key: str) -> str:
        if value := one(answers, key):
            return value
        raise self._unreadable(f"its answer has no {key}")

    def _unreadable(self, found: str) -> HostError:
        return HostError(
            f"host {self.name}", found, "Log in by hand and see what the host answers."
        )


def _zone_name(answers: Answers) -> str:
    return one(answers, "zone").rpartition("zoneinfo/")[2]


def _modified(answers: Answers) -> datetime | None:
    """When the log was written, where that can be calculated with."""
    modified = parse_iso(one(answers, "modified"))
    return modified if modified and modified.tzinfo else None
