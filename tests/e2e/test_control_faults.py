"""Deaths and silences on the control plane: Airflow's own processes, Nova's API, the broker."""

from __future__ import annotations

from harness import Run, Stage


def test_a_drain_outlives_the_deaths_of_a_worker_the_triggerer_and_the_scheduler(
    stage: Stage,
) -> None:
    stage.place("c01", "ACTIVE", "ACTIVE")
    stage.lab.fault("c01", "migration-seconds", "3600")

    # From the beginning, so that the task to be killed has not ended before it is seen to run.
    stage.lab.fault("api-slow", "2")
    run = stage.airflow.maintain("c01", reboot=False)
    run.wait_for("list_instances", "running")
    run.kill_worker("list_instances")
    stage.lab.fault("clear", "api-slow")
    first = stage.wait_for_a_migration_off("c01")
    stage.airflow.kill("triggerer")
    stage.airflow.restart("triggerer")
    stage.complete_migration(first)
    run.wait_for("migrate_instance", "success")
    second = stage.wait_for_a_migration_off("c01")
    stage.airflow.kill("scheduler")
    stage.airflow.restart("scheduler")
    stage.complete_migration(second)
    stage.finish(run)

    assert run.task("list_instances").try_number == 2
    assert_each_moved_once(stage)


def test_a_drain_outlives_a_failing_and_a_slow_api_and_a_restart_of_the_broker(
    stage: Stage,
) -> None:
    stage.place("c01", "ACTIVE", "ACTIVE")
    stage.lab.fault("c01", "migration-seconds", "3600")

    run = stage.airflow.maintain("c01", reboot=False)
    first = stage.wait_for_a_migration_off("c01")
    stage.lab.fault("api-fail", "500")
    stage.until(lambda: says(run, "Nova does not answer, trying again"), "a word about the API")
    stage.lab.fault("clear", "api-fail")
    stage.lab.fault("api-slow", "2")
    stage.complete_migration(first)
    run.wait_for("migrate_instance", "success")
    second = stage.wait_for_a_migration_off("c01")
    before = heartbeats(stage)
    stage.lab.fault("broker-restart")
    # Nova itself loses an instance whose migration ends while its computes cannot talk.
    stage.until(lambda: are_all_on_the_bus(stage, before), "everybody on the bus again")
    stage.complete_migration(second)
    run.wait_for("migrate_instance", "success", count=2)
    stage.lab.fault("clear", "api-slow")
    stage.finish(run)

    assert_each_moved_once(stage)


def heartbeats(stage: Stage) -> dict[str, str]:
    return {host: stage.cloud.service(host)["updated_at"] for host in stage.cloud.compute_hosts()}


def are_all_on_the_bus(stage: Stage, before: dict[str, str]) -> bool:
    """Every nova-compute has called a conductor since, and can be called."""
    listed = stage.lab.ssh("ctl01", "sudo rabbitmqctl -q list_queues name consumers || true")
    consumers = dict(line.split() for line in listed.splitlines() if len(line.split()) == 2)
    queues = ["conductor.ctl01", *(f"compute.{host}" for host in before)]
    if any(consumers.get(queue, "0") == "0" for queue in queues):
        return False
    now = heartbeats(stage)
    return all(now[host] != before[host] for host in before)


def says(run: Run, words: str) -> bool:
    return any(words in run.log("migrate_instance", map_index=index) for index in (0, 1))


def assert_each_moved_once(stage: Stage) -> None:
    for name in ("active-01", "active-02"):
        assert [m["status"] for m in stage.migrations_of(name)] == ["completed"]
        instance = stage.instance(name)
        assert instance.host != "c01"
        assert instance.status == "ACTIVE"
