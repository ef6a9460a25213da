"""Whatever Keystone, Nova, Placement, Glance, Neutron and Cinder answer: facts, or one sentence."""

from __future__ import annotations

import gc
import json
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from answering_cloud import (
    PASSWORD,
    TOKEN,
    Answer,
    AnsweringCloud,
    answering,
    new_health,
    new_nova,
    recorded,
)
from cloud_reads import HEALTH_READS, READS
from judged import judged
from odd_json import ODD_TEXTS, bodies, changed
from openstack_maintenance.adapters import scheduler_probe
from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.cloud import Instance, incoming
from openstack_maintenance.domain.drain.capacity import check_room, need_of
from openstack_maintenance.domain.drain.movability import plan_drain, still_in_the_way
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.hooks.cloud_hook import connect_options

pytestmark = pytest.mark.filterwarnings("ignore")
STATUSES = [
    200,
    200,
    200,
    200,
    201,
    202,
    204,
    300,
    304,
    400,
    401,
    403,
    404,
    409,
    413,
    429,
    500,
    503,
]
KINDS = ["application/json", "text/html", "text/plain; charset=latin-1", ""]


@pytest.fixture(scope="module")
def cloud() -> Iterator[AnsweringCloud]:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.freeze()  # a look through all of Airflow's objects, 250 ms, is no input's time
        patch.setattr(scheduler_probe, "_PATIENCE_SECONDS", 0.0)
        patch.setattr(scheduler_probe.time, "sleep", lambda seconds: None)
        yield answering(patch)


@pytest.fixture(scope="module")
def nova(cloud: AnsweringCloud) -> Any:
    """One that has logged in, and knows what the cloud can do."""
    cloud.answers = {}  # what an earlier test of this process left
    found = new_nova()
    found.services()
    found.capacities([])
    return found


def whole_lists(read: str) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(read), bodies(READS[read].body()))


@given(
    asked=st.sampled_from(sorted(READS)).flatmap(whole_lists),
    status=st.sampled_from(STATUSES),
    kind=st.sampled_from(KINDS),
)
def test_reads(
    cloud: AnsweringCloud, nova: Any, asked: tuple[str, bytes], status: int, kind: str
) -> None:
    read = READS[asked[0]]
    answer = Answer(asked[1], status, {"Content-Type": kind})
    cloud.answers = {**read.also(), read.asked: answer}
    if read.key == "server_groups":
        cloud.answers = {}
        cloud.pages = {read.asked: [answer, Answer({"server_groups": []})]}
    found = judged(read.call, nova)
    if isinstance(found, list) and status == 200:
        _is_whole(found, read.key, asked[1])
    if isinstance(found, list) and all(isinstance(each, Instance) for each in found):
        _plans(found)


def _is_whole(found: list[Any], key: str, body: bytes) -> None:
    """A list is as long as what was listed: nothing unreadable was left out."""
    listed = json.loads(body)[key]
    if key in ("services", "servers", "hypervisors"):
        assert len(found) == len(listed)


def _plans(instances: list[Instance]) -> None:
    """What the rules make of instances that were read: no rule raises."""
    for on_blocked in ("fail", "leave", "stop"):
        judged(plan_drain, instances, on_blocked)
        judged(still_in_the_way, instances, on_blocked)
    room = {need: frozenset({"p1"}) for each in instances if (need := need_of(each))}
    judged(check_room, instances, room, "p1", None)
    judged(incoming, [], "c01")


@given(date=st.sampled_from(ODD_TEXTS) | st.text(max_size=40) | st.dates().map(str))
def test_dates(cloud: AnsweringCloud, nova: Any, date: str) -> None:
    header = date.encode("latin-1", "replace").decode("latin-1")
    cloud.answers = {"GET /v2.1/": Answer({}, headers={"Date": header})}
    judged(nova.read_clock)
    judged(nova.now)
    assert abs(nova.clock_offset_seconds) <= 86_400


CHECKS = sorted(CLOUD_CHECKS)
CHECK_OF = {
    "compute services": "check_nova_services",
    "volume services": "check_volume_services",
    "network agents": "check_network_agents",
    "images": "check_images",
}


def _health_bodies(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
    _, key, rows, _ = HEALTH_READS[name]
    return st.tuples(st.just(name), bodies({key: rows}))


@pytest.fixture(scope="module")
def health(cloud: AnsweringCloud) -> Any:
    found = new_health()
    found.new_token()
    return found


@given(
    answered=st.sampled_from(sorted(CHECK_OF)).flatmap(_health_bodies),
    status=st.sampled_from(STATUSES),
)
def test_checks(
    cloud: AnsweringCloud, health: Any, answered: tuple[str, bytes], status: int
) -> None:
    asked = HEALTH_READS[answered[0]][0]
    cloud.answers = {asked: Answer(answered[1], status)}
    findings = judged(CLOUD_CHECKS[CHECK_OF[answered[0]]], health)
    assert findings is None or all(len(each.text) < 2000 for each in findings)


@given(
    answered=st.sampled_from(sorted(HEALTH_READS)).flatmap(_health_bodies),
    status=st.sampled_from(STATUSES),
)
def test_all_that_is_read_for_them_and_for_a_hosts_network(
    cloud: AnsweringCloud, health: Any, answered: tuple[str, bytes], status: int
) -> None:
    asked, _, _, call = HEALTH_READS[answered[0]]
    cloud.answers = {asked: Answer(answered[1], status)}
    judged(call, health)


TOKEN_ONCE = AnsweringCloud().token()
LOGINS = {
    "POST /identity/v3/auth/tokens": TOKEN_ONCE,
    "GET /identity/v3": recorded("keystone_v3"),
    "GET /v2.1": recorded("version"),
    "GET /placement": recorded("placement"),
}


@given(
    answered=st.sampled_from(sorted(LOGINS)).flatmap(
        lambda asked: st.tuples(st.just(asked), bodies(LOGINS[asked]))
    ),
    check=st.sampled_from(["check_token", "check_endpoints"]),
)
def test_logins(cloud: AnsweringCloud, answered: tuple[str, bytes], check: str) -> None:
    asked, body = answered
    cloud.answers = {asked: Answer(body, 201 if asked.startswith("POST") else 200)}
    cloud.may_go_anywhere = True  # a catalog says where
    if asked == "GET /placement":
        judged(new_nova().capacities, ["p1"])
    elif asked == "GET /v2.1":
        judged(new_nova().check_version)
        judged(new_nova().services)
    else:
        judged(CLOUD_CHECKS[check], new_health())
    cloud.may_go_anywhere = False


FRAMES = [
    '{{"auth": {{"password": "{}"}}}}',
    "password={}&x",
    "https://admin:{}@keystone/v3",
    "X-Auth-Token: {}",
    "{}",
    "<p>{}</p>",
]


@given(
    secret=st.text(min_size=4, max_size=40).filter(lambda found: found.split() == [found]),
    frame=st.sampled_from(FRAMES),
    before=st.text(max_size=30),
    write=st.sampled_from([str, json.dumps, ascii]),
)
def test_secrets(secret: str, frame: str, before: str, write: Any) -> None:
    written = write(secret)
    told = judged(cleaned, f"{before} {frame.format(written)}", [secret])
    assert told is not None
    hidden = secret.strip()
    assert (
        hidden not in told or hidden in cleaned(f"{before} {frame.format('')}") or hidden in "***"
    )
    assert not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in told)
    assert len(told) <= 500


@given(
    message=st.lists(
        st.sampled_from([*ODD_TEXTS, PASSWORD, TOKEN, "password=", "://", "@", '"', "\\", "<", ">"])
        | st.text(max_size=5),
        max_size=12,
    ).map("".join),
    status=st.sampled_from([400, 401, 403, 404, 409, 500, 503]),
    kind=st.sampled_from(KINDS),
    is_wrapped=st.booleans(),
)
def test_errors(
    cloud: AnsweringCloud, nova: Any, message: str, status: int, kind: str, is_wrapped: bool
) -> None:
    body: Any = {"badRequest": {"message": message}}
    if not is_wrapped:
        body = message.encode("utf-8", "replace")
    cloud.answers = {"GET /v2.1/os-services": Answer(body, status, {"Content-Type": kind})}
    assert judged(nova.services) is None
    with pytest.raises(CloudError) as raised:
        nova.services()
    said = str(raised.value)
    assert PASSWORD not in said
    assert TOKEN not in said
    assert len(said) < 1200


EXTRA = {
    "project_name": "admin",
    "region_name": "RegionOne",
    "cacert": "/etc/ssl/ca.pem",
    "verify": True,
    "interface": "public",
    "application_credential_secret": "s",
    "application_credential_id": "a",
    "user_domain_name": "Default",
    "cloud": "",
    "insecure": False,
}


@given(
    extra=changed(EXTRA),
    host=st.sampled_from(["https://ctl/v3", "ctl", "", *ODD_TEXTS]) | st.text(max_size=20),
    password=st.sampled_from(["", "x"]),
)
def test_connections(extra: Any, host: str, password: str) -> None:
    connection = Connection(
        conn_id="openstack_default",
        conn_type="openstack",
        host=host,
        login="admin",
        password=password,
        extra=json.dumps(extra),
    )
    found = judged(connect_options, connection)
    if found is not None:
        assert found.get("verify", True)
        assert "@" not in str(found.get("auth", {}).get("auth_url", ""))
