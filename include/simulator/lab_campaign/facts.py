"""What happened on the lab, as somebody there wrote it down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Fact:
    """One thing that happened. ``kind`` says what the rest is:

    boot              ``host`` has booted; ``what`` is the boot's id
    guests            ``host``'s hypervisor has these, ``value``: power states by instance id
    stop order        somebody ordered ``host``'s nova-compute to stop
    reboot order      somebody ordered ``host`` to reboot
    nova-compute ends it was killed on ``host``
    script            the maintenance script has run on ``host``
    service           ``host``'s nova-compute is ``what`` (enabled, or disabled: reason) by ``who``
    action            Nova was asked by ``who`` for ``what``, for ``instance``
    moves             a `Move` of ``instance`` begins, asked by ``who``; ``value``
    arrived           the guest of a cold one runs on its new host
    moved             it is over
    fault             a fault of the story, ``what``
    """

    at: datetime
    kind: str
    host: str = ""
    instance: str = ""
    who: str = ""
    what: str = ""
    value: Any = None


@dataclass
class Move:
    """A migration. ``is_over`` and ``status`` are as Nova has them at the moment of the replay."""

    uuid: str
    source: str
    destination: str | None
    status: str
    is_live: bool = True
    is_over: bool = False
