"""What each script of adapters/remote answers on a compute host, and what it does to the host.

Each is the script once more, in the same order, on a host that is plain data: what one says and
the other does not is found by tests/simulator/test_hosts_conformance.py.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from simulator.hosts.look import Look
from simulator.hosts.state import HostState, LogFile, Packages, Said
from simulator.hosts.words import Ended, Words, one_line

STORE = "/var/lib/openstack-maintenance"


class Orders(Protocol):
    """What a host does when a program on it is told to."""

    state: HostState

    def now(self) -> float:
        """The world's time, in seconds since 1970."""

    def look(self) -> HostState:
        """The host as it is at this moment."""

    async def systemctl(self, order: str, unit: str) -> Said:
        """``systemctl start|stop|restart --no-block``, ``reset-failed``."""

    async def engine(self, engine: str, order: str, container: str) -> Said:
        """``docker|podman start|stop|restart``: it comes back when that is done."""

    async def reboot(self) -> Said:
        """``systemctl reboot``"""

    async def store(self, unit: str, content: bytes) -> Said:
        """``install`` of a maintenance script."""

    async def systemd_run(self, unit: str) -> Said:
        """``systemd-run`` of a stored maintenance script."""


class Script:
    """One run of one script, with its arguments and its standard input."""

    def __init__(self, orders: Orders, stdin: bytes = b"") -> None:
        self.orders = orders
        self.stdin = stdin
        self.words = Words()
        self.see = Look(orders.look(), orders.now, self.words)

    async def sudo(self, command: str, order: Callable[[], Awaitable[Said]]) -> Said:
        """Give an order as root."""
        if self.host.login.why_not(command):
            return self.see.sudo(command, Said)
        said = await order()
        self.again()
        return self.see.sudo(command, lambda: said)

    def again(self) -> None:
        """Look again: time has passed, or something was done."""
        self.see.host = self.orders.look()

    @property
    def host(self) -> HostState:
        return self.see.host


async def run(orders: Orders, name: str, args: Sequence[str], stdin: bytes) -> str:
    """The whole answer. Raises: KeyError, for a script that is not played here."""
    script = Script(orders, stdin)
    with contextlib.suppress(Ended):
        await SCRIPTS[name](script, *args)
    return "".join(f"{line}\n" for line in [*script.words.lines, "end=ok"])


async def boot_id(script: Script) -> None:
    script.words.say("boot_id", script.host.boot_id)
    script.words.say("clock", script.see.clock())


async def state(script: Script, unit: str, container: str, engines: str) -> None:
    _need_compute(script.words, unit, container, engines)
    script.see.nova_compute(unit, container, engines)


async def facts(
    script: Script,
    unit: str,
    container: str,
    engines: str,
    logs: str,
    script_unit: str,
    digest: str,
    *patterns: str,
) -> None:
    see, words = script.see, script.words
    _need_compute(words, unit, container, engines)
    words.need_logs(logs)
    if script_unit:
        words.need_script_unit(script_unit)
    words.need(re.fullmatch("[0-9a-f]*", digest), "this is not a sha256")
    words.say("boot_id", script.host.boot_id)
    words.say("clock", see.clock())
    words.say("zone", f"/usr/share/zoneinfo/{script.host.clock.zone}")
    words.say("hostname", script.host.hostname)
    words.say("fqdn", script.host.fqdn)
    see.userspace()
    _packages(words, script.host.packages)
    found = see.nova_compute(unit, container, engines)
    if found.is_managed and not found.pids:
        see.look_alikes(engines)
    words.each("guest", see.guests(patterns))
    log = see.choose_log(logs)
    words.say("log", log.path)
    see.log_error(log)
    if not script.host.login.is_root:
        _rights(script, unit, container, log)
        if script_unit:
            _script_rights(see, script_unit)
    if script_unit and script.host.forced and not script.host.forced.knows(digest):
        words.say("script_refused", "yes")


def _need_compute(words: Words, unit: str, container: str, engines: str) -> None:
    words.need_unit(unit)
    words.need_container(container)
    words.need_engines(engines)


def _packages(words: Words, packages: Packages) -> None:
    words.say("kernel", packages.kernel)
    files = {f"/boot/vmlinuz-{release}": at for release, at in packages.kernels.items()}
    if packages.required_since:
        files = {"/run/reboot-required": packages.required_since} | files
    words.each("file", (f"{int(at.timestamp())} {name}" for name, at in files.items()))
    if packages.required_since:
        words.each("reboot_package", packages.wanted_by)
    if packages.needs_restarting:
        status, lines = packages.needs_restarting
        words.say("needs_restarting", status)
        words.each("needs_restarting_line", [*lines, ""])


def _rights(script: Script, unit: str, container: str, log: LogFile) -> None:
    """Everything that the run will do as root."""
    see = script.see
    if see.is_known(unit) or not container:
        see.needs("systemctl", "stop", "--no-block", "--", unit)
        see.needs("systemctl", "start", "--no-block", "--", unit)
        see.needs("systemctl", "reset-failed", "--", unit)
    elif see.engine:
        see.needs(see.engine, "stop", "--time", "60", "--", container)
        see.needs(see.engine, "start", "--", container)
    see.needs("systemctl", "reboot")
    see.needs("ss", "-tnp")
    is_seen = log.is_there and log.folder_is_open
    if not (is_seen and log.is_readable) and (is_seen or not log.folder_is_open):
        see.needs("tail", "-c", "16777216", "--", log.path)


def _script_rights(see: Look, unit: str) -> None:
    see.needs(*_install(unit))
    see.needs(*_systemd_run(unit))
    see.needs("systemctl", "reset-failed", "--", unit)


def _install(unit: str) -> list[str]:
    options = ["-D", "-m", "0700", "-o", "root", "-g", "root", "--"]
    return ["install", *options, "/dev/stdin", f"{STORE}/{unit}"]


def _systemd_run(unit: str) -> list[str]:
    options = ["--description=maintenance script", "--property=RemainAfterExit=yes", "--"]
    return ["systemd-run", f"--unit={unit}", *options, f"{STORE}/{unit}"]


async def control(script: Script, order: str, unit: str, container: str, engines: str) -> None:
    see, words = script.see, script.words
    words.need(order in ("start", "stop", "restart"), "the orders are start, stop and restart")
    _need_compute(words, unit, container, engines)
    told = ""
    if see.is_known(unit):
        if order != "stop" and script.host.unit(unit).active == "failed":
            await _reset_failed(script, unit)
        said = await script.sudo(
            f"systemctl {order} --no-block -- {unit}",
            lambda: script.orders.systemctl(order, unit),
        )
        words.say("status", said.status)
        told = said.mixed
    elif container and see.find_container(container, engines):
        engine, time = see.engine, "" if order == "start" else "--time 60 "
        said = await script.sudo(
            f"{engine} {order} {time}-- {container}",
            lambda: script.orders.engine(engine, order, container),
        )
        words.say("status", said.status)
        told = said.mixed
    else:
        told = see.error
    words.say("message", one_line(told))
    see.nova_compute(unit, container, engines)


async def _reset_failed(script: Script, unit: str) -> None:
    await script.sudo(
        f"systemctl reset-failed -- {unit}", lambda: script.orders.systemctl("reset-failed", unit)
    )


async def reboot(script: Script, expected: str, *patterns: str) -> None:
    see, words = script.see, script.words
    words.need(re.fullmatch("[0-9a-f-]*", expected), "this is not a boot_id")
    words.say("boot_id", script.host.boot_id)
    words.say("clock", see.clock())
    if not script.host.boot_id or script.host.boot_id != expected:
        words.say("refused", "already_rebooted")
        return
    try:
        found = see.guests(patterns)
    except Ended:
        words.say("end", "ok")
        found = [""]
    else:
        words.each("guest", found)
    if found:
        words.say("refused", "guests")
        return
    said = await script.sudo("systemctl reboot", script.orders.reboot)
    words.say("status", said.status)
    words.say("message", one_line(said.mixed))


async def guests(script: Script, *patterns: str) -> None:
    script.words.each("guest", script.see.guests(patterns))
    script.words.say("boot_id", script.host.boot_id)


async def amqp(
    script: Script, unit: str, container: str, engines: str, logs: str, *ports: str
) -> None:
    see, words = script.see, script.words
    for port in ports:
        words.need_number(port)
    _need_compute(words, unit, container, engines)
    words.need_logs(logs)
    words.say("boot_id", script.host.boot_id)
    words.say("zone", f"/usr/share/zoneinfo/{script.host.clock.zone}")
    see.nova_compute(unit, container, engines)
    log = see.choose_log(logs)
    words.say("log", log.path)
    see.log_error(log)
    see.amqp_lines(log)
    see.sockets(ports)
    words.say("clock", see.clock())


async def journal(script: Script, unit: str, lines: str) -> None:
    script.words.need_unit(unit)
    script.words.need_number(lines)
    hostname = script.host.hostname
    shown = [each.short_iso(hostname) for each in script.see.entries(unit)[-int(lines) :]]
    options = f"-o short-iso -n {lines} -u {unit}"
    script.words.each("output", script.see.journal(options, shown))


async def script_start(script: Script, unit: str, lines: str, again: str) -> None:
    script.words.need_script_unit(unit)
    script.words.need_number(lines)
    if not script.see.is_known(unit):
        await _start(script, unit)
    elif again == "yes" and script.host.unit(unit).active == "failed":
        await _reset_failed(script, unit)
        await _start(script, unit)
    script.see.show_unit(unit)
    _output(script, unit, lines)


async def _start(script: Script, unit: str) -> None:
    words, orders = script.words, script.orders
    stored = await script.sudo(" ".join(_install(unit)), lambda: orders.store(unit, script.stdin))
    if stored.status:
        raise words.fail(f"the script cannot be stored for {unit}: {one_line(stored.mixed)}")
    said = await script.sudo(" ".join(_systemd_run(unit)), lambda: orders.systemd_run(unit))
    if said.status and not script.see.is_known(unit):
        raise words.fail(f"systemd-run refused: {one_line(said.mixed)}")


async def script_state(script: Script, unit: str, lines: str) -> None:
    script.words.need_script_unit(unit)
    script.words.need_number(lines)
    script.see.show_unit(unit)
    if script.see.is_known(unit):
        _output(script, unit, lines)


def _output(script: Script, unit: str, lines: str) -> None:
    """What the script itself printed in this boot."""
    mine = [
        each.text
        for each in script.see.entries(unit)
        if each.boot_id == script.host.boot_id and not each.is_systemds
    ]
    options = f"-q -o cat -b -n {lines} _SYSTEMD_UNIT={unit}"
    script.words.each("output", script.see.journal(options, mine[-int(lines) :]))


SCRIPTS: dict[str, Callable[..., Awaitable[Any]]] = {
    "amqp": amqp,
    "boot_id": boot_id,
    "control": control,
    "facts": facts,
    "guests": guests,
    "journal": journal,
    "reboot": reboot,
    "script_start": script_start,
    "script_state": script_state,
    "state": state,
}
