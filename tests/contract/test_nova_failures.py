"""Every failure of Keystone and Nova is one sentence that says what to do."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from answering_cloud import (
    QUIET,
    SILENCE,
    Answer,
    AnsweringCloud,
    Clouds,
    new_nova,
    refusal,
)
from openstack_maintenance.adapters.cloud_errors import Conflict, NotThere, Refused
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.errors import CloudError

pytestmark = QUIET


FAULT = {"conflictingRequest": {"code": 409, "message": "Cannot 'os-migrateLive' while x"}}
DENIED = {
    "forbidden": {
        "code": 403,
        "message": "Policy doesn't allow os_compute_api:os-migrate-server:migrate_live to be "
        "performed.",
    }
}
QUOTA = {"forbidden": {"code": 403, "message": "Quota exceeded for instances: Requested 1"}}
SAYS = {"forbidden": {"code": 403, "message": "Policy doesn't allow it"}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (400, {"badRequest": {"message": "no such destination"}}, Refused, "Nova refused: no such"),
        (403, SAYS, Refused, "forbids it: Policy doesn't allow it. Give the user of connection"),
        (
            403,
            DENIED,
            Refused,
            "Allow os_compute_api:os-migrate-server:migrate_live to the user of",
        ),
        (403, QUOTA, Refused, "Quota exceeded for instances: Requested 1. Raise that quota"),
        (404, {"itemNotFound": {"message": "not found"}}, NotThere, "not found. Check the name"),
        (404, "<html>No such app</html>", CloudError, "answered 404, but not in Nova's own words"),
        (404, {}, CloudError, "answered 404, but not in Nova's own words"),
        (404, {"message": "no Route matched"}, CloudError, "but not in Nova's own words"),
        (409, FAULT, Conflict, "Cannot 'os-migrateLive' while x. Look at its state"),
        (413, {"overLimit": {"message": "too large"}}, Refused, "Nova refused: too large"),
        (429, {"overLimit": {"message": "slow down"}}, CloudError, "answered 429: slow down. Wait"),
        (500, {"computeFault": {"message": "Unexpected API Error"}}, CloudError, "answered 500"),
        (502, b"<html>Bad gateway</html>", CloudError, "answered 502"),
        (503, {}, CloudError, "answered 503"),
        (504, b"", CloudError, "answered 504"),
    ],
)
def test_a_failed_request_says_what_nova_said(
    start: Clouds, status: int, body: Any, kind: type[CloudError], said: str
) -> None:
    cloud = start(answers={"POST /v2.1/servers/i1/action": Answer(body, status)})
    with pytest.raises(CloudError) as raised:
        new_nova(cloud).live_migrate("i1", None, "auto")
    assert type(raised.value) is kind
    assert raised.value.subject == "instance i1"
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(cloud.work()) == 1  # what changes something is not repeated by itself


def test_wrong_credentials_are_named_as_such(start: Clouds) -> None:
    answer = {"error": {"code": 401, "message": "The request you have made requires auth"}}
    cloud = start(answers={"POST /identity*": Answer(answer, 401)})
    with pytest.raises(Refused) as raised:
        new_nova(cloud).services()
    assert str(raised.value) == (
        "cloud openstack_default: Keystone rejected the credentials (401). "
        "Fix login, password and project, or the application credential, of connection "
        "openstack_default. Check that its auth URL is Keystone's."
    )


def test_what_to_do_names_the_connection_that_was_used(start: Clouds) -> None:
    forbidden = refusal("forbidden", 403, "Policy doesn't allow a:b to be performed.")
    cloud = start(
        answers={"POST /identity*": Answer({}, 401), "GET /v2.1/servers/detail": forbidden}
    )
    options = new_nova(cloud)._session._options
    with pytest.raises(Refused, match=r"of connection second_cloud\. Check"):
        Nova("second_cloud", options).services()
    del cloud.answers["POST /identity*"]
    with pytest.raises(Refused, match="Allow a:b to the user of connection second_cloud: see"):
        Nova("second_cloud", options).instances()


def test_an_application_credential_that_there_is_not_reads_the_same(start: Clouds) -> None:
    answer = {"error": {"code": 404, "message": "Could not find Application Credential: x."}}
    cloud = start(answers={"POST /identity*": Answer(answer, 404)})
    with pytest.raises(Refused) as raised:
        new_nova(cloud).services()
    assert "rejected the credentials: Could not find Application Credential" in raised.value.found
    assert "or the application credential, of connection" in raised.value.remedy


def test_a_token_that_nova_rejects_reads_like_wrong_credentials(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": Answer({"error": {"message": "no"}}, 401)})
    with pytest.raises(Refused, match="rejected the credentials"):
        new_nova(cloud).services()


def test_an_api_that_does_not_answer_in_time_is_given_up(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": SILENCE})
    with pytest.raises(CloudError, match="no usable answer") as raised:
        new_nova(cloud, api_timeout=0.3).services()
    assert not isinstance(raised.value, Refused)


def test_a_cloud_where_nobody_listens_is_named_with_its_auth_url() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(CloudError) as raised:
        new_nova(AnsweringCloud(url=url)).services()
    assert raised.value.found.startswith(f"no usable answer: {url}/identity/v3 cannot be reached: ")
    assert raised.value.found.endswith("Connection refused")
    assert "auth URL of connection openstack_default" in raised.value.remedy
    assert not isinstance(raised.value, Refused)


def test_an_answer_that_is_no_json_is_no_answer(start: Clouds) -> None:
    cloud = start(answers={"GET /v2.1/os-services": Answer(b"<html>Sorry, we are closed</html>")})
    with pytest.raises(CloudError):
        new_nova(cloud).services()


def test_a_cloud_without_a_compute_endpoint_says_so(start: Clouds) -> None:
    cloud = start()
    cloud.catalog = {}
    with pytest.raises(CloudError, match="The service is not present in the service catalog"):
        new_nova(cloud).services()
    with pytest.raises(CloudError):
        new_nova(cloud).check_version()
