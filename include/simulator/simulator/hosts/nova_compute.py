"""nova-compute on a host: how it reaches the broker, and what it writes into its log about that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from simulator.clock import VirtualTime
from simulator.hosts.machine import Machine
from simulator.hosts.service import Service
from simulator.hosts.state import LogFile, Socket

# By the generations of oslo.messaging: see domain/host/amqp_log.py of the plugin.
Release = Literal["liberty", "mitaka", "newton", "now"]
_LOGGER = "oslo.messaging._drivers.impl_rabbit"
_TAIL = {
    "liberty": "",
    "mitaka": " via [amqp] client",
    "newton": " via [amqp] clientwith port {port}.",
    "now": " via [amqp] client with port {port}.",
}


class MessageBroker:
    """The broker as nova-compute sees it: one address, there or not."""

    def __init__(self, clock: VirtualTime, address: str = "10.0.0.10:5672") -> None:
        self.clock = clock
        self.address = address
        self.is_up = True
        self.clients: list[NovaCompute] = []

    def goes_down(self) -> None:
        """Every connection is closed."""
        self.is_up = False
        for client in self.clients:
            client.lose_broker()

    def comes_back(self) -> None:
        """Clients find it at their next attempt."""
        self.is_up = True


@dataclass
class NovaComputeHabits:
    """What its release logs, and how long it takes. ``logs_connections``: default_log_levels
    has impl_rabbit=DEBUG. ``zone``: of its container, where that is not the host's.
    """

    release: Release = "now"
    version: str = "34.0.0"
    logs_connections: bool = False
    connections: int = 4
    tells_start_after: float = 2.0
    connects_after: float = 3.4
    tries_again_after: float = 5.0
    finds_silence_after: float = 60.0  # heartbeat_timeout_threshold
    zone: str = ""
    is_mute: bool = False  # it logs to the journal alone


class NovaCompute:
    """The program of one `Service`; ``is_connected``: it sends heartbeats."""

    def __init__(
        self,
        machine: Machine,
        service: Service,
        broker: MessageBroker,
        log: LogFile,
        habits: NovaComputeHabits | None = None,
    ) -> None:
        self.machine, self.service, self.broker, self.log = machine, service, broker, log
        self.habits = habits or NovaComputeHabits()
        self.is_connected = False
        self.has_started = False  # it has reached the broker since its process began
        self.sockets: list[Socket] = []
        self._ids: list[str] = []
        broker.clients.append(self)
        machine.nova_compute = self
        service.on_started = self._started
        service.on_ended = self._ended

    def has_run_for_long(self) -> None:
        """Its start is over: it is on the broker."""
        self.service.run += 1  # what was to happen after its start has happened
        self._tell_start()
        self._connect()

    # The service manager's side.

    def _started(self) -> None:
        self._later(self.habits.tells_start_after, self._tell_start)
        self._later(self.habits.connects_after, self._connect)

    def _tell_start(self) -> None:
        text = f"Starting compute node (version {self.habits.version})"
        self._write("INFO", "nova.service", text)

    def _ended(self) -> None:
        self.sockets, self.is_connected = [], False
        if self.has_started:
            self.has_started = False
            in_order = self.service.ended_in_order
            self.machine.cloud.host_stops_nova_compute(self.machine.name, in_order=in_order)

    # The broker's side.

    @property
    def can_reach_broker(self) -> bool:
        cut = self.machine.is_cut or self.machine.is_cut_from_broker
        return self.broker.is_up and not cut

    def lose_broker(self) -> None:
        """The connections are closed."""
        if self.is_connected:
            self.sockets, self.is_connected = [], False
            self.machine.cloud.host_loses_broker(self.machine.name)
            self._unreachable("[Errno 104] Connection reset by peer", again=True)

    def find_silence(self) -> None:
        """The broker does not answer any more: it is noticed after a while."""

        def notice() -> None:
            if self.is_connected and not self.can_reach_broker:
                self.lose_broker()

        if self.is_connected:
            self.machine.cloud.host_loses_broker(self.machine.name)
            self._later(self.habits.finds_silence_after, notice)

    def hear_again(self) -> None:
        """It answers again; connections that were not given up go on."""
        if self.is_connected and self.can_reach_broker:
            self.machine.cloud.host_reaches_broker(self.machine.name)

    def _connect(self, again: bool = False) -> None:
        if not self.can_reach_broker:
            self._unreachable("[Errno 111] ECONNREFUSED", again)
            return
        self.is_connected = True
        self._ids = [self._new_id() for _ in range(self.habits.connections)]
        self.sockets = []
        for number, each in enumerate(self._ids):
            port = 34000 + self.machine.random.randrange(20000)
            local = f"{self.machine.address}:{port}"
            pid = self.service.pid
            socket = Socket(local, self.broker.address, "nova-compute", pid, 4 + number)
            self.sockets.append(socket)
            self._tell_connected(each, port, again)
        cloud, name = self.machine.cloud, self.machine.name
        if self.has_started:
            cloud.host_reaches_broker(name)
        else:
            self.has_started = True
            cloud.host_starts_nova_compute(name)

    def _tell_connected(self, connection: str, port: int, again: bool) -> None:
        release = self.habits.release
        words = "Reconnected" if again else "Connected"
        tail = _TAIL[release].format(port=port)
        text = f"{self._prefix(connection)}{words} to AMQP server on {self.broker.address}{tail}"
        if again or release == "liberty":
            self._write("INFO", _LOGGER, text)
        elif self.habits.logs_connections:
            self._write("DEBUG", _LOGGER, text)

    def _unreachable(self, why: str, again: bool) -> None:
        ids = self._ids or [self._new_id()]
        for each in ids[:1] if not again else ids:
            self._write(
                "ERROR",
                _LOGGER,
                f"{self._prefix(each)}AMQP server on {self.broker.address} is unreachable: {why}. "
                f"Trying again in {self.habits.tries_again_after:g} seconds.",
            )
        self._ids = ids
        self._later(self.habits.tries_again_after, lambda: self._connect(again))

    # Its log.

    def _prefix(self, connection: str) -> str:
        return f"[{connection}] " if self.habits.release in ("newton", "now") else ""

    def _new_id(self) -> str:
        return str(UUID(int=self.machine.random.getrandbits(128), version=4))

    def _write(self, level: str, logger: str, text: str) -> None:
        at = self.machine.host_time()
        line = f"{self._local(at)} {self.service.pid} {level} {logger} [-] {text}"
        unit = self.service.unit
        if unit:
            self.machine.note(unit.name, line, by="nova-compute", pid=self.service.pid)
        if not self.habits.is_mute and not self.machine.state.disk_is_full:
            self.log.write(line, at)

    def _local(self, at: datetime) -> str:
        shown = at.astimezone(ZoneInfo(self.habits.zone)) if self.habits.zone else at
        return f"{shown:%Y-%m-%d %H:%M:%S}.{shown.microsecond // 1000:03}"

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        run = self.service.run
        self.machine.later(seconds, lambda: what() if self.service.run == run else None)
