"""The params of a run: read, and refused before anything is read from the cloud."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_maintenance.domain.host.request import Request, check_params, read_request
from openstack_maintenance.domain.params import did_you_mean

SCRIPTS = ["fstrim.sh", "update-kernel"]


def blockers(**params: Any) -> list[str]:
    given = {"host": "c01", **params}
    found = check_params(given, read_request(given, "fail"), SCRIPTS)
    return [str(each) for each in found]


def test_the_host_alone_is_a_complete_request() -> None:
    assert read_request({"host": "c01"}, "leave") == Request("c01", on_blocked="leave")
    assert blockers() == []


def test_everything_that_can_be_given_is_read() -> None:
    params = {
        "host": "c01",
        "destination": "c02",
        "block_migration": "true",
        "reason": "kernel",
        "reboot": False,
        "script": "fstrim.sh",
        "dry_run": True,
        "ignore_window": True,
        "on_blocked": "stop",
    }
    expected = Request("c01", "c02", "true", "kernel", False, "fstrim.sh", True, True, "stop")
    assert read_request(params, "fail") == expected
    assert blockers(**params) == []


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_field_of_the_form_means_that_nothing_was_given(empty: str | None) -> None:
    params = {"host": "c01", "destination": empty, "script": empty, "on_blocked": empty}
    assert read_request({**params, "reason": empty}, "fail") == Request("c01")


@pytest.mark.parametrize(
    ("given", "read"),
    [(True, "true"), (False, "false"), ("AUTO", "auto"), (None, "auto"), ("true", "true")],
)
def test_block_migration_may_be_a_yaml_boolean(given: Any, read: str) -> None:
    assert read_request({"host": "c01", "block_migration": given}, "fail").block_migration == read


@pytest.mark.parametrize("name", ["c01", "c01.example.com", "C-01_a", "1", "a" * 255])
def test_a_host_name_as_nova_knows_them_is_accepted(name: str) -> None:
    assert blockers(host=name, destination=name) == []


@pytest.mark.parametrize(
    "name",
    [
        "c01; reboot",
        "c01 c02",
        "$(reboot)",
        "`id`",
        "c01\n",
        "c01\nc02",
        "-oProxyCommand=x",
        "../c01",
        "c01/..",
        "c01'",
        'c01"',
        "c01|x",
        "c01&",
        "c01*",
        "c01\\",
        "c01\x00",
        "ｃ01",
        "c01-",
        ".c01",
        "a" * 256,
        " c01",
    ],
)
def test_a_name_with_anything_else_in_it_is_refused(name: str) -> None:
    (host,) = blockers(host=name)
    assert host.startswith("param host: ")
    assert "is not a host name" in host
    (destination,) = blockers(destination=name)
    assert destination.startswith("param destination: ")


@pytest.mark.parametrize("name", ["", None])
def test_a_run_without_a_host_is_refused(name: str | None) -> None:
    (said,) = blockers(host=name)
    assert said.startswith("param host: is empty. Write it as `openstack compute service list`")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"dryrun": True}, "param dryrun: this DAG has no such param (did you mean dry_run?)"),
        ({"colour": "red"}, "param colour: this DAG has no such param. Known are host,"),
        ({"block_migration": "maybe"}, "param block_migration: 'maybe' is not a choice"),
        ({"on_blocked": "ignore"}, "param on_blocked: 'ignore' is not a choice. Write one of"),
        ({"script": "rm.sh"}, "param script: 'rm.sh' is not in include/scripts (there: fstrim.sh"),
        ({"script": "../../etc/passwd"}, "param script: '../../etc/passwd' is not in"),
        ({"ignore_window": True}, "param ignore_window: is set without a reason"),
        ({"ignore_window": True, "reason": "  "}, "param ignore_window: is set without a reason"),
        # A text where a truth value is due: "false" must not reboot, "true" must not be for real.
        ({"dry_run": "true"}, "param dry_run: 'true' is not a choice. Write one of true, false"),
        ({"reboot": "false"}, "param reboot: 'false' is not a choice"),
        ({"ignore_window": 1, "reason": "x"}, "param ignore_window: 1 is not a choice"),
    ],
)
def test_a_bad_param_is_named_with_its_remedy(params: dict[str, Any], said: str) -> None:
    (found,) = blockers(**params)
    assert found.startswith(said)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = blockers(host="c;01", script="x", on_blocked="y", dryrun=True, ignore_window=True)
    assert len(found) == 5


def test_where_there_are_no_scripts_it_says_so() -> None:
    given = {"host": "c01", "script": "x"}
    (found,) = check_params(given, read_request(given, "fail"), [])
    assert "(there: none)" in found.reason


@pytest.mark.parametrize(
    ("name", "hint"),
    [("c1", " (did you mean c01"), ("compute1", " (did you mean compute-1"), ("zzz", "")],
)
def test_a_misspelt_name_gets_a_hint(name: str, hint: str) -> None:
    found = did_you_mean(name, ["c01", "c02", "compute-1"])
    assert found.startswith(hint)
    assert bool(found) is bool(hint)


@pytest.mark.parametrize("param", ["host", "destination", "reason", "script", "on_blocked"])
@pytest.mark.parametrize("value", [5, 1.5, True, False, 0, [], ["c01"], {}, {"a": "b"}])
def test_what_is_no_text_is_named(param: str, value: Any) -> None:
    said = blockers(**{"host": "c01", param: value})
    assert any(text.startswith(f"param {param}: {value!r} is not a string") for text in said)


@pytest.mark.parametrize("value", [5, [], {}, "yes", 0])
def test_block_migration_is_one_of_its_choices(value: Any) -> None:
    (said,) = blockers(host="c01", block_migration=value)
    assert said.startswith(f"param block_migration: {value!r} is not a choice")


@pytest.mark.parametrize(
    "reason", ["a\nb", "a\0", "a\ud800", "a\u2028b", "a\x85", "a\x1b[2J", "\r"]
)
def test_a_reason_is_one_line_of_text(reason: str) -> None:
    (said,) = blockers(host="c01", reason=reason)
    assert "holds a line break or another control character" in said
    assert "Write it on one line." in said


def test_a_reason_is_as_long_as_the_form_allows() -> None:
    assert blockers(host="c01", reason="x" * 150) == []
    assert blockers(host="c01", reason="x" * 151) == [
        "param reason: has 151 characters, more than 150. Shorten it."
    ]


def test_what_is_long_is_not_repeated_whole() -> None:
    said = blockers(**{"host": "x" * 90_000, "destination": "y" * 90_000, "z" * 90_000: 1})
    assert len(said) == 3
    assert all(len(text) < 500 for text in said)


def test_of_many_unknown_params_the_first_are_named() -> None:
    said = blockers(host="c01", **{f"x{number}": 1 for number in range(1000)})
    assert len(said) == 21
    assert said[-1].startswith("params: 980 more of them are wrong")
