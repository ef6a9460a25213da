"""What a run of controller_maintenance may be asked for, and in which order it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.controllers.request import (
    check_controller_params,
    in_order,
    named_services,
    read_controller_request,
)

LAB = load_deployment("lab", Path(__file__).parents[3] / "include/deployments")
INVENTORY = ["ctl01", "ctl02", "ctl03"]


def blockers(params: dict[str, Any]) -> list[str]:
    request = read_controller_request(params)
    return [str(each) for each in check_controller_params(params, request, INVENTORY, LAB)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"controllers": None, "services": None, "action": None, "reason": None},
        {"controllers": ["ctl02"], "services": ["nova-api", "Support services"]},
        {"services": ["support SERVICES"]},
        {"action": "reboot", "allow_outage": True, "services": []},
        {"ignore_window": True, "reason": "urgent"},
    ],
)
def test_what_makes_sense_is_not_blocked(params: dict[str, Any]) -> None:
    assert blockers(params) == []


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"controller": ["ctl01"]}, "no such param (did you mean controllers?)"),
        ({"controllers": "ctl01"}, "param controllers: 'ctl01' is not a list of names"),
        ({"controllers": [1]}, "param controllers: [1] is not a list of names"),
        ({"controllers": ["ctl1"]}, "controller ctl1: is not in the policy's inventory (did you"),
        ({"controllers": ["x"]}, "controller x: is not in the policy's inventory. Name one of ctl"),
        ({"services": ["nova-apy"]}, "'nova-apy' is not in the catalog of The lab (did you mean n"),
        ({"services": ["Nova service"]}, "(did you mean Nova services"),
        ({"action": "restrat"}, "param action: 'restrat' is not a choice"),
        ({"action": "reboot", "services": ["nova-api"]}, "nova-api: a reboot restarts everything"),
        ({"ignore_window": True, "reason": " "}, "param ignore_window: is set without a reason"),
        ({"allow_outage": "false"}, "param allow_outage: 'false' is not a choice"),
        ({"dry_run": "true"}, "param dry_run: 'true' is not a choice"),
        ({"action": []}, "param action: [] is not a choice"),
        ({"action": 0}, "param action: 0 is not a choice"),
        ({"reason": 5}, "param reason: 5 is not a string"),
        ({"reason": "a\nb"}, "param reason: 'a\\nb' holds a line break"),
        ({"controllers": {"ctl01": 1}}, "param controllers: {'ctl01': 1} is not a list of names"),
        ({"controllers": [["ctl01"]]}, "param controllers: [['ctl01']] is not a list of names"),
        ({"controllers": ["a\nb"]}, "controller 'a\\nb': is not in the policy's inventory"),
        ({"services": ["NOVA-API"]}, "'NOVA-API' is not in the catalog"),
    ],
)
def test_each_mistake_is_one_sentence_with_a_remedy(params: dict[str, Any], said: str) -> None:
    (found,) = blockers(params)
    assert said in found
    assert found.count(". ") == 1


def test_all_mistakes_are_named_at_once() -> None:
    assert len(blockers({"x": 1, "controllers": ["a", "b"], "services": ["c"]})) == 4


def test_what_is_never_restarted_cannot_be_named_but_its_group_can() -> None:
    folder = Path(__file__).parents[3] / "include/deployments"
    debian = load_deployment("debian", folder)
    for names, count in ((["messagebus"], 1), (["Support services"], 0)):
        params = {"services": names}
        request = read_controller_request(params)
        found = check_controller_params(params, request, INVENTORY, debian)
        assert len(found) == count


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ([], ["ctl02", "ctl03", "ctl01"]),
        (["ctl01", "ctl02"], ["ctl02", "ctl01"]),
        (["ctl03", "ctl02"], ["ctl02", "ctl03"]),
        (["ctl01", "ctl01"], ["ctl01"]),
    ],
)
def test_the_primary_is_the_last(asked: list[str], order: list[str]) -> None:
    assert in_order(read_controller_request({"controllers": asked}), INVENTORY) == order


def test_a_group_stands_for_its_services_and_none_comes_twice() -> None:
    found = named_services(["nova services", "nova-api", "mariadb"], LAB)
    assert [each.name for each in found] == [
        "nova-api",
        "nova-scheduler",
        "nova-conductor",
        "mariadb",
    ]


def test_of_many_strangers_the_first_are_named() -> None:
    names = [f"x{number}" for number in range(500)]
    for param in ("controllers", "services"):
        found = blockers({param: names})
        assert len(found) == 21
        assert "480 more of them are wrong" in found[-1]
