"""Verdicts over what the cloud says of itself by its APIs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openstack_maintenance.domain.checks.cloud_rules import (
    Answered,
    Endpoint,
    ServiceRow,
    Token,
    judge_endpoints,
    judge_images,
    judge_service_rows,
    judge_token,
)

NOW = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
NOVA = Endpoint(
    service_type="compute", interface="public", region="RegionOne", url="http://ctl:8774/v2.1"
)


def row(host: str, enabled: bool = True, up: bool = True, reason: str = "") -> ServiceRow:
    return ServiceRow(binary="nova-compute", host=host, is_enabled=enabled, is_up=up, reason=reason)


@pytest.mark.parametrize(
    ("rows", "verdict", "text"),
    [
        ([row("c01"), row("c02")], "ok", "2 up"),
        ([row("c01"), row("c02", up=False)], "bad", "down on c02; 1 up"),
        ([row("c02", up=False), row("c01", up=False)], "bad", "down on c01, c02"),
        ([row("c01", enabled=False, up=False, reason="disk")], "ok", "disabled: c01 (disk)"),
        ([row("c01"), row("c02", enabled=False)], "ok", "1 up; disabled: c02"),
    ],
)
def test_an_enabled_service_must_be_up(rows: list[ServiceRow], verdict: str, text: str) -> None:
    (finding,) = judge_service_rows(rows, "Nova services")
    assert (finding.name, finding.verdict, finding.text) == ("nova-compute", verdict, text)


def test_each_kind_of_service_has_its_own_line() -> None:
    rows = [
        row("c01"),
        ServiceRow(binary="nova-scheduler", host="ctl01", is_enabled=True, is_up=False),
    ]
    judged = judge_service_rows(rows, "Nova services")
    assert [(each.name, each.verdict) for each in judged] == [
        ("nova-compute", "ok"),
        ("nova-scheduler", "bad"),
    ]


@pytest.mark.parametrize(
    ("rows", "may_be_empty", "verdict"),
    [(None, False, "absent"), ([], False, "bad"), ([], True, "absent")],
)
def test_an_api_that_is_not_there_is_absent_and_an_empty_list_may_be_a_fault(
    rows: list[ServiceRow] | None, may_be_empty: bool, verdict: str
) -> None:
    (finding,) = judge_service_rows(rows, "network agents", may_be_empty)
    assert finding.verdict == verdict
    assert finding.name == "network agents"


@pytest.mark.parametrize(
    ("status", "known", "verdict", "text"),
    [
        (200, True, "ok", "answers (200)"),
        (403, True, "ok", "answers (403)"),  # the token was read; the role is another matter
        (401, True, "bad", "http://ctl:8774/v2.1 rejects a fresh token (401)"),
        (404, True, "bad", "http://ctl:8774/v2.1 answers 404"),
        (302, True, "bad", "http://ctl:8774/v2.1 answers 302"),
        (500, True, "bad", "http://ctl:8774/v2.1 answers 500"),
        (300, False, "ok", "answers (300, its root only)"),
        (404, False, "ok", "answers (404, its root only)"),
        (401, False, "bad", "rejects"),
        (503, False, "bad", "answers 503"),
        (None, True, "bad", "no answer at http://ctl:8774/v2.1: refused"),
    ],
)
def test_an_endpoint_answers_an_authenticated_request_or_is_named(
    status: int | None, known: bool, verdict: str, text: str
) -> None:
    (finding,) = judge_endpoints(
        [Answered(endpoint=NOVA, status=status, error="refused", known=known)]
    )
    assert finding.name == "compute public RegionOne"
    assert finding.verdict == verdict
    assert text in finding.text


def test_an_empty_catalog_is_a_fault() -> None:
    assert [each.verdict for each in judge_endpoints([])] == ["bad"]


@pytest.mark.parametrize(("count", "verdict"), [(None, "absent"), (0, "ok"), (3, "ok")])
def test_the_image_list_may_be_empty(count: int | None, verdict: str) -> None:
    assert [each.verdict for each in judge_images(count)] == [verdict]


@pytest.mark.parametrize(("minutes", "verdict"), [(60, "ok"), (4, "bad"), (-60, "bad")])
def test_a_token_lives_long_enough(minutes: int, verdict: str) -> None:
    token = Token(user="admin", project="admin", expires=NOW + timedelta(minutes=minutes))
    assert [each.verdict for each in judge_token(token, NOW)] == [verdict]
