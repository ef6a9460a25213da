"""Only what we have disabled is enabled, and what somebody else has disabled stays theirs."""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.cloud.journal import Entry
from simulator.judges.limits import MARK
from simulator.stage import Stage

# Nova has no "only if it is still so": what somebody does in this moment cannot be seen in time.
_TOO_CLOSE = timedelta(seconds=5)


class OnlyOurs:
    """Who has set a service last, and how."""

    def __init__(self, stage: Stage) -> None:
        self._found: list[str] = []
        # By host: who has disabled it, with which reason, and since when.
        self._disabled: dict[str, tuple[str, str, datetime | None]] = {}
        for name, host in stage.world.cloud.state.hosts.items():
            if host.service.is_disabled:
                reason = host.service.disabled_reason or ""
                who = "client" if MARK.match(reason) else "somebody"
                self._disabled[name] = (who, reason, None)
        stage.world.cloud.journal.listeners.append(self._heard)

    def _heard(self, entry: Entry) -> None:
        if not entry.what.startswith(("enabled", "disabled")) or not entry.host:
            return
        who, reason, since = self._disabled.get(entry.host, ("", "", None))
        is_new = since is not None and entry.at - since < _TOO_CLOSE
        if entry.who == "client" and who not in ("", "client") and not is_new:
            did = entry.what.partition(":")[0]
            self._found.append(f"a run {did} {entry.host}, which {who} had disabled ({reason})")
        if entry.what.startswith("enabled"):
            self._disabled.pop(entry.host, None)
            return
        reason = entry.what.removeprefix("disabled: ")
        if entry.who == "client" and not MARK.match(reason):
            self._found.append(f"{entry.host} was disabled without a mark: {reason}")
        self._disabled[entry.host] = (entry.who, reason, entry.at)

    def verdicts(self) -> list[str]:
        return self._found
