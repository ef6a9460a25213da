"""The runbook from its first step to its last, on hosts of both kinds, and what is left of it."""

from __future__ import annotations

from harness import Stage

STATES = ("ACTIVE", "ACTIVE", "PAUSED", "SHUTOFF")


def test_a_host_is_emptied_rebooted_proven_healthy_and_given_back(stage: Stage) -> None:
    stage.place("c01", *STATES, ram_mib=1024)
    stage.place("c01", "ACTIVE", ram_mib=2048, prefix="big-")
    before = stage.picture()

    run = stage.airflow.maintain("c01", script="collect-facts.sh", reason="new kernel")
    record = stage.finish(run)

    stage.assert_given_back("c01", before.boots["c01"])
    after = stage.picture()
    assert {name: status for name, (_, status) in after.instances.items()} == {
        name: status for name, (_, status) in before.instances.items()
    }
    assert all(host != "c01" for host, _ in after.instances.values())
    assert after.changed(before) == {"c01", "migrations", *before.instances}
    assert after.migrations - before.migrations == len(before.instances)  # none of them twice

    evidence = record["evidence"]
    assert evidence["disabled"]["disabled_reason"] == (
        f"[airflow compute_host_maintenance {run.run_id}][out] new kernel"
    )
    assert evidence["empty"]["instances"] == 0
    assert evidence["stopped"]["boot_id"] == before.boots["c01"]
    assert evidence["script"]["exit_code"] == 0
    assert any(line.startswith("kernel: ") for line in evidence["script"]["output"])
    assert evidence["reboot"]["boot_id_before"] == before.boots["c01"]
    assert evidence["reboot"]["boot_id_after"] == after.boots["c01"]
    assert evidence["nova_compute"]["started_by_run"] is False
    assert len(set(evidence["nova_compute"]["heartbeats"])) == 3
    assert evidence["amqp"]["kind"] == "log_line"
    assert "Connected to AMQP server" in evidence["amqp"]["line"]
    assert evidence["enabled"]["state"] == "enabled, up"
    moves = {move["name"]: move for move in record["moves"]}
    assert moves.keys() == before.instances.keys()
    assert moves["big-active-01"]["method"] == "live"
    assert moves["shutoff-01"]["method"] == "cold"
    assert {name: move["host"] for name, move in moves.items()} == {
        name: host for name, (host, _) in after.instances.items()
    }
    page = stage.page(run)
    for seen in (*moves, evidence["amqp"]["line"], after.boots["c01"], "new kernel"):
        assert seen.replace('"', "&#34;") in page, f"the page does not show {seen}"


def test_a_dry_run_shows_the_plan_and_changes_nothing(stage: Stage) -> None:
    stage.place("c01", "ACTIVE", "SHUTOFF")
    before = stage.picture()

    run = stage.airflow.maintain("c01", dry_run=True, script="collect-facts.sh")

    assert run.wait() == "success"
    assert stage.picture() == before
    record = stage.record(run)
    assert record["outcome"] == "dry_run"
    assert {(move["name"], move["method"]) for move in record["before"]["moves"]} == {
        ("active-01", "live"),
        ("shutoff-01", "cold"),
    }
    plan = run.log("check_host")
    for step in ("move active-01", "move shutoff-01", "run include/scripts/collect-facts.sh"):
        assert step in plan
    assert run.states()["disable_service"] == "skipped"
