"""What happens to the control plane: conductor, broker, a cell's database."""

from __future__ import annotations

from simulator.cloud.cold_migration import ColdMigrations
from simulator.cloud.live_migration import LiveMigrations
from simulator.cloud.live_requests import LiveRequests
from simulator.cloud.model import Cell
from simulator.cloud.services import Services
from simulator.cloud.state import State


class ControlPlane:
    """Its parts go away and come back."""

    def __init__(
        self,
        state: State,
        services: Services,
        live: LiveRequests,
        life: LiveMigrations,
        cold: ColdMigrations,
    ) -> None:
        self._state = state
        self._services = services
        self._live = live
        self._life = life
        self._cold = cold

    def lose_conductor(self, chance_in_hand: float = 0.0) -> None:
        """All conductors die. What they were directing stays as it is, for ever.

        ``chance_in_hand``: that a migration under way loses a call, which ends in ERROR.
        """
        if self._state.conductor_is_away:
            return
        self._state.note("fault", "nova-conductor dies")
        self._state.conductor_is_away = True
        self._live.lose_conductor()
        self._cold.lose_conductor()
        draw = self._state.random.random
        if chance_in_hand:
            self._life.lose_calls(lambda migration: draw() < chance_in_hand)
        for service in self._state.services.values():
            if service.binary == "nova-conductor":
                self._services.end_beats(service)
        self._judge_silence()

    def conductor_returns(self) -> None:
        """Conductors run again, and take the messages that have waited."""
        self._state.note("fault", "nova-conductor is back")
        self._state.conductor_is_away = False
        for service in self._state.services.values():
            if service.binary == "nova-conductor":
                self._services.begin_beats(service)
        self._judge_silence()
        self._state.release_held()

    def lose_broker(self) -> None:
        """The message broker does not answer."""
        self._state.note("fault", "the broker goes away")
        self._state.broker_is_away = True
        self._judge_silence()

    def broker_returns(self) -> None:
        """It answers again; messages that have waited are sent."""
        self._state.note("fault", "the broker is back")
        self._state.broker_is_away = False
        self._judge_silence()
        self._state.release_held()

    def lose_cell(self, cell: Cell) -> None:
        """A cell's database does not answer."""
        self._state.note("fault", f"the database of cell {cell.name} goes away")
        cell.is_away = True
        self._judge_silence()

    def cell_returns(self, cell: Cell) -> None:
        """It answers again."""
        self._state.note("fault", f"the database of cell {cell.name} is back")
        cell.is_away = False
        self._judge_silence()

    def _judge_silence(self) -> None:
        """Heartbeats travel over the bus, through a conductor, into the cell's database."""
        is_cut = self._state.broker_is_away or self._state.conductor_is_away
        for cell in self._state.cells.values():
            if is_cut or cell.is_away:
                self._services.silence(cell)
            else:
                self._services.end_silence(cell)
