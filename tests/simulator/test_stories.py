"""Named stories of known faults, played on the simulated cloud, and judges that can fail."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from simulator.airflow.records import Run
from simulator.campaign import Campaign, Tally, main
from simulator.draw import draw
from simulator.hosts.machine import ScriptPlay
from simulator.judges import all_judges
from simulator.must import broken
from simulator.play import play
from simulator.shrink import shrink
from simulator.stage import Stage
from simulator.story import Story, build, flavor_of

FOLDER = Path(__file__).resolve().parents[2] / "include/simulator/stories"
STORIES = sorted(FOLDER.glob("*.json"))

# These few are played in `make check`, too; the others are for `make test`.
QUICK = {
    "a1c-host-lost-after-stop",
    "a3b-an-answer-lost",
    "a6-airflow-forgets",
    "a7a-a-guest-that-nova-does-not-list",
    "a7b-hard-affinity",
    "a7c-no-log-to-prove-it",
    "a7d-forced-down",
    "a9-an-owner-shuts-down",
    "b10-a-dead-run-has-the-host",
}

pytestmark = [
    # What the SDK says to its own developers.
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedFieldWarning"),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=() if file.stem in QUICK else pytest.mark.thorough, id=file.stem)
        for file in STORIES
    ],
)
def test_a_known_fault(file: Path) -> None:
    story = Story.read(file)
    outcome = play(story)
    found = broken(outcome, story.must)
    assert not found, "\n".join([story.title, *found, *outcome.timeline])


def one_host(*events: dict[str, object]) -> Story:
    return Story.of(
        {
            "fleet": {
                "hosts": [{"name": "c01"}, {"name": "c02"}],
                "instances": [{"name": "vm1", "host": "c01"}, {"name": "vm2", "host": "c02"}],
            },
            "requests": [{"do": "host", "host": "c01"}],
            "events": list(events),
        }
    )


@pytest.mark.thorough
def test_the_same_story_is_the_same_again() -> None:
    story = draw(3, "host")
    assert str(story) == str(draw(3, "host")) != str(draw(4, "host"))
    first, second = play(story), play(story)
    assert (first.timeline, first.counts) == (second.timeline, second.counts)


def heard(story: Story, deed: Callable[[Stage], None], folder: Path) -> list[str]:
    """What the judges say of a deed."""
    world = build(story, folder)
    stage = Stage(story, world)
    with world.installed():
        judges = all_judges(stage)
        deed(stage)
        world.clock.run(at_most=60)
        return [f"{name}: {each}" for name in judges for each in judges[name].verdicts()]


def reboots_under_a_guest(stage: Stage) -> None:
    stage.machine("c01").go_down()


def stops_and_leaves(stage: Stage) -> None:
    vm = stage.instance("vm1")
    assert vm is not None
    stage.world.cloud.lifecycle.perform(vm, "stop", "client")


def starts_what_its_owner_stopped(stage: Stage) -> None:
    vm = stage.instance("vm1")
    assert vm is not None
    life = stage.world.cloud.lifecycle
    life.perform(vm, "stop", "owner")
    stage.world.clock.after(10, lambda: life.perform(vm, "start", "client"))


def enables_what_another_disabled(stage: Stage) -> None:
    cloud = stage.world.cloud
    service = cloud.state.hosts["c01"].service
    cloud.services.update(service, "disabled", "mine", who="another admin")
    enable = partial(cloud.services.update, service, "enabled", who="client")
    stage.world.clock.after(10, enable)


def takes_two_hosts_out(stage: Stage) -> None:
    cloud = stage.world.cloud
    for host in ("c01", "c02"):
        reason = f"[airflow compute_host_maintenance {host}][out] kernel"
        cloud.services.update(cloud.state.hosts[host].service, "disabled", reason, who="client")


def moves_two_at_a_time(stage: Stage) -> None:
    for name in ("vm1", "vm3"):
        vm = stage.instance(name)
        assert vm is not None
        stage.world.cloud.live.accept(vm, who="client")


def claims_a_boot_that_was_not(stage: Stage) -> None:
    folder = stage.world.hosts.folder / "records/compute_host_maintenance"
    folder.mkdir(parents=True)
    boot = stage.machine("c01").state.boot_id
    evidence = {"reboot": {"boot_id_before": boot, "boot_id_after": boot}}
    record = {
        "dag_id": "compute_host_maintenance",
        "run_id": "r1",
        "outcome": "failed",
        "host": "c01",
        "evidence": evidence,
    }
    (folder / "r1.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("judge", "deed"),
    [
        ("boots", reboots_under_a_guest),
        ("guests", stops_and_leaves),
        ("guests", starts_what_its_owner_stopped),
        ("ownership", enables_what_another_disabled),
        ("limits", takes_two_hosts_out),
        ("limits", moves_two_at_a_time),
        ("records", claims_a_boot_that_was_not),
    ],
)
def test_a_judge_sees(tmp_path: Path, judge: str, deed: Callable[[Stage], None]) -> None:
    story = one_host()
    story.fleet["instances"].append({"name": "vm3", "host": "c01"})
    assert {each.partition(":")[0] for each in heard(story, deed, tmp_path)} == {judge}


def test_a_judge_counts_what_its_owner_moves_on_as_no_move_of_ours(tmp_path: Path) -> None:
    """One that we have moved is resized by its owner, while we move another off the same host."""

    def deed(stage: Stage) -> None:
        cloud, first, second = stage.world.cloud, stage.instance("vm1"), stage.instance("vm3")
        assert first is not None and second is not None
        cloud.live.accept(first, "c02", who="client")
        stage.world.clock.run(at_most=60)
        assert first.host == "c02"
        cloud.owners.resizes(first.id, flavor_of(cloud, first.flavor.ram_mib + 512).id)
        stage.world.clock.run(at_most=2)
        cloud.live.accept(second, who="client")
        assert first.migration is not None and not first.migration.is_over

    story = one_host()
    story.fleet["instances"].append({"name": "vm3", "host": "c01"})
    story.fleet["hosts"].append({"name": "c03"})
    assert heard(story, deed, tmp_path) == []


def reboots_under_a_guest_that_nova_does_not_know(stage: Stage) -> None:
    stage.machine("c03").stray_guests.append("by-hand")
    stage.machine("c03").go_down()


def reboots_under_a_stopped_instance(stage: Stage) -> None:
    stage.machine("c04").go_down()


def said(stage: Stage, script: str, host: str) -> None:
    question, spoken = SimpleNamespace(script=script, host=host, args=()), SimpleNamespace(status=0)
    for listener in stage.world.hosts.network.after:
        listener(cast(Any, question), cast(Any, spoken))


def runs_a_script_over_a_guest(stage: Stage) -> None:
    machine = stage.machine("c03")
    machine.stray_guests.append("by-hand")
    machine.scripts_run.append(ScriptPlay())
    said(stage, "script_start", "c03")


def reboots_a_controller_twice(stage: Stage) -> None:
    machine = stage.machine("ctl01")
    for boot in ("first", "second"):
        machine.state.boot_id = boot
        machine.reboot_orders.append(0.0)
        said(stage, "reboot", "ctl01")


def disables_c03(stage: Stage, run: Run) -> None:
    cloud, reason = stage.world.cloud, f"[airflow {run.dag_id} {run.run_id}][out] kernel"
    cloud.services.update(cloud.state.hosts["c03"].service, "disabled", reason, who="client")


def takes_the_host_of_another_run(stage: Stage) -> None:
    for reason in ("first", "second"):
        conf = {"host": "c03", "reason": reason}
        disables_c03(stage, stage.world.airflow.trigger("compute_host_maintenance", conf))
        stage.world.clock.run(at_most=60)


def fails_and_does_not_say_so(stage: Stage) -> None:
    conf = {"host": "c03", "reason": "kernel"}
    run = stage.world.airflow.trigger("compute_host_maintenance", conf)
    disables_c03(stage, run)
    report = SimpleNamespace(run=run, task_id="report", state="failed", process=None)
    for listener in stage.world.airflow.core.changed:
        listener(cast(Any, report), None)


@pytest.mark.parametrize(
    ("deed", "text"),
    [
        (reboots_under_a_guest_that_nova_does_not_know, "boots: .* took the guest of by-hand"),
        (reboots_under_a_stopped_instance, "boots: c04 was rebooted while the instance"),
        (runs_a_script_over_a_guest, "boots: the script was run on c03 while the guest of by-hand"),
        (reboots_a_controller_twice, "once: ctl01 was rebooted 2 times"),
        (takes_the_host_of_another_run, "ownership: a run took c03 from another one"),
        (fails_and_does_not_say_so, "ownership: a run that has failed keeps c03"),
    ],
)
def test_a_judge_says(tmp_path: Path, deed: Callable[[Stage], None], text: str) -> None:
    story = one_host()
    story.fleet["hosts"] += [{"name": "c03"}, {"name": "c04"}]
    story.fleet["instances"].append({"name": "vm4", "host": "c04", "state": "stopped"})
    (found,) = heard(story, deed, tmp_path)
    assert re.match(text, found)


def test_a_fault_happens_at_its_moment_and_ends() -> None:
    story = one_host(
        {"when": "task reboot running", "do": "kill_worker"},
        {"when": "task migrate_instance deferred", "do": "http", "match": "read", "how": "503"},
    )
    outcome = play(story)
    assert outcome.is_good, outcome.found
    assert outcome.faults == {"kill_worker": 1, "http": 1}
    assert any("reboot up_for_retry" in line for line in outcome.timeline)
    assert any("http is over" in line for line in outcome.timeline)


def test_the_operator_follows_what_a_red_run_says() -> None:
    story = one_host({"at": 0, "do": "boot_hangs", "host": "c01", "for": 7200})
    outcome = play(story)
    assert outcome.is_good, outcome.found
    assert outcome.facts is not None and outcome.facts.first["run-1"] == "failed"
    assert any("operator" in line and "clears" in line for line in outcome.timeline)


def test_a_scheduled_night_that_begins_between_two_others_is_given_time_to_end() -> None:
    story = one_host()
    story.fleet = {"hosts": [{"name": "c01"}]}
    story.start = "2026-03-10T00:55:00+00:00"
    params = {"ignore_window": True, "reason": "kernel"}
    story.requests = [{"at": 0, "do": "night", "params": params}]
    outcome = play(story)
    assert outcome.is_good, outcome.found
    assert outcome.counts["runs"] == 2  # the second is that of the night before, once unpaused


def test_no_drawn_member_of_a_group_is_without_a_host_to_go_to_in_its_cell() -> None:
    """No instance leaves its cell, and no API tells what the cells are."""
    in_cells = 0
    for seed in range(1200, 1500):
        fleet = draw(seed, "night").fleet
        cells: dict[str, set[str]] = {}
        for host in fleet["hosts"]:
            cells.setdefault(host.get("cell", "cell1"), set()).add(host["name"])
        held = {each["host"] for each in fleet["instances"] if "group" in each}
        in_cells += len(cells) > 1 and bool(held)
        assert all(hosts - held for hosts in cells.values() if hosts & held), seed
    assert in_cells


def test_a_story_is_shrunk_to_what_it_needs() -> None:
    story = draw(5, "host")
    story.events = [
        {"at": 1, "do": "kill_task"},
        {"at": 2, "do": "order_lost", "host": "c01"},
        {"at": 3, "do": "kill_scheduler"},
    ]

    def fails(smaller: Story) -> bool:
        return any(each["do"] == "order_lost" for each in smaller.events)

    small = shrink(story, fails, seconds=10)
    assert [each["do"] for each in small.events] == ["order_lost"]
    assert small.fleet["hosts"] == [{"name": "c01"}]
    assert not small.policy and not small.fleet.get("instances")


@pytest.mark.thorough
def test_a_campaign_counts_and_says_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    for result in Campaign([17, 33], "checks", jobs=2, shrinking=0.0).results():
        tally.add(result)
    assert tally.seeds == 2
    assert "simulated hours" in str(tally)


@pytest.mark.thorough
def test_one_seed_is_played_again_with_its_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--kind", "host"]) == 0
    assert "run-1          report success" in capsys.readouterr().out
