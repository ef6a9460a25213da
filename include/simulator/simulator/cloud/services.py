"""Services of Nova: heartbeats, up and down, disabled and enabled.

A heartbeat is computed from the time at which somebody asks: 1,000 hosts need no timers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.cloud.model import Cell, ComputeHost, Service
from simulator.cloud.refusals import BadRequest, Broken, NotFound
from simulator.cloud.state import State

LONGEST_REASON = 255
DISABLED_TRAIT = "COMPUTE_STATUS_DISABLED"


class Services:
    """What `openstack compute service ...` shows and does."""

    def __init__(self, state: State) -> None:
        self._state = state

    def cell_of(self, service: Service) -> Cell | None:
        """The cell of a compute service; None for the control plane's own."""
        host = self._state.hosts.get(service.host)
        return host.cell if host is not None and host.service is service else None

    def last_beat(self, service: Service) -> datetime | None:
        """When the service last reported, by the control plane's clock."""
        if service.beats_since is None:
            return service.last_beat
        now = self._state.now()
        cell = self.cell_of(service)
        if cell is None:
            return self._beat_at(service, now)
        if cell.silent_from is not None:
            return self._beat_at(service, cell.silent_from)
        found = self._beat_at(service, now)
        if cell.last_silence is not None:
            began, ended = cell.last_silence
            if found is not None and began < found < ended:
                return self._beat_at(service, began)
        return found

    def _beat_at(self, service: Service, moment: datetime) -> datetime | None:
        began = service.beats_since
        if began is None or moment < began:
            return service.last_beat
        interval = self._state.settings.report_interval
        beats = int((moment - began).total_seconds() // interval)
        return began + timedelta(seconds=beats * interval)

    def shown(self, service: Service) -> tuple[bool, datetime | None]:
        """Whether it is up, and ``updated_at``: an enable or a disable moves that as well."""
        beat = self.last_beat(service)
        times = [each for each in (beat, service.written_at) if each]
        return self._is_up(service, beat), max(times, default=None)

    def is_up(self, service: Service) -> bool:
        """As Nova judges it."""
        return self._is_up(service, self.last_beat(service))

    def _is_up(self, service: Service, beat: datetime | None) -> bool:
        if service.is_forced_down or beat is None:
            return False
        elapsed = (self._state.now() - beat).total_seconds()
        return abs(elapsed) <= self._state.settings.service_down_time

    def get(self, service_id: str) -> Service:
        """Raises: NotFound; Broken where its cell does not answer."""
        service = self._state.services.get(service_id)
        if service is None:
            raise NotFound(f"Service {service_id} could not be found.")
        cell = self.cell_of(service)
        if cell is not None and cell.is_away:
            raise Broken("oslo_db.exception.DBConnectionError")
        return service

    def update(
        self,
        service: Service,
        status: str | None = None,
        reason: str | None = None,
        is_forced_down: bool | None = None,
        who: str = "operator",
    ) -> None:
        """Enable, disable, force down. Raises: BadRequest."""
        if service.binary != "nova-compute":
            raise BadRequest(
                f"Updating a {service.binary} service is not supported. Only nova-compute "
                "services can be updated."
            )
        if status is None and is_forced_down is None:
            raise BadRequest(
                "No updates were requested. Fields 'status' or 'forced_down' should be specified."
            )
        if status == "enabled" and reason:
            raise BadRequest("Specifying 'disabled_reason' with status 'enabled' is invalid.")
        if reason is not None and not 1 <= len(reason) <= LONGEST_REASON:
            raise BadRequest(
                f"Invalid input for field/attribute disabled_reason. Value: {reason}. "
                f"'{reason}' is too long"
            )
        if status is not None:
            service.is_disabled = status == "disabled"
            service.disabled_reason = reason if service.is_disabled else None
            self._state.note(who, f"{status}: {reason or ''}".rstrip(": "), host=service.host)
        if is_forced_down is not None:
            service.is_forced_down = is_forced_down
            self._state.note(who, f"forced_down {is_forced_down}", host=service.host)
        service.written_at = self._state.now()
        host = self._state.hosts.get(service.host)
        if host is not None and self.is_up(service):
            self.sync_trait(host)

    def sync_trait(self, host: ComputeHost) -> None:
        """nova-compute tells Placement whether it is disabled."""
        if host.service.is_disabled == (DISABLED_TRAIT in host.traits):
            return
        host.traits.symmetric_difference_update({DISABLED_TRAIT})
        host.generation += 1

    def begin_beats(self, service: Service) -> None:
        """Its process has started; it reports at once, and then every report_interval."""
        service.last_beat = self.last_beat(service)
        service.beats_since = self._state.now()

    def end_beats(self, service: Service) -> None:
        """Its process has ended."""
        service.last_beat = self.last_beat(service)
        service.beats_since = None

    def silence(self, cell: Cell) -> None:
        """No heartbeat reaches the cell's database from now on."""
        if cell.silent_from is None:
            cell.silent_from = self._state.now()

    def end_silence(self, cell: Cell) -> None:
        """Heartbeats reach it again, each at its next turn."""
        if cell.silent_from is not None:
            cell.last_silence = (cell.silent_from, self._state.now())
            cell.silent_from = None
