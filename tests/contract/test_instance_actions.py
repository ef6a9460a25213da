"""What Nova noted about an instance: whether it is gone, and who acted on it last."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from answering_cloud import QUIET, Answer, Clouds, new_nova
from openstack_maintenance.domain.errors import CloudError

pytestmark = QUIET
SINCE = datetime(2026, 11, 22, 1, 2, tzinfo=UTC)
OURS = "78041f5e5c6443f6bb2cafff56b898a1"  # the user of the recorded token


@pytest.mark.parametrize("body", ["<html>Not Found</html>", {"message": "no Route matched"}])
def test_a_proxys_404_does_not_say_that_an_instance_was_deleted(start: Clouds, body: Any) -> None:
    cloud = start(answers={"GET /v2.1/servers/i1": Answer(body, 404)})
    with pytest.raises(CloudError, match="not in Nova's own words"):
        new_nova(cloud).find_instance("i1")
    gone = {"itemNotFound": {"message": "gone"}}
    cloud.answers = {"GET /v2.1/servers/i1": Answer(gone, 404)}
    assert new_nova(cloud).find_instance("i1") is None


def action(name: str, minute: int, user: str | None, message: str | None = None) -> dict[str, Any]:
    at = f"2026-11-22T01:{minute:02}:00.000000"
    return {"action": name, "user_id": user, "start_time": at, "message": message}


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ([], None),
        ([action("stop", 5, OURS)], None),
        ([action("stop", 5, "ana")], "user ana asked for stop at 2026-11-22 01:05:00 UTC"),
        ([action("stop", 1, "ana")], None),  # before the debt
        ([action("stop", 6, "ana"), action("start", 5, OURS)], "user ana asked for stop"),
        ([action("stop", 6, OURS), action("stop", 5, None)], None),
        ([action("stop", 5, None)], "Nova itself noted a stop at 2026-11-22 01:05:00 UTC"),
        ([action("migrate", 7, "ana"), action("stop", 5, OURS)], None),
        ([action("start", 7, "ana", "Error"), action("stop", 5, OURS)], None),
    ],
)
def test_whether_its_owner_has_acted_is_told_by_novas_list_of_actions(
    start: Clouds, actions: list[dict[str, Any]], said: str | None
) -> None:
    path = "GET /v2.1/servers/i1/os-instance-actions"
    cloud = start(answers={path: Answer({"instanceActions": actions})})
    found = new_nova(cloud).acted_since("i1", SINCE)
    assert (found is None) if said is None else (said in str(found))
