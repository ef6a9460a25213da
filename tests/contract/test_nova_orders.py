"""Each order to Nova is one request, and says what the release understands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from answering_cloud import (
    QUIET,
    Answer,
    AnsweringCloud,
    Asked,
    Clouds,
    as_numbers,
    new_nova,
)
from builders import migration
from openstack_maintenance.domain.cloud import Migration

pytestmark = QUIET

SINCE = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)


def live(cloud: AnsweringCloud) -> Migration:
    rows = cloud.read("migrations")["migrations"]
    row = next(each for each in rows if each["migration_type"] == "live-migration")
    return migration(id=row["id"], uuid=row["uuid"], instance_id=row["instance_uuid"])


def sent(cloud: AnsweringCloud) -> Asked:
    (asked,) = cloud.work()
    return asked


def test_disabling_carries_the_reason_and_enabling_none(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    service = nova.get_service("c01")
    cloud.asked.clear()
    cloud.answers["PUT /v2.1/os-services/*"] = Answer(
        {"service": cloud.read("services")["services"][0]}
    )
    nova.disable(service, "x" * 300)
    assert str(sent(cloud)) == f"PUT /v2.1/os-services/{service.id}"
    assert sent(cloud).body == {"status": "disabled", "disabled_reason": "x" * 255}
    cloud.asked.clear()
    nova.enable(service)
    assert sent(cloud).body == {"status": "enabled"}


@pytest.mark.parametrize(
    ("destination", "block", "flag"),
    [(None, "auto", "auto"), ("c02", "true", True), ("c02", "false", False)],
)
def test_a_live_migration_leaves_the_choice_to_the_scheduler_and_is_never_forced(
    cloud: AnsweringCloud, destination: str | None, block: str, flag: object
) -> None:
    new_nova(cloud).live_migrate("i1", destination, block)
    assert str(sent(cloud)) == "POST /v2.1/servers/i1/action"
    body = sent(cloud).body["os-migrateLive"]
    assert (body["host"], body["block_migration"]) == (destination, flag)
    assert not body.get("force", False)
    # From 2.34 on the pre-check does not hold up the answer; 2.30 checks the destination.
    assert as_numbers(sent(cloud).microversion) >= (2, 34)


def test_a_cold_migration_goes_where_it_is_sent(cloud: AnsweringCloud) -> None:
    new_nova(cloud).cold_migrate("i1", "c02")
    assert sent(cloud).body == {"migrate": {"host": "c02"}}
    assert as_numbers(sent(cloud).microversion) >= (2, 56)


def test_a_cold_migration_goes_where_the_scheduler_likes(cloud: AnsweringCloud) -> None:
    new_nova(cloud).cold_migrate("i1", None)
    assert (sent(cloud).body["migrate"] or {}).get("host") is None


@pytest.mark.parametrize(
    ("action", "body"),
    [("confirm", "confirmResize"), ("stop_guest", "os-stop"), ("start_guest", "os-start")],
)
def test_each_action_is_one_request(cloud: AnsweringCloud, action: str, body: str) -> None:
    getattr(new_nova(cloud), action)("i1")
    assert str(sent(cloud)) == "POST /v2.1/servers/i1/action"
    assert list(sent(cloud).body) == [body]


def test_a_migration_is_aborted_or_forced_by_its_own_number(cloud: AnsweringCloud) -> None:
    migration = live(cloud)
    path = f"/v2.1/servers/{migration.instance_id}/migrations/{migration.id}"
    new_nova(cloud).abort(migration)
    assert str(sent(cloud)) == f"DELETE {path}"
    # 2.24 aborts what runs; queued and preparing ones need 2.65, where the cloud has it.
    wanted = (2, 65) if cloud.release == "newest" else (2, 24)
    assert as_numbers(sent(cloud).microversion) >= wanted
    cloud.asked.clear()
    new_nova(cloud).force_complete(migration)
    assert str(sent(cloud)) == f"POST {path}/action"
    assert as_numbers(sent(cloud).microversion) >= (2, 22)


def test_logging_in_and_finding_out_costs_three_requests_once(cloud: AnsweringCloud) -> None:
    nova = new_nova(cloud)
    nova.check_version()
    once = len(cloud.asked)
    assert once <= 3, [str(each) for each in cloud.asked]
    nova.services()
    nova.migrations(SINCE)
    assert len(cloud.asked) <= once + 2 + 1, [str(each) for each in cloud.asked]
    nova.services()
    nova.migrations(SINCE)
    assert len(cloud.work()) == 4
    assert sum(each.path.startswith("/identity") for each in cloud.asked) <= 2


def test_nothing_is_sent_before_the_first_use(cloud: AnsweringCloud) -> None:
    new_nova(cloud)
    assert cloud.asked == []


@pytest.mark.parametrize("seconds", [-3600, 0, 5400])
def test_novas_clock_is_read_from_one_answer(start: Clouds, seconds: int) -> None:
    cloud = start(clock_ahead=timedelta(seconds=seconds))
    nova = new_nova(cloud)
    nova.read_clock()
    expected = datetime.now(UTC) + timedelta(seconds=seconds)
    assert abs((nova.now() - expected).total_seconds()) < 3
