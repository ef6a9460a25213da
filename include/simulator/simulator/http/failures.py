"""Ready-made faults between a client and the APIs, for hooks."""

from __future__ import annotations

from collections.abc import Callable

import requests
from urllib3.exceptions import ProtocolError

from simulator.cloud.timing import Clock
from simulator.http.messages import Answer, Request, Verdict
from simulator.http.nova import fault


def proxy_says(status: int) -> Answer:
    """An error page of a proxy in front of the API: no JSON."""
    page = f"<html><body><h1>{status} from the proxy</h1>\nNo server is available.\n</body></html>"
    return Answer(page, status, {"Content-Type": "text/html"})


def too_many(seconds: int = 1) -> Answer:
    """429, of a rate limit."""
    body = fault(429, "This request was rate-limited.")
    body["overLimit"]["retryAfter"] = str(seconds)
    return Answer(body, 429, {"Retry-After": str(seconds)})


def broken(status: int = 500) -> Answer:
    """An error of Nova's own, as when its database is away."""
    message = (
        "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach "
        "the Nova API log if possible.\n<class 'oslo_db.exception.DBConnectionError'>"
    )
    return Answer(fault(status, message), status)


def refused() -> requests.ConnectionError:
    """Nobody listens."""
    return requests.ConnectionError("[Errno 111] Connection refused")


def reset() -> requests.ConnectionError:
    """The connection is lost; whether the API has done the deed nobody knows."""
    return requests.ConnectionError(
        ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer"))
    )


def silent() -> requests.ReadTimeout:
    """No answer within the client's time."""
    return requests.ReadTimeout("Read timed out.")


class CutAnswer(Answer):
    """An answer whose body ends in the middle, and is slow where ``seconds`` says so."""

    def __init__(self, whole: Answer, clock: Clock, seconds: float = 0.0, share: float = 0.5):
        super().__init__(whole.body, whole.status, dict(whole.headers))
        content = self.content()
        self.stream = _CutStream(content[: int(len(content) * share)], clock, seconds)


class _CutStream:
    def __init__(self, content: bytes, clock: Clock, seconds: float) -> None:
        self._content = content
        self._clock = clock
        self._seconds = seconds

    def read(self, _: int = -1) -> bytes:
        if self._seconds:
            self._clock.pause(self._seconds)
        if not self._content:
            raise requests.exceptions.ChunkedEncodingError("IncompleteRead")
        found, self._content = self._content, b""
        return found

    def close(self) -> None:
        """Nothing is open."""

    def release_conn(self) -> None:
        """Nothing is pooled."""


class When:
    """A hook: what happens before, or after, the requests that a test chooses.

    ``times``: how often; None: always.
    """

    def __init__(
        self,
        chosen: Callable[[Request], bool],
        *,
        before: Callable[[], Verdict] | None = None,
        after: Callable[[Answer], Verdict] | None = None,
        times: int | None = 1,
    ) -> None:
        self._chosen = chosen
        self._before = before
        self._after = after
        self.left = times

    def before(self, request: Request) -> Verdict:
        """See Hook."""
        if self._before is None or not self._takes(request):
            return None
        return self._before()

    def after(self, request: Request, answer: Answer) -> Verdict:
        """See Hook."""
        if self._after is None or not self._takes(request):
            return None
        return self._after(answer)

    def _takes(self, request: Request) -> bool:
        if self.left == 0 or not self._chosen(request):
            return False
        if self.left is not None:
            self.left -= 1
        return True
