"""A cloud with Nova's own heartbeats, which are slower than the lab's, and with its debug log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Stage


@pytest.fixture
def heartbeats_of_nova(stage: Stage) -> Iterator[Stage]:
    # Placed before: Nova, just restarted, may still fail a build.
    stage.place("c01", "ACTIVE", "PAUSED", "SHUTOFF")
    stage.lab.run("configure", "heartbeat=nova", "debug=True")
    yield stage
    stage.lab.run("configure", "heartbeat=lab", "debug=False")


def test_with_nova_s_own_heartbeats_instances_land_where_they_were_sent_as_they_were_sent(
    heartbeats_of_nova: Stage,
) -> None:
    stage = heartbeats_of_nova
    boot = stage.lab.boot_id("c01")

    run = stage.airflow.maintain("c01", destination="c04", block_migration="true")
    record = stage.finish(run)

    stage.assert_given_back("c01", boot)
    assert stage.picture().instances == {
        "active-01": ("c04", "ACTIVE"),
        "paused-01": ("c04", "PAUSED"),
        "shutoff-01": ("c04", "SHUTOFF"),
    }
    heartbeats = record["evidence"]["nova_compute"]["heartbeats"]
    assert len(set(heartbeats)) == 3
    asked = "sudo grep -o 'os-migrateLive.*}}' /var/log/nova/nova-api.log | tail -n 2"
    body = 'os-migrateLive": {"host": "c04", "block_migration": true}}'
    assert stage.lab.ssh("ctl01", asked).splitlines() == [body, body]
