"""Every claim in a record is true of the simulated world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from simulator.cloud.journal import Entry
from simulator.events import HOST_DAG
from simulator.stage import Stage

_CLOSE = timedelta(seconds=30)


def records_of(stage: Stage) -> list[dict[str, Any]]:
    """All records that were written."""
    folder = stage.world.hosts.folder / "records"
    files = sorted(Path(folder).glob("*/*.json")) if folder.is_dir() else []
    found = (json.loads(file.read_text()) for file in files)
    return [each for each in found if isinstance(each, dict) and {"dag_id", "outcome"} <= set(each)]


class RecordsAreTrue:
    """Boots, moves, guests and services, as the journal and the machines have them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._moved: set[tuple[str, str]] = set()  # instance, and where its guest has been
        self._enabled: list[Entry] = []
        self._reboots: list[Entry] = []
        self._changes: list[Entry] = []
        stage.world.cloud.journal.listeners.append(self._heard)

    def _heard(self, entry: Entry) -> None:
        if entry.who == "guest" and entry.what.startswith(("has moved", "starts")):
            self._moved.add((entry.instance, entry.host))
        elif entry.who == "host" and entry.what == "has booted":
            self._reboots.append(entry)
        elif entry.who == "client":
            self._changes.append(entry)
            if entry.what.startswith("enabled"):
                self._enabled.append(entry)

    def verdicts(self) -> Iterator[str]:
        for record in records_of(self._stage):
            if record["dag_id"] == HOST_DAG:
                for each in self._of_host(record):
                    yield f"the record of {record['run_id']} {each}"

    def _of_host(self, record: dict[str, Any]) -> Iterator[str]:
        evidence = record.get("evidence") or {}
        host = str(record.get("host"))
        if host not in self._stage.world.hosts.machines:
            return
        if record["outcome"] == "dry_run":
            yield from self._of_dry_run(record)
        yield from self._of_boot(host, evidence.get("reboot"))
        for move in record.get("moves", []):
            yield from self._of_move(move)
        if record["outcome"] == "done":
            yield from self._of_done(record, host)

    def _of_boot(self, host: str, claimed: Any) -> Iterator[str]:
        if not isinstance(claimed, dict):
            return
        before, after = claimed.get("boot_id_before"), claimed.get("boot_id_after")
        real = [boot.id for boot in self._stage.machine(host).state.boots]
        if before not in real or after not in real:
            yield f"names boots of {host} that never were"
        elif real.index(before) >= real.index(after):
            yield f"calls {host} rebooted, and it was not"

    def _of_move(self, move: dict[str, Any]) -> Iterator[str]:
        who, to = move["instance_id"], move.get("host")
        if move.get("outcome") != "moved":
            return
        if to == move.get("source"):
            yield f"says that {who} moved from {to} to {to}"
        is_cold = move.get("method") == "cold"
        if (who, to) not in self._moved and not is_cold:
            yield f"says that {who} moved to {to}, where its guest never was"

    def _of_done(self, record: dict[str, Any], host: str) -> Iterator[str]:
        began, ended = (datetime.fromisoformat(record[key]) for key in ("started_at", "ended_at"))
        began -= _CLOSE
        asked = record["asked"]
        if asked.get("reboot", True) and not any(
            each.host == host and each.at <= ended for each in self._reboots
        ):
            yield f"says that {host} is done, and it was not rebooted"
        if not any(each.host == host and each.at <= ended for each in self._enabled):
            yield f"says that {host} is back in service, and it was not enabled"

    def _of_dry_run(self, record: dict[str, Any]) -> Iterator[str]:
        began, ended = (datetime.fromisoformat(record[key]) for key in ("started_at", "ended_at"))
        if record.get("triggered_by") is None:
            return
        # Only where nothing else is going on.
        if len(self._stage.world.airflow.runs) == 1 and any(
            began <= each.at <= ended for each in self._changes
        ):
            yield "is one of a dry run, and something was changed"
