"""What the credentials may not do is found out without doing anything."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from answering_cloud import (
    QUIET,
    Answer,
    AnsweringCloud,
    new_nova,
    refusal,
)
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.domain.drain.capacity import Need
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host import rights
from openstack_maintenance.domain.host.rights import Right

pytestmark = QUIET

FAULT = {"conflictingRequest": {"code": 409, "message": "Cannot 'os-migrateLive' while x"}}


ON = "/v2.1/servers/i1"
SHOWN = {"OS-EXT-SRV-ATTR:host": "c01", "flavor": {"extra_specs": {}}}
# What a Nova answers that allows everything, and does nothing.
HARMLESS = {
    "PUT /v2.1/os-services/*": refusal("itemNotFound", 404, "Service could not be found."),
    f"POST {ON}/action confirmResize": Answer(FAULT, 409),
    f"POST {ON}/action os-start": Answer(FAULT, 409),
    f"POST {ON}/action": refusal("badRequest", 400, "Compute host could not be found."),
    f"POST {ON}/migrations/0/action": Answer(FAULT, 409),
    f"DELETE {ON}/migrations/0": Answer(FAULT, 409),
    f"GET {ON}": Answer({"server": SHOWN}),
    "POST /v2.1/servers/*": refusal("itemNotFound", 404, "Instance could not be found."),
    "DELETE /v2.1/flavors/*": refusal("itemNotFound", 404, "Flavor could not be found."),
    "POST /v2.1/servers": refusal("badRequest", 400, "Flavor could not be found."),
}
ASKED_BY = {
    rights.UPDATE_SERVICE: "PUT /v2.1/os-services/*",
    rights.LIST_MIGRATIONS: "GET /v2.1/os-migrations",
    rights.SHOW: f"GET {ON}",
    rights.LIST_GROUPS: "GET /v2.1/os-server-groups",
    rights.LIVE: f"POST {ON}/action os-migrateLive",
    rights.LIVE_TO_HOST: f"POST {ON}/action os-migrateLive",
    rights.COLD_TO_HOST: f"POST {ON}/action migrate",
    rights.START: f"POST {ON}/action os-start",
    rights.CONFIRM: f"POST {ON}/action confirmResize",
    rights.ABORT: f"DELETE {ON}/migrations/0",
    rights.FORCE_COMPLETE: f"POST {ON}/migrations/0/action force_complete",
    rights.DELETE_FLAVOR: "DELETE /v2.1/flavors/*",
    rights.CREATE_INSTANCE: "POST /v2.1/servers",
    rights.RESET_STATE: "POST /v2.1/servers/*",
}
NEEDED = [rights.Needed(right, "i1") for right in ASKED_BY]


def but(answers: dict[str, Answer]) -> dict[str, Answer]:
    """These answers; where they say nothing, those of a Nova that allows everything."""
    return answers | {key: answer for key, answer in HARMLESS.items() if key not in answers}


def denied(rule: str) -> Answer:
    said = f"Policy doesn't allow {rule} to be performed."
    return refusal("forbidden", 403, said)


def test_credentials_that_may_everything_miss_no_right_and_change_nothing(
    cloud: AnsweringCloud,
) -> None:
    cloud.answers = but({})
    assert new_nova(cloud).missing_rights(NEEDED) == []
    assert len(cloud.work()) == len(NEEDED)
    changing = [each for each in cloud.work() if each.method != "GET"]
    sent = {json.dumps([each.method, each.path, each.body]) for each in changing}
    for text in sent:
        # Each is about a host, a service, a flavor, a migration or a resize that there is not, or
        # about a guest that runs already.
        assert "no-such-host.invalid" in text or re.search(
            r"/os-services/[0-9a-f-]{36}|/servers/[0-9a-f-]{36}/action|/migrations/0|/flavors/[0-9a-f-]{36}|confirmResize|os-start"
            r'|"host": null, .*"force": true',
            text,
        ), text
    known = {row["id"] for row in cloud.read("services")["services"]}
    assert not any(service in text for service in known for text in sent)


@pytest.mark.parametrize("right", ASKED_BY, ids=lambda right: right.rule)
def test_a_right_that_is_missing_is_named_by_its_rule(cloud: AnsweringCloud, right: Right) -> None:
    cloud.answers = but({ASKED_BY[right]: denied(right.rule)})
    (missing,) = new_nova(cloud).missing_rights([rights.Needed(right, "i1")])
    assert str(missing) == (
        f"cloud openstack_default: its user may not {right.what}: Policy doesn't allow "
        f"{right.rule} to be performed. Allow {right.rule} to the user of connection "
        "openstack_default: see include/rights/openstack-policies."
    )


def test_all_rights_that_are_missing_are_named_at_once(cloud: AnsweringCloud) -> None:
    wanted = [rights.UPDATE_SERVICE, rights.ABORT, rights.CONFIRM]
    cloud.answers = but({ASKED_BY[each]: denied(each.rule) for each in wanted})
    missing = new_nova(cloud).missing_rights(NEEDED)
    assert {each.remedy.split()[1] for each in missing} == {each.rule for each in wanted}


def test_instances_that_nova_hides_are_named_by_the_rule_that_shows_them(
    cloud: AnsweringCloud,
) -> None:
    gone = refusal("itemNotFound", 404, "Instance i1 could not be found.")
    cloud.answers = {key: gone if f" {ON}" in key else answer for key, answer in HARMLESS.items()}
    (missing,) = new_nova(cloud).missing_rights(NEEDED[:8])
    assert "Nova lists instance i1, but answers 404" in missing.reason
    assert missing.remedy.startswith("Allow context_is_admin to the user")


@pytest.mark.parametrize(
    ("prefix", "answer", "right"),
    [
        (f"GET {ON}", {"server": {"flavor": {"extra_specs": {}}}}, rights.SEE_HOST),
        (f"GET {ON}", {"server": SHOWN | {"flavor": {}}}, rights.SEE_EXTRA_SPECS),
        (
            "GET /v2.1/os-migrations",
            {"migrations": [{"source_compute": None}]},
            rights.MIGRATION_HOSTS,
        ),
    ],
)
def test_what_nova_leaves_out_without_a_word_is_a_missing_right_too(
    cloud: AnsweringCloud, prefix: str, answer: Any, right: Right
) -> None:
    cloud.answers[prefix] = Answer(answer)
    asked = rights.SHOW if prefix == f"GET {ON}" else rights.LIST_MIGRATIONS
    (missing,) = new_nova(cloud).missing_rights([rights.Needed(asked, "i1")])
    assert right.rule in missing.remedy


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"computeFault": {"message": "Unexpected API Error"}}, "answered 500"),
        (503, b"", "answered 503"),
        (403, {"forbidden": {"message": "Quota exceeded"}}, "forbids it: Quota exceeded"),
        (403, b"<html>go away</html>", "forbids it"),
        (401, {"error": {"message": "no"}}, "rejected the credentials"),
        (202, {}, "Nova answers 202 to a test request that it should reject"),
    ],
)
@pytest.mark.thorough  # it waits for each try
@pytest.mark.parametrize("right", [rights.UPDATE_SERVICE, rights.LIVE_TO_HOST, rights.ABORT])
def test_an_answer_that_is_neither_yes_nor_no_is_an_error(
    cloud: AnsweringCloud, right: Right, status: int, body: Any, said: str
) -> None:
    cloud.answers = but({ASKED_BY[right]: Answer(body, status)})
    with pytest.raises(CloudError) as raised:
        new_nova(cloud).missing_rights(NEEDED)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_list_of_instances_that_is_not_about_the_host_is_refused(cloud: AnsweringCloud) -> None:
    rows = cloud.read("servers")["servers"]
    cloud.answers["GET /v2.1/servers/detail"] = Answer({"servers": rows})
    for host in (rows[0]["OS-EXT-SRV-ATTR:host"], "c77"):
        with pytest.raises(Refused, match="allow_all_filters") as raised:
            new_nova(cloud).instances_on(host)
        assert f"asked for the instances on {host}, but it lists others" in str(raised.value)


def test_placements_refusal_names_its_rule(cloud: AnsweringCloud) -> None:
    detail = "Access was denied to this resource.\n\n Policy does not allow placement:a:list to be "
    errors = {"errors": [{"status": 403, "title": "Forbidden", "detail": f"{detail}performed.  "}]}
    cloud.answers["GET /placement/allocation_candidates"] = Answer(errors, 403)
    with pytest.raises(Refused, match="Allow placement:a:list to the user of connection"):
        new_nova(cloud).hosts_with_room(Need(vcpus=1, ram_mib=512, disk_gib=1))
