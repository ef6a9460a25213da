"""What a maintenance could change, as tests compare it: of the lab, and of the simulated cloud."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """Everything that a maintenance could change, at one moment."""

    services: dict[str, tuple[str, str | None]]
    boots: dict[str, str]
    instances: dict[str, tuple[str | None, str]]
    migrations: int

    def changed(self, earlier: Picture) -> set[str]:
        """The hosts, instances and lists that are not as they were."""
        found = {"migrations"} if self.migrations != earlier.migrations else set()
        for now, then in (
            (self.services, earlier.services),
            (self.boots, earlier.boots),
            (self.instances, earlier.instances),
        ):
            found |= {name for name in now.keys() | then.keys() if now.get(name) != then.get(name)}
        return found
