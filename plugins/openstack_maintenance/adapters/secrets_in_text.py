"""What a cloud, or a proxy in front of it, says, as far as it may be repeated.

An error body may echo the request: its token, its password, an auth URL with a login in it. What
is repeated reaches logs, XCom, the record, and Nova's disabled_reason.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "***"
LONGEST = 500
# Longer texts are not searched for what only looks like a secret: their end is not repeated.
_SEARCHED = 20_000
# Shorter ones stand in half of all words: they are hidden where they stand alone.
_SHORT = 4
_NO_TEXT = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_KEY = (
    r"(?:x-auth|x-subject|x-service|x-storage)-[\w-]{1,40}|(?:proxy-)?authorization|set-cookie|cookie"
    r"|[\w-]{0,40}?(?:passw(?:or)?d|secret|token|passcode|api[_-]?key|private[_-]?key)[\w-]{0,40}"
)
_VALUE = (
    r"(?:(?:basic|bearer|negotiate)\s{1,5})?"
    r"""(?:\\?"(?:[^"\\]|\\.)*"?|\\?'(?:[^'\\]|\\.)*'?|[^\s,;&<>}"']+)"""
)
_PATTERNS = [
    # https://user:password@host, and the same without its scheme
    (re.compile(r"""(?<=://)[^\s"'<>]{0,1000}@"""), f"{HIDDEN}@"),
    (
        re.compile(r"""(?<![^\s"'<>=(,])[^\s:/@"'<>]{1,100}:[^\s/@"'<>]{1,200}@(?=[\w\[])"""),
        f"{HIDDEN}@",
    ),
    (
        re.compile(
            rf"""(?<![\w-])({_KEY})(\\?["']?(?:(?<=["'])\s{{0,9}},|\s{{0,9}}[:=>])\s{{0,9}}){_VALUE}""",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1\2{HIDDEN}",
    ),
    # Keystone's tokens: Fernet, and signed ones
    (re.compile(r"\bgAAAA[\w-]{20,}=*"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*", re.DOTALL), HIDDEN),
]


def cleaned(text: object, secrets: Iterable[str] = (), longest: int = LONGEST) -> str:
    """A text from outside, to be repeated: on one line, without secrets, and not too long.

    ``secrets``: those that are known; they are found as they are and as URLs, JSON, HTML, Python
    and base64 write them.
    """
    found = str(text)
    for known in sorted(_written(secrets), key=len, reverse=True):
        if len(known) < _SHORT:
            found = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", lambda _: HIDDEN, found)
        else:
            found = found.replace(known, HIDDEN)
    for pattern, instead in _PATTERNS:
        found = pattern.sub(instead, _beginning(found))
    found = " ".join(_NO_TEXT.sub(" ", found).split())
    return found if len(found) <= longest else f"{found[: longest - 3]}..."


def _beginning(text: str) -> str:
    """As much as is searched; a word that the cut goes through is left out."""
    if len(text) <= _SEARCHED:
        return text
    return text[:_SEARCHED].rpartition(" ")[0] or text[: _SEARCHED // 2]


def _written(secrets: Iterable[str]) -> set[str]:
    found = {way for secret in secrets for way in _ways(secret)}
    return {each for each in found if each.strip()}


def _ways(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "replace")
    yield secret
    yield secret.strip()
    yield quote(raw, safe="")
    yield quote(raw)
    yield quote_plus(raw)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    yield repr(secret)[1:-1]
    if len(secret) >= _SHORT:
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
