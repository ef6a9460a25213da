"""Orders to nova-compute: what a host is told waits until its nova-compute takes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from simulator.cloud.model import Instance
from simulator.cloud.state import State


class Operations:
    """One thing at a time happens to an instance: its timer."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._unread: dict[str, list[Callable[[], object]]] = defaultdict(list)

    def next(
        self,
        instance: Instance,
        seconds: float,
        what: Callable[[], object],
        host: str | None = None,
    ) -> None:
        """Let a host do something with an instance after some time: its own host by default."""
        where = host or instance.host or ""
        if instance.timer is not None:
            instance.timer.cancel()
        instance.orders += 1
        do = partial(self._do, instance, what, where, instance.orders)
        instance.timer = self._state.later(seconds, do)

    def _do(self, instance: Instance, what: Callable[[], object], host: str, order: int) -> None:
        state = self._state
        again = partial(self._do, instance, what, host, order)
        if instance.is_deleted or order != instance.orders:
            return
        if state.conductor_is_away or state.broker_is_away:
            state.held.append(again)
        elif host and not state.hosts[host].is_computing:
            self._unread[host].append(again)
        else:
            what()

    def started(self, host: str) -> None:
        """nova-compute reads what has waited in its queue."""
        for order in self._unread.pop(host, []):
            order()
