"""A machine and its life: orders, reboots, crashes, cuts, and what it is at this moment."""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID

from simulator.clock import VirtualTime
from simulator.hosts.cloud_side import CloudSide
from simulator.hosts.service import Service
from simulator.hosts.state import (
    FAREWELL,
    STARTED,
    Boot,
    Entry,
    HostClock,
    HostState,
    Process,
    Said,
    Unit,
)

if TYPE_CHECKING:
    from simulator.hosts.nova_compute import NovaCompute

Power = Literal["up", "going down", "off", "starting", "frozen"]
Reach = Literal["answers", "refused", "silent", "no route"]


@dataclass
class PowerHabits:
    """How a machine goes down and comes back, and what goes wrong. Seconds."""

    order_takes: float = 0.3  # from the order to the first thing that ends
    going_down_takes: float = 5.0  # sshd is gone: connections are refused
    firmware_takes: float = 60.0  # nothing answers
    kernel_takes: float = 8.0  # connections are refused
    systemd_silent_for: float = 0.0  # sshd answers, systemctl does not
    units_start_after: float = 1.0
    loses_orders: int = 0  # so many orders are taken, and nothing comes of them
    inhibited_by: str = ""  # why it refuses to reboot
    hanging_boots: int = 0  # so many boots to come never get anywhere
    panics_after: list[float] = field(default_factory=list)  # of each boot to come, once it is up
    clock_at_boot: float | None = None  # how far ahead the hardware's clock is then
    clock_is_right_after: float | None = None  # when NTP has set it, if it does
    off_is: Reach = "silent"


@dataclass
class ScriptPlay:
    """What a maintenance script does when it is run."""

    seconds: float = 5.0
    exit_code: int = 0
    output: tuple[str, ...] = ()


class Connected(Protocol):
    """An SSH connection to this machine."""

    def closed_by_host(self) -> None:
        """sshd says goodbye."""

    def gone_silent(self) -> None:
        """Nothing comes any more, and nobody says why."""

    def heard_again(self) -> None:
        """What was on its way comes now."""


class Machine:
    """One host. ``name`` is Nova's; what it is at this moment is `look`."""

    def __init__(
        self,
        clock: VirtualTime,
        name: str,
        cloud: CloudSide,
        random: Random,
        *,
        address: str = "",
        host_clock: HostClock | None = None,
        booted_before: float = 86_400.0 * 20,
    ) -> None:
        self.world = clock
        self.name, self.address = name, address or name
        self.cloud, self.random = cloud, random
        self.power: Power = "up"
        self.habits = PowerHabits()
        self.services: list[Service] = []
        self.nova_compute: NovaCompute | None = None
        self.scripts: Callable[[bytes], ScriptPlay] = lambda content: ScriptPlay()
        self.connections: list[Connected] = []
        self.running: set[asyncio.Task[None]] = set()  # what somebody's SSH session runs
        self.is_cut = False
        self.is_cut_from_broker = False
        self.stray_guests: list[str] = []  # guests that no cloud knows
        self.reboot_orders: list[float] = []
        self.scripts_run: list[ScriptPlay] = []
        self.on_look: list[Callable[[], None]] = []  # what is worked out when it is looked at
        self._life = 0
        self._pid = 400
        self._guest_pids: dict[str, int] = {}
        self._stored: dict[str, bytes] = {}
        own_clock = host_clock or HostClock(since=clock.seconds())
        booted = own_clock.at(clock.seconds() - booted_before)
        self.state = HostState(
            hostname=name.partition(".")[0],
            fqdn=name,
            boot_id=self._new_boot_id(),
            booted=booted,
            clock=own_clock,
        )
        self.state.boots = [Boot(self.state.boot_id, booted, booted)]

    # Time.

    def now(self) -> float:
        return self.world.seconds()

    def host_time(self) -> datetime:
        """What its own clock shows."""
        return self.state.clock.at(self.now())

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen, unless the machine has gone down by then."""
        life = self._life
        self.world.after(seconds, lambda: what() if self._life == life else None)

    # What it is.

    @property
    def reach(self) -> Reach:
        """What happens to who connects."""
        if self.is_cut:
            return "silent"
        found: dict[Power, Reach] = {
            "up": "answers",
            "going down": "refused",
            "starting": "refused",
            "off": self.habits.off_is,
            "frozen": "silent",
        }
        return found[self.power]

    def look(self) -> HostState:
        """Everything, as it is now."""
        state = self.state
        for work_out in self.on_look:
            work_out()
        state.processes = self._processes()
        compute = self.nova_compute
        state.sockets = list(compute.sockets) if compute else []
        if state.boots:
            state.boots[-1].last = max(state.boots[-1].last, self.host_time())
        return state

    def _processes(self) -> list[Process]:
        first = [
            Process(1, "systemd", "/sbin/init"),
            Process(60, "sshd", "sshd: /usr/sbin/sshd -D"),
        ]
        own = [process for each in self.services if (process := each.process)]
        guests = [*self.cloud.guest_names_on(self.name), *self.stray_guests]
        return first + own + [self._guest(each) for each in guests]

    def _guest(self, instance: str) -> Process:
        if instance not in self._guest_pids:
            self._guest_pids[instance] = self.new_pid()
        args = f"/usr/bin/qemu-system-x86_64 -name guest={instance},debug-threads=on -S"
        cgroup = f"/machine.slice/machine-qemu-{instance}.scope"
        return Process(self._guest_pids[instance], "qemu-system-x86_64", args, cgroup)

    def new_pid(self) -> int:
        self._pid += 1 + self.random.randrange(5)
        return self._pid

    def note(
        self,
        unit: str,
        text: str,
        message_id: str = "",
        job: str = "",
        *,
        by: str = "systemd",
        pid: int = 1,
    ) -> None:
        """An entry for its journal."""
        entry = Entry(self.host_time(), self.state.boot_id, unit, text, by, pid, message_id, job)
        self.state.note(entry)

    def add(self, service: Service, *, is_running: bool = True) -> Service:
        """Give it a program, which has run for long."""
        self.services.append(service)
        if service.unit:
            self.state.units[service.unit.name] = service.unit
        if service.container:
            service.container.id = service.container.id or self._new_id()
            self.state.containers[service.container.name] = service.container
        if is_running:
            service.start()
        return service

    def service(self, name: str) -> Service | None:
        """A program by its unit's or its container's name."""
        for each in self.services:
            names = [part.name for part in (each.unit, each.container) if part]
            if name in names:
                return each
        return None

    # What is ordered on it: see scripts.Orders.

    async def systemctl(self, order: str, unit: str) -> Said:
        found = self.state.unit(unit)
        service = self.service(unit)
        if order == "reset-failed":
            self._reset_failed(found)
            return Said()
        if found.load == "masked" and order != "stop":
            return Said(1, "", f"Failed to {order} {unit}: Unit {unit} is masked.")
        if service is None:
            return Said(5, "", f"Failed to {order} {unit}: Unit {unit} not loaded.")
        orders = {"start": service.start, "stop": service.stop, "restart": service.restart}
        self.later(0.02, orders[order])
        return Said()

    def _reset_failed(self, unit: Unit) -> None:
        if unit.active == "failed":
            unit.active, unit.sub, unit.result, unit.exit_code = "inactive", "dead", "success", 0
            unit.n_restarts = 0 if unit.n_restarts is not None else None
        if unit.file_state == "transient":
            self.state.units.pop(unit.name, None)

    async def engine(self, engine: str, order: str, container: str) -> Said:
        service = self.service(container)
        if service is None:
            return Said(1, "", f"Error: No such container: {container}")
        {"start": service.start, "stop": service.stop, "restart": service.restart}[order]()
        while order == "stop" and service.is_running:  # noqa: ASYNC110  the world's time is cheap
            await asyncio.sleep(0.5)
        return Said(0, container)

    async def reboot(self) -> Said:
        if self.habits.inhibited_by:
            return Said(1, "", self.habits.inhibited_by)
        self.reboot_orders.append(self.now())
        if self.habits.loses_orders:
            self.habits.loses_orders -= 1
        else:
            self.later(self.habits.order_takes, self.go_down)
        return Said()

    async def store(self, unit: str, content: bytes) -> Said:
        if self.state.disk_is_full:
            path = f"/var/lib/openstack-maintenance/{unit}"
            return Said(1, "", f"install: error writing '{path}': No space left on device")
        self._stored[unit] = content
        return Said()

    async def systemd_run(self, unit: str) -> Said:
        if unit in self.state.units:
            what = f"Unit {unit} was already loaded or has a fragment file."
            return Said(1, "", f"Failed to start transient service unit: {what}")
        now = self.host_time()
        pid = self.new_pid()
        self.state.units[unit] = Unit(
            unit,
            active="active",
            sub="running",
            main_pid=pid,
            file_state="transient",
            active_enter=now,
            exec_start=now,
        )
        self.note(unit, f"Started {unit} - maintenance script.", STARTED, "start")
        play = self.scripts(self._stored.get(unit, b""))
        self.scripts_run.append(play)
        for number, line in enumerate(play.output, 1):
            at = play.seconds * number / (len(play.output) + 1)
            self.later(at, functools.partial(self.note, unit, line, by="sh", pid=pid))
        self.later(play.seconds, lambda: self._script_ends(unit, play))
        return Said(0, "", f"Running as unit: {unit}")

    def _script_ends(self, name: str, play: ScriptPlay) -> None:
        unit = self.state.units.get(name)
        if unit is None:
            return
        unit.main_pid, unit.exit_code, unit.exec_exit = 0, play.exit_code, self.host_time()
        unit.active, unit.sub = ("failed", "failed") if play.exit_code else ("active", "exited")
        unit.result = "exit-code" if play.exit_code else "success"

    # Its power.

    def go_down(self) -> None:
        """It reboots in order."""
        if self.power != "up":
            return
        self.power = "going down"
        self._end_sessions()
        for connection in list(self.connections):
            connection.closed_by_host()
        for service in self.services:
            if service.is_running:
                service.shut_down()
        self.later(self.habits.going_down_takes, lambda: self._off(in_order=True))

    def crash(self, *, comes_back: bool = True) -> None:
        """It panics, or its power is cut: nobody says goodbye."""
        if self.power != "off":
            self._off(in_order=False, comes_back=comes_back)

    def switch_on(self) -> None:
        """Somebody presses the button, at its console or over its BMC."""
        if self.power == "off":
            self._later_boot()

    def power_cycle(self) -> None:
        """Somebody resets it."""
        self.crash(comes_back=False)
        self.switch_on()

    def freeze(self) -> None:
        """It hangs: it answers nothing, and its guests stand still."""
        self.power = "frozen"
        self._life += 1
        self._end_sessions()
        self._silence()
        if self.nova_compute and self.nova_compute.is_connected:
            self.cloud.host_loses_broker(self.name)

    def _off(self, *, in_order: bool, comes_back: bool = True) -> None:
        if in_order:
            self.note("", "Journal stopped", FAREWELL, by="systemd-journald", pid=300)
        self._life += 1
        self.power = "off"
        self._end_sessions()
        self._silence()
        for service in self.services:
            service.vanish(in_order=in_order)
        transient = [each.name for each in self.state.units.values() if _is_transient(each)]
        for name in transient:
            del self.state.units[name]
        self._guest_pids.clear()
        if in_order:
            self.cloud.host_reboots(self.name)
        else:
            self.cloud.host_fails(self.name)
        self.stray_guests.clear()  # who is told of the end still sees whom it takes down
        if comes_back:
            self._later_boot()

    def _later_boot(self) -> None:
        self._life += 1
        self.later(self.habits.firmware_takes, self._boot)

    def _boot(self) -> None:
        habits, state = self.habits, self.state
        if habits.hanging_boots:
            habits.hanging_boots -= 1
            self.power = "frozen"
            return
        self.power = "starting"
        if habits.clock_at_boot is not None:
            state.clock.set(self.now(), habits.clock_at_boot)
            if habits.clock_is_right_after is not None:
                self.later(habits.clock_is_right_after, lambda: state.clock.set(self.now(), 0.0))
        state.boot_id = self._new_boot_id()
        state.booted = self.host_time()
        state.boots.append(Boot(state.boot_id, state.booted, state.booted))
        self._boot_packages()
        self.later(habits.kernel_takes, self._up)

    def _boot_packages(self) -> None:
        packages = self.state.packages
        packages.required_since, packages.wanted_by = None, []
        if packages.needs_restarting:
            packages.needs_restarting = (0, ["Reboot should not be necessary."])
        if packages.kernels and not packages.is_held:
            packages.kernel = list(packages.kernels)[-1]

    def _up(self) -> None:
        self.power = "up"
        self.cloud.host_has_booted(self.name)
        habits = self.habits
        if habits.systemd_silent_for:
            self.state.systemd_is_silent = True
            self.later(habits.systemd_silent_for, self._systemd_answers)
        self.later(habits.units_start_after, self._start_units)
        if habits.panics_after:
            self.later(habits.panics_after.pop(0), self.crash)

    def _systemd_answers(self) -> None:
        self.state.systemd_is_silent = False

    def _start_units(self) -> None:
        for service in self.services:
            if service.starts_at_boot:
                service.start()

    # Its network.

    def cut(self) -> None:
        """Nothing goes in or out any more."""
        self.is_cut = True
        self._silence()
        if self.nova_compute:
            self.nova_compute.find_silence()

    def uncut(self) -> None:
        """The network is back."""
        self.is_cut = False
        if self.power in ("up", "going down"):
            for connection in list(self.connections):
                connection.heard_again()
        if self.nova_compute:
            self.nova_compute.hear_again()

    def _silence(self) -> None:
        for connection in list(self.connections):
            connection.gone_silent()

    def _end_sessions(self) -> None:
        for task in list(self.running):
            task.cancel()

    def _new_boot_id(self) -> str:
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def _new_id(self) -> str:
        return hashlib.sha256(self.random.randbytes(16)).hexdigest()


def _is_transient(unit: Unit) -> bool:
    return unit.file_state == "transient"
