"""A connection to a cloud: opened at its first use, its certificate checked, its answers bounded.

What the SDK reads of an answer it reads whole, and of an error in HTML in quadratic time: so what
comes is cut before the SDK sees it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import openstack
import requests
from keystoneauth1.session import TCPKeepAliveAdapter
from openstack import exceptions as sdk_errors
from openstack.connection import Connection

from openstack_maintenance.adapters.certificate_check import REMEDY, switched_off_by
from openstack_maintenance.adapters.cloud_errors import (
    UNREADABLE,
    Refused,
    in_one_sentence,
    raised,
)

# A page of 1,000 instances is about 4 MB; osapi_max_limit may be raised.
_LONGEST_ANSWER = 64 * 2**20
_LONGEST_ERROR = 64 * 2**10
_LONGEST_HTML_ERROR = 4 * 2**10
_CHUNK = 2**14
_SECRET_KEYS = ("password", "secret", "token", "passcode")


class CloudSession:
    """One cloud's connection, and how its failures are told."""

    def __init__(self, name: str, options: Mapping[str, Any], seconds: float) -> None:
        """``options``: arguments of ``openstack.connect``. ``seconds``: one answer may take so."""
        self.name = name
        self._options = {"api_timeout": seconds, **options}
        self._opened: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The SDK's connection; nothing is sent before its use. Only within ``errors``."""
        if self._opened is None:
            opened = _connected(self._options)
            _check_configuration(self.name, opened.config.config)
            for scheme in ("https://", "http://"):
                opened.session.mount(scheme, _BoundedAdapter())
            self._opened = opened
        return self._opened

    def errors(self, subject: str) -> AbstractContextManager[None]:
        """Turn every failure into one sentence that tells no secret. Raises: CloudError."""
        return in_one_sentence(self.name, subject, self.secrets)

    def secrets(self) -> set[str]:
        """What must never be repeated: passwords, secrets and the token, as far as known."""
        found = set(_secrets_in(self._options.get("auth")))
        if self._opened is not None:
            found.update(_secrets_in(self._opened.config.config.get("auth")))
            access = getattr(self._opened.session.auth, "auth_ref", None)
            found.add(str(getattr(access, "auth_token", None) or ""))
        return found - {""}


def _connected(options: Mapping[str, Any]) -> Connection:
    try:
        return openstack.connect(app_name="openstack-maintenance", **options)
    except UNREADABLE as error:  # of a clouds.yaml: nothing has been asked yet
        raise sdk_errors.ConfigException(f"its settings cannot be read: {raised(error)}") from None


def _secrets_in(auth: Any) -> Iterator[str]:
    if not isinstance(auth, Mapping):
        return
    for key, value in auth.items():
        if any(word in str(key) for word in _SECRET_KEYS):
            yield str(value or "")


def _check_configuration(name: str, config: Mapping[str, Any]) -> None:
    """What an entry of clouds.yaml may not say. Raises: Refused."""
    subject = f"connection {name}"
    # An empty one, too, makes the SDK go without the check.
    verify = config.get("verify", True) or False
    if found := switched_off_by(verify, config.get("insecure")):
        raise Refused(subject, found, REMEDY)
    auth = config.get("auth")
    url = auth.get("auth_url") if isinstance(auth, Mapping) else None
    if "@" in str(url or ""):
        raise Refused(
            subject,
            "the auth_url of its clouds.yaml entry contains a login (text before an @)",
            "Write only the URL there. Write login and password as username and password of the "
            "entry.",
        )


class _BoundedAdapter(TCPKeepAliveAdapter):
    """Reads an answer up to a size, and for no longer than a request may take."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> requests.Response:
        """One answer, read. Raises: requests.RequestException."""
        answer = super().send(request, True, timeout, *args, **kwargs)
        seconds = timeout if isinstance(timeout, (int, float)) else None
        answer._content = read_bounded(answer, seconds)
        # Else each look at the text guesses at it, for seconds; all APIs write UTF-8.
        answer.encoding = "utf-8"
        return answer


def read_bounded(answer: requests.Response, seconds: float | None) -> bytes:
    """The body: an error's is cut, any other that is too long is none.

    Raises: requests.RequestException.
    """
    is_error, limit = answer.status_code >= 400, _LONGEST_ANSWER
    if is_error:
        is_html = "html" in answer.headers.get("Content-Type", "")
        limit = _LONGEST_HTML_ERROR if is_html else _LONGEST_ERROR
    ends = time.monotonic() + seconds if seconds else None
    found = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        found += chunk
        if len(found) > limit:
            answer.close()
            if is_error:
                break
            raise requests.RequestException(f"its answer is longer than {limit} bytes")
        if ends is not None and time.monotonic() > ends:
            answer.close()
            raise requests.Timeout("its answer did not end in time")
    return bytes(found[:limit])
