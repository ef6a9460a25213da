"""A program that a host runs, as systemd or a container engine starts and stops it over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.hosts.state import EXITED, FAILED, STARTED, STOPPED, Container, Process, Unit

if TYPE_CHECKING:
    from simulator.hosts.machine import Machine


@dataclass
class ServiceHabits:
    """How long a program takes, and what it does wrong. Seconds."""

    stop_takes: float = 1.0
    hangs_at_stop: bool = False  # it does not heed SIGTERM ...
    kill_after: float = 90.0  # ... until it is killed (TimeoutStopSec)
    survives_kill: bool = False  # its process sits in the kernel, and stays
    failing_starts: int = 0  # so many starts to come end by themselves ...
    fails_after: float = 1.0  # ... after so long
    restart_after: float | None = None  # Restart=on-failure, RestartSec
    start_limit: int = 5
    comes_back_after: float | None = None  # a supervisor, or a Juju hook, starts it again


@dataclass
class Service:
    """One program. ``unit`` or ``container``, or a unit that starts a container."""

    machine: Machine
    comm: str
    unit: Unit | None = None
    container: Container | None = None
    args: str = ""
    habits: ServiceHabits = field(default_factory=ServiceHabits)
    on_started: Callable[[], None] = lambda: None
    on_ended: Callable[[], None] = lambda: None
    ended_in_order: bool = True  # its last process, and not killed
    pid: int = 0
    run: int = 0  # counts its starts: what was to happen in an earlier one does not happen
    _is_stopping: bool = False
    _is_wanted_again: bool = False
    _was_stopped_by_hand: bool = False

    @property
    def name(self) -> str:
        if self.unit:
            return self.unit.name
        return self.container.name if self.container else self.comm

    @property
    def is_running(self) -> bool:
        return bool(self.pid)

    @property
    def starts_at_boot(self) -> bool:
        if self.unit:
            return self.unit.load == "loaded" and self.unit.file_state == "enabled"
        policy = self.container.policy if self.container else ""
        return policy == "always" or (policy == "unless-stopped" and not self._was_stopped_by_hand)

    @property
    def process(self) -> Process | None:
        if not self.pid:
            return None
        cgroup = f"/system.slice/{self.name}"
        if self.container:
            cgroup = f"/system.slice/docker-{self.container.id}.scope"
        return Process(self.pid, self.comm, self.args or f"/usr/bin/{self.comm}", cgroup)

    # Orders.

    def start(self) -> None:
        """Somebody starts it; what stops just now starts after that."""
        if self.machine.power != "up":
            return
        self._was_stopped_by_hand = False
        if self._is_stopping:
            self._is_wanted_again = True
        elif not self.pid:
            self._start()

    def stop(self) -> None:
        """Somebody stops it."""
        self._was_stopped_by_hand = True
        self.shut_down()
        self._supervise()

    def shut_down(self) -> None:
        """The host goes down in order, and everything on it."""
        self._is_wanted_again = False
        if not self.pid:
            self._show("inactive", "dead")
            self.run += 1  # an automatic restart that was to come does not
        elif not self._is_stopping:
            self._stop()

    def restart(self) -> None:
        """Somebody restarts it."""
        if self.pid and not self._is_stopping:
            self._stop()
        if self._is_stopping:
            self._is_wanted_again = True
        else:
            self._start()

    def die(self, exit_code: int = 1) -> None:
        """Its process ends by itself, or is killed."""
        if not self.pid:
            return
        self._note("Main process exited, code=exited, status=" + str(exit_code), EXITED)
        self._ended(exit_code, "exit-code")
        unit, habits = self.unit, self.habits
        restarts = unit.n_restarts or 0 if unit else 0
        if habits.restart_after is not None and unit and restarts < habits.start_limit:
            unit.n_restarts = restarts + 1
            self._show("activating", "auto-restart")
            self._later(habits.restart_after, self._start)
            return
        self._show("failed", "failed")
        self._note("Failed with result 'exit-code'.", FAILED)
        self._supervise()

    def vanish(self, *, in_order: bool) -> None:
        """The host went down under it."""
        was, self.ended_in_order = self.pid, in_order
        self.run += 1
        self.pid = 0
        self._is_stopping = self._is_wanted_again = False
        if self.unit:
            self.unit.main_pid, self.unit.active, self.unit.sub = 0, "inactive", "dead"
            self.unit.active_enter = self.unit.inactive_enter = None
            self.unit.exec_start = self.unit.exec_exit = None
            self.unit.n_restarts = 0 if self.unit.n_restarts is not None else None
            self.unit.result, self.unit.exit_code = "success", 0
        if self.container:
            self.container.pid, self.container.status = 0, "exited"
        if was:
            self.on_ended()

    # What happens.

    def _start(self) -> None:
        self.run += 1
        self.pid = self.machine.new_pid()
        now = self.machine.host_time()
        if self.unit:
            self.unit.main_pid, self.unit.active_enter, self.unit.exec_start = self.pid, now, now
            self.unit.exec_exit, self.unit.result, self.unit.exit_code = None, "success", 0
        if self.container:
            self.container.pid, self.container.started = self.pid, now
        self._show("active", "running")
        self._note(f"Started {self.name}.", STARTED, "start")
        self.on_started()
        if self.habits.failing_starts:
            self.habits.failing_starts -= 1
            self._later(self.habits.fails_after, self.die)

    def _stop(self) -> None:
        self._is_stopping = True
        self._show("deactivating", "stop-sigterm", "running")
        self._note(f"Stopping {self.name}...")
        if self.habits.hangs_at_stop:
            self._later(self.habits.kill_after, self._killed)
        else:
            self._later(self.habits.stop_takes, self._stopped)

    def _stopped(self) -> None:
        self._ended(0, "success")
        self._show("inactive", "dead")
        self._note("Deactivated successfully.")
        self._note(f"Stopped {self.name}.", STOPPED, "stop")
        self._go_on()

    def _killed(self) -> None:
        self._note("State 'stop-sigterm' timed out. Killing.")
        if self.habits.survives_kill:
            self._is_stopping = False
            if self.unit:
                self.unit.main_pid, self.unit.result = 0, "timeout"
        else:
            self._ended(137, "timeout")
        self._show("failed", "failed")
        self._note("Failed with result 'timeout'.", FAILED)
        self._go_on()

    def _ended(self, exit_code: int, result: str) -> None:
        now = self.machine.host_time()
        self.run += 1
        self.pid, self._is_stopping = 0, False
        self.ended_in_order = exit_code == 0
        if self.unit:
            self.unit.main_pid, self.unit.exit_code, self.unit.result = 0, exit_code, result
            self.unit.exec_exit = now
        if self.container:
            self.container.pid = 0
        self.on_ended()

    def _go_on(self) -> None:
        if self._is_wanted_again:
            self._is_wanted_again = False
            self._start()

    def _supervise(self) -> None:
        if self.habits.comes_back_after is not None:
            self.machine.later(self.habits.comes_back_after, self.start)

    def _show(self, active: str, sub: str, status: str = "") -> None:
        if self.unit:
            if active in ("inactive", "failed") and self.unit.active != active:
                self.unit.inactive_enter = self.machine.host_time()
            self.unit.active, self.unit.sub = active, sub
        if self.container:
            self.container.status = status or ("running" if active == "active" else "exited")

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        run = self.run
        self.machine.later(seconds, lambda: what() if self.run == run else None)

    def _note(self, text: str, message_id: str = "", job: str = "") -> None:
        if self.unit:
            is_whole = text.startswith(("Start", "Stop"))
            self.machine.note(
                self.unit.name, text if is_whole else f"{self.name}: {text}", message_id, job
            )
        elif self.container:
            self.container.log.append(text)
