"""The way to the simulated APIs: what `requests` would send, answered in process.

openstacksdk, keystoneauth and the plugin's own adapter run as they are; only
`requests.adapters.HTTPAdapter.send`, below them all, is replaced.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_encoding_from_headers

from simulator.clock import VirtualTime
from simulator.cloud.timing import Clock
from simulator.http.application import Application
from simulator.http.messages import Answer, Hook, Request, Verdict, parse
from simulator.http.speed import hurry
from simulator.pools import pools_in


class Transport:
    """``latency``: seconds of each way. ``hooks``: faults; the first that answers is right."""

    def __init__(
        self,
        application: Application,
        clock: Clock,
        hooks: Sequence[Hook] = (),
        latency: float = 0.005,
    ) -> None:
        self.application = application
        self.clock = clock
        self.hooks: list[Hook] = list(hooks)
        self.latency = latency
        self.count = 0

    @contextmanager
    def installed(self) -> Iterator[Transport]:
        """All requests of this process go here; none leaves it."""

        def send(
            _: HTTPAdapter,
            request: requests.PreparedRequest,
            stream: bool = False,
            timeout: Any = None,
            *__: Any,
            **___: Any,
        ) -> requests.Response:
            return self.send(request, timeout)

        with ExitStack() as stack:

            def replace(where: Any, name: str, what: Any) -> None:
                stack.enter_context(mock.patch.object(where, name, what))

            replace(HTTPAdapter, "send", send)
            hurry(replace)
            if isinstance(self.clock, VirtualTime):
                stack.enter_context(pools_in(self.clock))
            yield self

    def send(self, request: requests.PreparedRequest, timeout: Any = None) -> requests.Response:
        """One request, there and back. Raises: what requests raises."""
        self.count += 1
        url = str(request.url)
        if not url.startswith(self.application.url):
            raise requests.ConnectionError(f"Failed to resolve the host of {url}")
        asked = parse(
            str(request.method), url, request.headers, request.body, self.application.services
        )
        try:
            answer = self._answer(asked, _seconds(timeout))
        except requests.RequestException as error:
            error.request = error.request or request
            raise
        return _response(request, answer)

    def _answer(self, asked: Request, patience: float | None) -> Answer:
        self._pass(self.latency, patience)
        verdict = self._judge(asked, None, patience)
        answer = verdict if verdict is not None else self.application.answer(asked)
        if verdict is None:
            changed = self._judge(asked, answer, patience)
            answer = answer if changed is None else changed
        self._pass(self.latency + answer.delay, patience)
        return answer

    def _judge(
        self, asked: Request, answer: Answer | None, patience: float | None
    ) -> Answer | None:
        """What the hooks make of a request, or of its answer. Raises: their errors."""
        for hook in self.hooks:
            verdict: Verdict = hook.before(asked) if answer is None else hook.after(asked, answer)
            if isinstance(verdict, Exception):
                raise verdict
            if isinstance(verdict, Answer):
                return self.application.dated(verdict)
            if verdict is not None:
                self._pass(float(verdict), patience)
        return None

    def _pass(self, seconds: float, patience: float | None) -> None:
        if patience is not None and seconds > patience:
            self.clock.pause(patience)
            raise requests.ReadTimeout(f"Read timed out. (read timeout={patience:g})")
        if seconds > 0:
            self.clock.pause(seconds)


def _seconds(timeout: Any) -> float | None:
    found = timeout[1] if isinstance(timeout, tuple) else timeout
    return float(found) if isinstance(found, (int, float)) else None


def _response(request: requests.PreparedRequest, answer: Answer) -> requests.Response:
    response = requests.Response()
    response.status_code = answer.status
    response.headers.update(answer.headers)
    response.encoding = get_encoding_from_headers(response.headers)
    response.request, response.url = request, str(request.url)
    stream = getattr(answer, "stream", None)
    response.raw = stream if stream is not None else io.BytesIO(answer.content())
    return response
