"""The campaign on the lab, as far as it goes without one: stories, and what judges are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab_campaign.draw import HOSTS, draw
from lab_campaign.events import KINDS
from lab_campaign.evidence import facts_of_actions, when
from lab_campaign.facts import Fact, Move
from lab_campaign.play import TASKS
from lab_campaign.replay import Replay, Told
from lab_campaign.witness import read_log, read_scripts, read_sudo

START = datetime(2026, 3, 10, tzinfo=UTC)
MARK = "disabled: [airflow compute_host_maintenance run-a] kernel"
RUNNING, OFF = 1, 4


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def boot(seconds: float, host: str, name: str) -> Fact:
    return Fact(at(seconds), "boot", host=host, what=name)


def guests(seconds: float, host: str, **states: int) -> Fact:
    return Fact(at(seconds), "guests", host=host, value=states)


def service(seconds: float, host: str, what: str, who: str = "client") -> Fact:
    return Fact(at(seconds), "service", host=host, who=who, what=what)


def moves(begins: float, ends: float, instance: str, source: str, to: str) -> list[Fact]:
    move = Move(f"{instance}-{begins}", source, to, "completed")
    began = Fact(at(begins), "moves", instance=instance, who="client", value=move)
    return [began, Fact(at(ends), "moved", instance=instance, value=move)]


def beginning() -> list[Fact]:
    """Two hosts; vm runs on c01."""
    return [
        boot(0, "c01", "boot-1"),
        boot(0, "c02", "boot-2"),
        guests(1, "c01", vm=RUNNING),
        guests(1, "c02"),
    ]


def a_good_maintenance() -> list[Fact]:
    """c01 is disabled, emptied, rebooted and enabled."""
    return [
        *beginning(),
        service(10, "c01", MARK),
        *moves(20, 25, "vm", "c01", "c02"),
        guests(24.1, "c01"),
        guests(24.3, "c02", vm=RUNNING),
        Fact(at(29), "stop order", host="c01"),
        Fact(at(29.5), "script", host="c01"),
        Fact(at(30), "reboot order", host="c01"),
        boot(33, "c01", "boot-3"),
        guests(34, "c01"),
        service(40, "c01", "enabled"),
    ]


def judged(
    facts: list[Fact], folder: Path, policy: dict[str, Any] | None = None, left: str = "vm vm2"
) -> list[str]:
    told = Told(policy or {}, [], folder, frozenset(left.split()))
    return Replay(facts, ["c01", "c02"], told).judged()


def test_a_seed_always_draws_the_same_story_and_another_seed_another() -> None:
    stories = [str(draw(seed)) for seed in range(50)]

    assert stories == [str(draw(seed)) for seed in range(50)]
    assert len(set(stories)) == 50


def test_a_story_uses_only_what_the_lab_can_do() -> None:
    seen = set()
    for seed in range(300):
        story = draw(seed)
        seen |= {event["do"] for event in story.events}
        target = story.requests[0]["host"]
        there = [each for each in story.fleet["instances"] if each["host"] == target]
        assert set(story.hosts) == set(HOSTS)
        assert 2 <= len(there) <= 6
        for event in story.events:
            assert ("at" in event) != ("when" in event)
            assert "when" not in event or event["when"].split()[1] in TASKS
    assert seen == set(KINDS)


def test_a_good_maintenance_is_fine_with_every_judge(tmp_path: Path) -> None:
    assert judged(a_good_maintenance(), tmp_path) == []


def test_what_a_killed_nova_compute_leaves_queued_is_not_in_flight(tmp_path: Path) -> None:
    left = Move("left", "c01", None, "queued")
    asked = Fact(at(11), "moves", instance="vm2", who="client", value=left)
    killed = Fact(at(12), "nova-compute ends", host="c01")

    assert any(
        each.startswith("limits") for each in judged([*a_good_maintenance(), asked], tmp_path)
    )
    assert judged([*a_good_maintenance(), asked, killed], tmp_path) == []


def with_more(*facts: Fact) -> Callable[[], list[Fact]]:
    return lambda: [*a_good_maintenance(), *facts]


@pytest.mark.parametrize(
    ("judge", "facts"),
    [
        ("boots: the reboot of c01", lambda: [*beginning(), boot(30, "c01", "boot-3")]),
        (
            "boots: nova-compute of c01 was stopped",
            lambda: [*beginning(), Fact(at(5), "stop order", host="c01")],
        ),
        (
            "guests: the guest of vm was shut down, and nobody",
            lambda: [
                *beginning(),
                Fact(at(5), "action", instance="vm", who="client", what="stop"),
            ],
        ),
        ("guests: the guest of vm runs on", with_more(guests(50, "c01", vm=RUNNING))),
        (
            "guests: the guest of vm was started, though",
            lambda: [
                *beginning(),
                Fact(at(5), "action", instance="vm", who="owner", what="stop"),
                guests(6, "c01", vm=OFF),
                Fact(at(7), "action", instance="vm", who="client", what="start"),
                guests(8, "c01", vm=RUNNING),
            ],
        ),
        (
            "once: c01 was rebooted 2 times",
            lambda: [
                *[fact for fact in a_good_maintenance() if fact.what != "enabled"],
                boot(50, "c01", "boot-4"),
            ],
        ),
        (
            "once: the script was run 2 times",
            lambda: [*a_good_maintenance(), Fact(at(29.7), "script", host="c01")],
        ),
        (
            "limits: 2 migrations off c01",
            lambda: [*a_good_maintenance(), *moves(22, 27, "vm2", "c01", "c02")],
        ),
        ("limits: 2 hosts were out", with_more(service(12, "c02", MARK))),
        (
            "ownership: a run enabled c02",
            with_more(service(5, "c02", "disabled: RAM", "kim"), service(15, "c02", "enabled")),
        ),
    ],
)
def test_a_judge_hears_of_the_lab(
    tmp_path: Path, judge: str, facts: Callable[[], list[Fact]]
) -> None:
    assert any(found.startswith(judge) for found in judged(facts(), tmp_path))


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        ({"evidence": {"reboot": {"boot_id_before": "boot-1", "boot_id_after": "boot-3"}}}, ""),
        (
            {"evidence": {"reboot": {"boot_id_before": "boot-1", "boot_id_after": "boot-9"}}},
            "names boots of c01 that never were",
        ),
        (
            {"moves": [{"instance_id": "vm", "source": "c01", "host": "c02", "outcome": "moved"}]},
            "",
        ),
        (
            {"moves": [{"instance_id": "vm2", "source": "c01", "host": "c02", "outcome": "moved"}]},
            "says that vm2 moved to c02, where its guest never was",
        ),
    ],
)
def test_what_a_record_claims_is_compared_with_the_lab(
    tmp_path: Path, record: dict[str, Any], wrong: str
) -> None:
    folder = tmp_path / "records/compute_host_maintenance"
    folder.mkdir(parents=True)
    whole = {
        "dag_id": "compute_host_maintenance",
        "run_id": "run-a",
        "host": "c01",
        "outcome": "done",
        "asked": {},
        "started_at": at(9).isoformat(),
        "ended_at": at(41).isoformat(),
        **record,
    }
    (folder / "run-a.json").write_text(json.dumps(whole))

    assert judged(a_good_maintenance(), tmp_path) == (
        [f"records: the record of run-a {wrong}"] if wrong else []
    )


def test_who_asked_nova_is_known_by_the_id_of_the_request() -> None:
    def action(name: str, request: str, second: int, user: str | None = "admin") -> dict[str, Any]:
        began = f"2026-03-10T00:00:{second:02}.000000"
        return {"action": name, "request_id": request, "start_time": began, "user_id": user}

    migration = {
        "uuid": "m1",
        "instance_uuid": "vm",
        "source_compute": "c01",
        "dest_compute": "c02",
        "status": "completed",
        "migration_type": "live-migration",
        "created_at": "2026-03-10T00:00:21.000000",
        "updated_at": "2026-03-10T00:00:29.000000",
    }
    asked = [
        action("stop", "req-owner", 5),
        action("start", "req-run", 6),
        action("stop", "req-sync", 7, user=None),
        action("live-migration", "req-move", 20),
        action("live-migration", "req-later", 40),
    ]
    found = list(facts_of_actions("vm", asked, [migration], {"owner": {"req-owner"}}))

    said = {(fact.kind, fact.what or fact.who): (fact.who, fact.at) for fact in found}
    assert [fact.who for fact in found if fact.what == "stop"] == ["owner", "nova"]
    assert said["action", "start"] == ("client", at(6))
    assert said["moves", "client"] == ("client", at(20))
    assert [fact.at for fact in found if fact.kind == "moved"] == [at(29)]
    assert when("2026-03-10T00:00:05.000000") == at(5)


def test_a_hosts_own_notes_are_read() -> None:
    log = '{"at": 1773100800.5, "boot": "b"}\n{"at": 1773100801.0, "guests": {"vm": 1}}\n{"at": 17'
    sudo = [
        "maintenance : PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl stop --no-block -- "
        "nova-compute.service",
        "maintenance : PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl reboot",
        "maintenance : PWD=/ ; USER=root ; COMMAND=list /usr/bin/systemctl reboot",
        "maintenance : PWD=/ ; USER=root ; COMMAND=/usr/bin/systemctl start nova-compute",
    ]
    journal = "\n".join(
        json.dumps({"MESSAGE": each, "__REALTIME_TIMESTAMP": "1773100800000000"}) for each in sudo
    )

    assert list(read_log("c01", log)) == [boot(0.5, "c01", "b"), guests(1, "c01", vm=1)]
    assert [fact.at for fact in read_scripts("c01", "1773100802.25\n")] == [at(2.25)]
    assert [fact.kind for fact in read_sudo("c01", journal)] == ["stop order", "reboot order"]
