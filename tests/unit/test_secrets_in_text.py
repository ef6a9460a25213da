"""What is repeated of a foreign text holds no secret, one line, and not too much."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from judged import assert_grows_linearly, cpu_seconds
from openstack_maintenance.adapters.secrets_in_text import cleaned

SECRETS = ["correct horse", "p/ä\"s's&<w>\\d", "hunter22", "ключ-от-всего", "🔑🔑🔑🔑", "a%2Fb+c d"]
WRITTEN: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda secret: quote(quote(secret, safe=""), safe=""),
    json.dumps,
    lambda secret: json.dumps(json.dumps(json.dumps(secret))),
    lambda secret: json.dumps(secret, ensure_ascii=False),
    html.escape,
    repr,
    ascii,
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
]


@pytest.mark.parametrize("write", WRITTEN)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_known_secret_is_hidden_however_it_is_written(
    secret: str, write: Callable[[str], str]
) -> None:
    told = cleaned(f"before {write(secret)} after", [secret])
    # Quotes around it, and base64's padding after it, tell nothing.
    assert re.sub(r"""[\\"'=]""", "", told) == "before *** after"


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    assert cleaned("the pw of admin is pw", ["pw"]) == "the *** of admin is ***"
    assert cleaned("upwards", ["pw"]) == "upwards"


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("https://u:hunter22@ctl:5000/v3 is down", "https://***@ctl:5000/v3 is down"),
        ("https://u:hun/ter22@ctl/v3", "https://***@ctl/v3"),
        ("at u:hunter22@ctl:5000", "at ***@ctl:5000"),
        ("X-Auth-Token: hunter22", "X-Auth-Token: ***"),
        ("x-auth-token=hunter22&x=1", "x-auth-token=***&x=1"),
        ("{'X-Auth-Token': 'hunter22', 'Accept': 'x'}", "{'X-Auth-Token': ***, 'Accept': 'x'}"),
        ("[('X-Auth-Token', 'hunter22')]", "[('X-Auth-Token', ***)]"),
        ('{"password": "hunter22"}', '{"password": ***}'),
        ('{"password": "hun\\"ter22"}', '{"password": ***}'),
        (
            '{"adminPass": "x", "admin_password":"hunter22"}',
            '{"adminPass": "x", "admin_password":***}',
        ),
        ("application_credential_secret=hunter22", "application_credential_secret=***"),
        ("Authorization: Basic dTpodW50ZXIyMg==", "Authorization: ***"),
        ("Authorization: Bearer hunter22", "Authorization: ***"),
        ("<password>hunter22</password>", "<password>***</password>"),
        ("PASSWORD = hunter22", "PASSWORD = ***"),
        ("token gAAAAABnotarealtoken-0123456789 is old", "token *** is old"),
        ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2ln", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", "***"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_too(said: str, hidden: str) -> None:
    assert cleaned(said) == hidden


@pytest.mark.parametrize(
    "said",
    [
        "No valid host was found. There are not enough hosts available.",
        "Policy doesn't allow os_compute_api:servers:start to be performed",
        "Cannot 'os-migrateLive' instance i1 while it is in task_state migrating",
        "Unable to establish connection to https://ctl:5000/v3: refused",
        "cannot reach http://ctl/v3/auth/tokens: HTTPConnectionPool(host='ctl')",
        "the request for a token was rejected",
        "Quota exceeded for instances: Requested 1, but already used 10 of 10",
    ],
)
def test_ordinary_words_stay_as_they_are(said: str) -> None:
    assert cleaned(said, ["hunter22"]) == said


def test_it_is_one_printable_line_of_bounded_length() -> None:
    told = cleaned("a\0b\r\nc\u2028d\ud800e\x1b[31mf\u202eg " + "x" * 5000)
    assert told.isprintable()
    assert told.startswith("a b c d e [31mf g xxx")
    assert len(told) == 500


HOSTILE = [
    "password",
    "token=",
    "://",
    "a:b@",
    '"token":"',
    "\\",
    "&#",
    "%25",
    "eyJ",
    "gAAAA",
    " ",
    "x:",
]


@pytest.mark.thorough
@pytest.mark.parametrize("part", HOSTILE)
def test_a_hostile_megabyte_takes_little_longer_than_a_plain_one(part: str) -> None:
    secrets = ['"\\%secret"', "\\\\\\\\", "%25%25", "token"]

    def clean(given: str) -> str:
        return cleaned(given, secrets)

    hostile = assert_grows_linearly(clean, lambda size: part * (size // len(part)))
    plain = cpu_seconds(clean, "a plain line of a log\n" * (1024 * 1024 // 22))
    assert hostile < 10 * plain
