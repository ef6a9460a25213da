"""Params: whatever JSON they hold, a run is told what is wrong with them, and does nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import chars, json_values, texts
from judged import judged
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.controllers.request import (
    check_controller_params,
    in_order,
    named_services,
    read_controller_request,
)
from openstack_maintenance.domain.errors import Blocked
from openstack_maintenance.domain.foreign_text import is_one_line
from openstack_maintenance.domain.host.request import HOST_NAME, check_params, read_request
from openstack_maintenance.domain.mark import HOST_DAG, Mark, find_mark
from openstack_maintenance.domain.nights.request import check_night_params, read_night_request

LAB = load_deployment("lab", Path(__file__).parents[2] / "include/deployments")
INVENTORY = ["ctl01", "ctl02"]
SCRIPTS = ["fstrim.sh"]

flags = st.one_of(st.booleans(), st.none(), json_values)
reasons = st.one_of(st.sampled_from(["kernel", "", " ", None]), st.text(chars, max_size=200), texts)


def mostly(*good: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.sampled_from(good), st.sampled_from(good), json_values)


COMMON = {"dry_run": flags, "ignore_window": flags, "reason": st.one_of(reasons, json_values)}
unknown = st.dictionaries(texts, json_values, max_size=2)


def params(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = st.fixed_dictionaries({}, optional={**COMMON, **given})
    return st.one_of(known, known, st.builds(lambda a, b: {**a, **b}, unknown, known))


hosts = params(
    host=st.one_of(mostly("c01", "c01.example.com"), texts),
    destination=mostly("c02", None, ""),
    block_migration=mostly("auto", "true", True, None),
    reboot=flags,
    script=mostly("fstrim.sh", None, ""),
    on_blocked=mostly("fail", "leave", "stop", None),
)
names = st.lists(st.one_of(st.sampled_from(["ctl01", "nova-api", "Nova services"]), texts))
controllers = params(
    controllers=st.one_of(mostly([], ["ctl01"], None), names),
    services=st.one_of(mostly([], ["nova-api"], None), names),
    action=mostly("restart", "reboot", None),
    allow_outage=flags,
)


nights = params(
    hosts=st.one_of(mostly([], ["c01"], None), st.lists(st.one_of(st.just("c01"), texts))),
    zone=st.one_of(mostly("az1", None, ""), texts),
    aggregate=st.one_of(mostly("gold", None, ""), texts),
    at_most=mostly(1, 3, None),
    script=mostly("fstrim.sh", None, ""),
)


def refuse(blockers: Iterable[Blocker]) -> None:
    """As a step ends with them."""
    told = list(blockers)
    for each in told:
        assert is_one_line(each.subject), each
        assert is_one_line(each.reason), each
    if told:
        raise Blocked("run", "; ".join(map(str, told)), "Fix them.")


def host_run(given: dict[str, Any]) -> None:
    request = read_request(given, "fail")
    mark = str(Mark(HOST_DAG, "r1", request.reason or "maintenance"))
    refuse(check_params(given, request, SCRIPTS))
    assert re.fullmatch(HOST_NAME, request.host)
    assert request.destination is None or re.fullmatch(HOST_NAME, request.destination)
    assert request.script in (None, *SCRIPTS)
    assert given.get("dry_run") in (None, False, True)
    assert is_one_line(request.reason)
    assert is_one_line(mark)
    assert find_mark(mark) == Mark(HOST_DAG, "r1", request.reason or "maintenance")


def controllers_run(given: dict[str, Any]) -> None:
    request = read_controller_request(given)
    refuse(check_controller_params(given, request, INVENTORY, LAB))
    assert set(in_order(request, INVENTORY)) <= set(INVENTORY)
    named_services(request.services, LAB)
    assert request.action in ("restart", "reboot")
    assert is_one_line(request.reason)


def night(given: dict[str, Any]) -> None:
    request = read_night_request(given)
    refuse(check_night_params(given, request, SCRIPTS))
    assert is_one_line(request.reason)
    assert set(given) <= {*COMMON, "hosts", "zone", "aggregate", "at_most", "script"}
    assert all(re.fullmatch(HOST_NAME, each) for each in request.limit.hosts)
    assert request.at_most is None or request.at_most >= 1
    assert request.script in (None, *SCRIPTS)
    refuse(request.limit.unknown({"c01", "c02"}, {"az1"}, {"gold"}))
    assert set(request.limit.hosts) <= {"c01", "c02"}


@given(given_params=hosts)
def test_the_params_of_a_hosts_run(given_params: dict[str, Any]) -> None:
    judged(host_run, given_params)


@given(given_params=controllers)
def test_the_params_of_a_controllers_run(given_params: dict[str, Any]) -> None:
    judged(controllers_run, given_params)


@given(given_params=nights)
def test_the_params_of_a_night(given_params: dict[str, Any]) -> None:
    judged(night, given_params)


LONG: dict[str, Any] = {
    "text": "x" * 1_000_000,
    "line breaks": "\n" * 1_000_000,
    "names": ["x"] * 100_000,
    "different names": [f"nova-apy{number}" for number in range(60_000)],
    "nested": {"a": [{"b": "c" * 500_000}]},
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_a_megabyte_in_any_param_is_told_at_once(value: Any) -> None:
    for param in ("host", "reason", "script", "destination", "on_blocked", "x" * 100_000):
        judged(host_run, {"host": "c01", param: value})
    for param in ("controllers", "services", "action", "reason"):
        judged(controllers_run, {param: value})
    for param in ("hosts", "zone", "aggregate", "at_most", "script", "reason"):
        judged(night, {param: value})


def test_a_megabyte_of_params_is_told_at_once() -> None:
    judged(night, {f"param{number}": number for number in range(60_000)})
