"""What a proxy, or an API gone wrong, answers: it is silence and one sentence, never emptiness."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from answering_cloud import (
    PASSWORD,
    QUIET,
    TOKEN,
    URL,
    Answer,
    AnsweringCloud,
    answering,
    new_health,
    new_nova,
    recorded,
)
from builders import migration
from cloud_reads import HEALTH_READS, INSTANCE, READS, Read
from judged import assert_grows_linearly, cpu_seconds
from openstack_maintenance.adapters import scheduler_probe
from openstack_maintenance.adapters.cloud_checks import CLOUD_CHECKS
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.nova import Nova
from openstack_maintenance.domain.errors import CloudError

pytestmark = [*QUIET, pytest.mark.thorough]
MOST = 700  # characters of a sentence about a foreign text


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnsweringCloud]:
    monkeypatch.setattr(scheduler_probe, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(scheduler_probe.time, "sleep", lambda seconds: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield answering(monkeypatch)


def answer(cloud: AnsweringCloud, read: Read, body: Any, status: int = 200) -> None:
    cloud.answers = {**read.also(), read.asked: Answer(body, status)}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_read_understands_what_was_recorded(cloud: AnsweringCloud, read: Read) -> None:
    answer(cloud, read, read.body())
    found = read.call(new_nova())
    assert found is not None
    assert read.asked in [str(each) for each in cloud.asked]


BODIES: list[Any] = [
    None,
    {},
    [],
    "text",
    7,
    True,
    b"",
    b"<html>Welcome</html>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 5_000,
    b"NaN",
]
INSIDE: list[Any] = [None, {}, "text", "", 7, 1.5, True, [None], ["x"], [[]], [7]]


def shown(body: Any) -> str:
    return repr(body)[:20]


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_an_answer_of_another_shape_is_one_sentence_and_no_empty_list(
    cloud: AnsweringCloud, read: Read
) -> None:
    nova = new_nova()
    for body in BODIES:
        answer(cloud, read, body)
        with pytest.raises(CloudError) as raised:
            pytest.fail(f"{shown(body)} is read as {read.call(nova)}")
        assert len(str(raised.value)) < MOST


# What is an answer all the same.
LEGITIMATE = [
    ("provider_summaries", {}),  # nobody has room
    ("inventories", {}),  # a provider without an inventory
    ("allocations", {}),  # nobody holds room
    ("traits", ["x"]),  # a trait of that name
    ("instanceAction", {}),  # an action that has no events: its reason stays unknown
]


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_what_is_no_list_under_the_right_key_is_no_empty_list(
    cloud: AnsweringCloud, read: Read
) -> None:
    nova = new_nova()
    for inside in INSIDE:
        if (read.key, inside) in LEGITIMATE:
            continue
        answer(cloud, read, read.body() | {read.key: inside})
        if read is READS["right to see an instance"] and inside == {}:
            assert len(read.call(nova)) == 2  # what it leaves out are missing rights
            continue
        with pytest.raises(CloudError, match="no usable answer"):
            pytest.fail(f"{shown(inside)} is read as {read.call(nova)}")


@pytest.mark.parametrize("key", ["services", "servers", "migrations", "hypervisors"])
@pytest.mark.parametrize("odd", [None, {}, [], "x", 7], ids=shown)
def test_one_row_that_cannot_be_read_is_no_shorter_list(
    cloud: AnsweringCloud, key: str, odd: Any
) -> None:
    read = next(each for each in READS.values() if each.key == key)
    body = read.body()
    answer(cloud, read, {key: [*body[key], odd]})
    with pytest.raises(CloudError):
        read.call(new_nova())


@pytest.mark.parametrize(
    ("read", "key", "value"),
    [
        ("services", "status", None),
        ("services", "status", True),
        ("services", "state", None),
        ("services", "host", ""),
        ("services", "host", "c01\nc02"),
        ("services", "host", "x" * 256),
        ("services", "id", "../servers"),
        ("services", "forced_down", "no"),
        ("services", "updated_at", "0000-00-00"),
        ("services", "updated_at", 7),
        ("services", "updated_at", "9999-12-31T23:59:59-14:00"),
        ("hypervisors", "service", None),
        ("hypervisors", "service", {"host": 7}),
        ("hypervisors", "host_ip", ["10.0.0.1"]),
        ("hypervisors", "id", "a/b"),
        ("aggregates", "hosts", "c01"),
        ("aggregates", "hosts", [None]),
        ("properties", "metadata", {"ssd": None}),
        ("properties", "metadata", {"ssd": ["true"]}),
        ("properties", "metadata", "ssd=true"),
        ("instances", "status", None),
        ("instances", "flavor", None),
        ("instances", "flavor", {"ram": "512", "disk": 1, "vcpus": 1}),
        ("instances", "flavor", {"ram": -1, "disk": 1, "vcpus": 1}),
        ("instances", "flavor", {"ram": 10**30, "disk": 1, "vcpus": 1}),
        ("instances", "flavor", {"ram": True, "disk": 1, "vcpus": 1}),
        ("instances", "image", [1]),
        ("instances", "image", 7),
        ("instances", "fault", "text"),
        ("instances", "OS-EXT-STS:power_state", "1"),
        ("instances", "OS-EXT-STS:vm_state", None),
        ("instances", "OS-EXT-STS:task_state", {}),
        ("instances", "OS-EXT-SRV-ATTR:host", 7),
        ("instances", "id", ".."),
        ("migrations", "id", "²"),
        ("migrations", "id", True),
        ("migrations", "id", 10**40),
        ("migrations", "instance_uuid", None),
        ("migrations", "status", None),
        ("migrations", "source_compute", None),
        ("migrations", "created_at", None),
        ("migrations", "created_at", "99999-01-01T00:00:00"),
        ("migrations", "created_at", "0001-01-01T00:00:00+14:00"),
        ("migrations", "updated_at", "2026-13-01T00:00:00"),
    ],
)
def test_a_value_of_another_kind_makes_the_list_unreadable(
    cloud: AnsweringCloud, read: str, key: str, value: Any
) -> None:
    body = READS[read].body()
    assert key in body[READS[read].key][0] or key == "fault"
    body[READS[read].key][0][key] = value
    answer(cloud, READS[read], body)
    with pytest.raises(CloudError, match="no usable answer") as raised:
        READS[read].call(new_nova())
    assert key in raised.value.found or "names" in raised.value.found


def test_an_instance_whose_host_nova_hides_is_not_on_no_host(cloud: AnsweringCloud) -> None:
    for name in ("instance", "instances"):
        body = READS[name].body()
        row = body["server"] if name == "instance" else body["servers"][0]
        del row["OS-EXT-SRV-ATTR:host"]
        answer(cloud, READS[name], body)
        with pytest.raises(Refused, match="does not say on which host") as raised:
            READS[name].call(new_nova())
        assert "os-extended-server-attributes" in raised.value.remedy


@pytest.mark.parametrize("name", ["instance", "instances"])
def test_an_instance_of_a_cell_that_is_silent_is_not_on_no_host(
    cloud: AnsweringCloud, name: str
) -> None:
    """From 2.69 on Nova lists it with its id, and little else."""
    row = {"id": INSTANCE, "status": "UNKNOWN", "tenant_id": "p1", "created": "2026-01-01"}
    answer(cloud, READS[name], {"server": row} if name == "instance" else {"servers": [row]})
    with pytest.raises(CloudError, match="its cell does not answer"):
        READS[name].call(new_nova())


def test_an_answer_about_another_instance_is_none(cloud: AnsweringCloud) -> None:
    body = READS["instance"].body()
    body["server"]["id"] = "e33e7513-3367-4512-bcbc-a52410943c35"
    answer(cloud, READS["instance"], body)
    with pytest.raises(CloudError, match="and answered about e33e7513"):
        new_nova().get_instance(INSTANCE)


MOVING = migration(id=7, instance_id=INSTANCE)
ACTIONS: dict[str, Callable[[Nova], Any]] = {
    "disable": lambda nova: nova.disable(nova.get_service("c01"), "x"),
    "enable": lambda nova: nova.enable(nova.get_service("c01")),
    "live": lambda nova: nova.live_migrate(INSTANCE, None, "auto"),
    "cold": lambda nova: nova.cold_migrate(INSTANCE, None),
    "confirm": lambda nova: nova.confirm(INSTANCE),
    "stop": lambda nova: nova.stop_guest(INSTANCE),
    "start": lambda nova: nova.start_guest(INSTANCE),
    "reset": lambda nova: nova.reset_state(INSTANCE),
    "abort": lambda nova: nova.abort(MOVING),
    "force": lambda nova: nova.force_complete(MOVING),
}


@pytest.mark.parametrize("status", [200, 202, 204, 302, 400, 409, 500])
@pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)
def test_an_action_that_is_answered_with_nonsense_raises_nothing_else_than_a_sentence(
    cloud: AnsweringCloud, act: Callable[[Nova], Any], status: int
) -> None:
    """Whether it was done is read back, by each step, from what Nova shows then."""
    service = f"PUT /v2.1/os-services/{recorded('services')['services'][3]['id']}"
    action = f"POST /v2.1/servers/{INSTANCE}/action"
    migration = f"/v2.1/servers/{INSTANCE}/migrations/7"
    nova = new_nova()
    for body in BODIES:
        given = Answer(body, status)
        asked = (service, action, f"DELETE {migration}", f"POST {migration}/action")
        cloud.answers = dict.fromkeys(asked, given)
        try:
            act(nova)
        except CloudError as error:
            assert len(str(error)) < MOST
        else:
            assert status < 400


# Pages.


@pytest.mark.parametrize("read", ["instances", "migrations", "hypervisors"])
@pytest.mark.parametrize("is_empty", [False, True])
def test_pages_that_never_end_are_given_up(
    cloud: AnsweringCloud, read: str, is_empty: bool
) -> None:
    key = READS[read].key
    body = READS[read].body()
    rows = [] if is_empty else body[key]
    link = {"rel": "next", "href": f"{URL}/v2.1/{key}"}
    answer(cloud, READS[read], {key: rows, f"{key}_links": [link]})
    with pytest.raises(CloudError, match="do not end"):
        READS[read].call(new_nova())
    assert len(cloud.asked) < 10


def test_server_groups_whose_pages_never_end_are_given_up(cloud: AnsweringCloud) -> None:
    groups = recorded("server_groups")
    answer(cloud, READS["server groups"], groups)
    with pytest.raises(CloudError, match="do not end"):
        new_nova().anti_affinity_groups()


def test_the_token_does_not_follow_a_link_to_elsewhere(cloud: AnsweringCloud) -> None:
    """AnsweringCloud fails the test where anything is sent to another host."""
    rows = READS["instances"].body()["servers"]
    link = {"rel": "next", "href": "http://elsewhere.invalid/servers/detail?marker=x"}
    answer(cloud, READS["instances"], {"servers": rows, "servers_links": [link]})
    with pytest.raises(CloudError, match="do not end"):
        new_nova().instances()


# The clock.


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Fri, 99 Nov 2026 20:00:00 GMT",
        "Fri, 27 Nov 99999 20:00:00 GMT",
        "Fri, 27 Nov 0001 20:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 27 Nov 2026 20:00:00 +99999999999",
        "²",
        "٣" * 10,
        "1" * 5000,
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(days=300)), id="far ahead"),
        pytest.param(format_datetime(datetime.now(UTC) - timedelta(days=2)), id="behind"),
    ],
)
def test_an_odd_date_never_becomes_novas_clock(cloud: AnsweringCloud, date: str) -> None:
    cloud.answers["GET /v2.1/"] = Answer({}, headers={"Date": date})
    nova = new_nova()
    if date:
        with pytest.raises(CloudError, match="no usable answer"):
            nova.read_clock()
    else:
        nova.read_clock()
    assert nova.clock_offset_seconds == 0.0


# Size and time.


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_megabyte_of_hostile_answer_takes_no_time(cloud: AnsweringCloud, read: Read) -> None:
    nova = new_nova()
    for body in (b"[" * 2**20, b"\xff" * 2**20, b'{"a":"' + b"x" * 2**20, b"<" * 2**20):
        answer(cloud, read, body)
        assert cpu_seconds(lambda _: read.call(nova), None) < 0.5


@pytest.mark.parametrize("kind", ["application/json", "text/html", "text/plain"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
def test_a_megabyte_of_error_takes_no_time_and_is_not_repeated(
    cloud: AnsweringCloud, status: int, kind: str
) -> None:
    nova = new_nova()
    distinct = "\n".join(map(str, range(150_000))).encode()
    denied = b"policy doesn't allow " + b":" * 2**20
    for body in (b"<" * 2**20, distinct, denied, b"\x00\xff" * 2**19, b"token" * 2**17):
        cloud.answers["GET /v2.1/os-services"] = Answer(body, status, {"Content-Type": kind})
        assert cpu_seconds(lambda _: nova.services(), None) < 0.5
        with pytest.raises(CloudError) as raised:
            nova.services()
        assert len(str(raised.value)) < 1200
        assert str(raised.value).isprintable()


def test_time_grows_with_the_answer_and_no_faster(cloud: AnsweringCloud) -> None:
    nova, row = new_nova(), READS["instances"].body()["servers"][0]
    length = len(json.dumps(row))

    def make(size: int) -> Any:
        many = [row | {"id": f"i{number}"} for number in range(size // length)]
        return json.dumps({"servers": many}).encode()

    def read(body: bytes) -> Any:
        cloud.answers["GET /v2.1/servers/detail"] = Answer(body)
        return nova.instances()

    assert_grows_linearly(read, make)


def test_an_answer_longer_than_any_is_given_up_before_it_is_read_whole(
    cloud: AnsweringCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstack_maintenance.adapters.cloud_session._LONGEST_ANSWER", 100_000)
    cloud.answers["GET /v2.1/os-services"] = Answer(b" " * 100_001)
    with pytest.raises(CloudError, match="its answer is longer than 100000 bytes"):
        new_nova().services()


# Secrets.

ECHOES: list[Callable[[str], str]] = [
    lambda secret: f"bad request: password={secret}",
    lambda secret: json.dumps({"auth": {"password": secret}}),
    lambda secret: json.dumps({"auth": {"password": secret}}, ensure_ascii=False),
    lambda secret: json.dumps(json.dumps({"password": secret})),
    lambda secret: f"https://admin:{secret}@keystone/v3 is down",
    lambda secret: f"https://admin:{quote(secret, safe='')}@keystone/v3 is down",
    lambda secret: f"nothing but {secret} alone",
    lambda secret: f"{'x' * 450} {secret}",
    lambda secret: f"X-Auth-Token: {secret}",
    lambda secret: f"{{'X-Auth-Token': '{secret}', 'User-Agent': 'x'}}",
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("secret", [PASSWORD, TOKEN], ids=["password", "token"])
def test_a_secret_that_a_proxy_echoes_is_not_repeated(
    cloud: AnsweringCloud, secret: str, echo: Callable[[str], str]
) -> None:
    nova, said = new_nova(), echo(secret)
    bodies = (said.encode(), {"badRequest": {"message": said}})
    kinds = ("application/json", "text/html", "text/plain; charset=latin-1")
    for status, body, kind in product((200, 400, 403, 404, 409, 500), bodies, kinds):
        cloud.answers["GET /v2.1/os-services"] = Answer(body, status, {"Content-Type": kind})
        with pytest.raises(CloudError) as raised:
            nova.services()
        told = repr((str(raised.value), raised.value.__cause__))
        assert secret[:8] not in told
        assert quote(secret, safe="")[:8] not in told


def test_a_secret_that_is_echoed_to_the_login_is_not_repeated(cloud: AnsweringCloud) -> None:
    said = {"error": {"code": 400, "message": f"cannot parse password {PASSWORD} of admin"}}
    for status in (400, 403, 404, 500, 503):
        cloud.answers["POST /identity/v3/auth/tokens"] = Answer(said, status)
        for call in (new_nova().services, new_health().new_token, new_health().compute_services):
            with pytest.raises(CloudError) as raised:
                call()
            assert PASSWORD[:8] not in str(raised.value)


def test_a_right_that_is_missing_is_told_without_secrets(cloud: AnsweringCloud) -> None:
    said = f"Policy doesn't allow os:x:y to be performed. {PASSWORD} {TOKEN}"
    read = READS["right to list migrations"]
    answer(cloud, read, {"forbidden": {"message": said}}, 403)
    (missing,) = read.call(new_nova())
    assert "Policy doesn't allow os:x:y to be performed" in missing.reason
    assert PASSWORD not in missing.reason
    assert TOKEN not in missing.reason


# All APIs, as the checks ask them.


@pytest.mark.parametrize("name", HEALTH_READS)
def test_a_check_of_an_api_that_answers_nonsense_is_one_sentence(
    cloud: AnsweringCloud, name: str
) -> None:
    asked, key, rows, call = HEALTH_READS[name]
    health = new_health()
    inside = [{key: within} for odd in INSIDE for within in (odd, [*rows, odd])]
    for body in [*BODIES, *inside]:
        if body in ({"images": [*rows, {}]}, {"ports": [*rows, {}]}, {"ports": [{}]}):
            continue  # images are only counted, and a port may be nobody's
        cloud.answers[asked] = Answer(body)
        with pytest.raises(CloudError, match="no usable answer"):
            pytest.fail(f"{shown(body)} is read as {call(health)}")


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": None},
        {"expires_at": "never"},
        {"expires_at": 7},
        {"expires_at": "99999-01-01"},
        {"user": None},
        {"user": {"name": ["admin"], "id": 7, "domain": None}},
        {"project": "admin"},
        {"catalog": None},
        {"catalog": {}},
        {"catalog": [None]},
        {"catalog": [{"type": "compute"}]},
        {"catalog": [{"type": "compute", "endpoints": None}]},
        {"catalog": [{"type": 7, "endpoints": [{"url": 7, "interface": []}]}]},
        {"catalog": "x"},
        {"roles": 7},
    ],
    ids=shown,
)
def test_a_token_of_another_shape_never_ends_a_check_raw(
    cloud: AnsweringCloud, change: dict[str, Any]
) -> None:
    token = cloud.token()
    token["token"] |= change
    cloud.answers["POST /identity/v3/auth/tokens"] = Answer(token, 201)
    health = new_health()
    for check in CLOUD_CHECKS.values():
        try:
            findings = check(health)
        except CloudError as error:
            assert len(str(error)) < MOST
        else:
            assert findings


@pytest.mark.parametrize(
    "asked",
    ["GET /identity/v3", "POST /identity/v3/auth/tokens", "GET /v2.1", "GET /placement"],
)
def test_discovery_and_login_that_answer_nonsense_are_one_sentence(
    cloud: AnsweringCloud, asked: str
) -> None:
    for body in BODIES:
        cloud.answers[asked] = Answer(body)
        for call in (
            new_nova().check_version,
            new_nova().services,
            lambda: new_nova().capacities(["p1"]),
            new_health().new_token,
        ):
            try:
                call()
            except CloudError as error:
                assert len(str(error)) < MOST


def test_a_catalogs_url_with_a_login_is_shown_without_it(cloud: AnsweringCloud) -> None:
    token = cloud.token()
    url = "http://admin:hunter22@cloud.invalid/v2.1"
    token["token"]["catalog"][0]["endpoints"][0]["url"] = url
    cloud.answers["POST /identity/v3/auth/tokens"] = Answer(token, 201)
    found = new_health().endpoints()
    assert "hunter22" not in repr(found)
    assert found[0].url == "http://cloud.invalid/v2.1"
