"""What a cloud, or a proxy in front of it, says, as far as it may be repeated.

An error body may echo the request: its token, its password, an auth URL with a login in it. What
is repeated reaches logs, XCom, the record, and Nova's disabled_reason.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable

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
    r"|[\w-]{0,40}?(?:passw(?:or)?d|secret|token(?!s\b)|passcode|api[_-]?key|private[_-]?key)[\w-]{0,40}"
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
    for secret in sorted({each.strip() for each in secrets}, key=len, reverse=True):
        if secret:
            found = _any_way(secret).sub(HIDDEN, found)
    for pattern, instead in _PATTERNS:
        found = pattern.sub(instead, _beginning(found))
    found = " ".join(_NO_TEXT.sub(" ", found).split())
    return found if len(found) <= longest else f"{found[: longest - 3]}..."


def _beginning(text: str) -> str:
    """As much as is searched; a word that the cut goes through is left out."""
    if len(text) <= _SEARCHED:
        return text
    return text[:_SEARCHED].rpartition(" ")[0] or text[: _SEARCHED // 2]


def _any_way(secret: str) -> re.Pattern[str]:
    """A secret as it is, and as JSON, URLs, HTML, Python and base64 write it, also several deep."""
    pattern = "".join(map(_any_way_of, secret))
    if len(secret) < _SHORT:
        return re.compile(rf"(?<!\w){pattern}(?!\w)")
    raw = secret.encode("utf-8", "replace")
    encoded = {base64.b64encode(raw), base64.urlsafe_b64encode(raw)}
    return re.compile("|".join([pattern, *(re.escape(e.decode().rstrip("=")) for e in encoded)]))


def _any_way_of(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    escaped = "".join(
        rf"\\{{1,32}}u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2)
    )
    quoted = "".join(
        f"%(?:25){{0,4}}(?i:{each:02x})" for each in character.encode("utf-8", "replace")
    )
    ways = [
        escaped,
        quoted,
        re.escape(html.escape(character)),
        rf"&#(?:{ord(character)}|(?i:x0{{0,4}}{ord(character):x}));",
    ]
    if ord(character) < 256:
        ways.append(rf"\\{{1,32}}x{ord(character):02x}")
    elif ord(character) > 0xFFFF:
        ways.append(rf"\\{{1,32}}U(?i:{ord(character):08x})")
    if character == " ":
        ways.append(r"\+")
    # As it is, a quote or a backslash with any number of backslashes before it.
    return rf"(?:\\{{0,32}}{re.escape(character)}|{'|'.join(ways)})"
