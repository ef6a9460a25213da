"""How Nova is asked: the connection, the microversion of each question, paging, and its clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from openstack import exceptions as sdk_errors
from openstack.connection import Connection

from openstack_maintenance.adapters.api_answers import Unreadable, body_of, every_page
from openstack_maintenance.adapters.cloud_session import CloudSession
from openstack_maintenance.domain.errors import CloudError

Fact = TypeVar("Fact")

OLDEST = (2, 60)
_OLDEST_NAME = "Queens"
# One answer may take this long. Enabling or disabling the service of a host that does not answer
# takes Nova its own rpc_response_timeout, 60 s by default, before it answers.
_REQUEST_SECONDS = 90.0
COMPUTE = "compute API"
# A clock that is further off is no cloud's: its Date came from somewhere else.
_FURTHEST_OFF_SECONDS = 86_400.0


class ComputeApi:
    """Nova's API without its nouns: `Nova` has them."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """``name``: for messages. ``options``: arguments of ``openstack.connect``."""
        self.name = name
        self._session = CloudSession(name, options, _REQUEST_SECONDS)
        self.clock_offset_seconds = 0.0
        self._theirs: tuple[int, int] | None = None

    @property
    def _cloud(self) -> Connection:
        return self._session.connection

    @property
    def _compute(self) -> Any:
        return self._cloud.compute

    def now(self) -> datetime:
        """The time by Nova's clock, from the Date of its last answer (to the second)."""
        return datetime.fromtimestamp(
            datetime.now(UTC).timestamp() + self.clock_offset_seconds, UTC
        )

    def check_version(self) -> str:
        """The newest microversion both sides know.

        Raises: CloudError when the cloud is older than Queens, or does not answer.
        """
        with self._errors(COMPUTE):
            endpoint = self._compute.get_endpoint_data()
            newest = endpoint.max_microversion if endpoint else None
        if newest is None or newest < OLDEST:
            found = ".".join(map(str, newest)) if newest else "no microversions"
            raise CloudError(
                f"cloud {self.name}",
                f"its Nova offers {found}, older than 2.60 ({_OLDEST_NAME})",
                "Maintain it by hand, or upgrade it first.",
            )
        return ".".join(map(str, newest))

    def read_clock(self) -> None:
        """Compare Nova's clock with ours, by the Date header of one cheap answer."""
        with self._errors(COMPUTE):
            answer = self._compute.get("/", raise_exc=False)
            date = answer.headers.get("Date")
            if date:
                self.clock_offset_seconds = _seconds_ahead(date)

    def _list(
        self,
        path: str,
        key: str,
        read: Callable[[dict[str, Any]], Fact],
        newest: tuple[int, int],
        query: Mapping[str, str],
        marker: str = "id",
    ) -> list[Fact]:
        """All rows of a list, each read: one that cannot be read is an unreadable list.

        Without the SDK's objects: of 20,000 instances they alone would cost minutes, and they take
        for a list what is none.
        """
        with self._errors(COMPUTE):
            rows = every_page(lambda page: self._get(path, {**query, **page}, newest), key, marker)
            return [read(row) for row in rows]

    def _get(
        self,
        path: str,
        query: Mapping[str, str],
        newest: tuple[int, int],
        subject: str = COMPUTE,
    ) -> dict[str, Any]:
        """One answer as Nova sends it, in the newest format that both sides know."""
        with self._errors(subject):
            version = ".".join(map(str, min(newest, self._newest())))
            answer = self._compute.get(path, params=query, microversion=version)
            sdk_errors.raise_from_response(answer)
            return body_of(answer)

    def _newest(self) -> tuple[int, int]:
        """The newest microversion of the other side, found out once: the SDK takes as long to look
        that up as to ask a small question.
        """
        if self._theirs is None:
            endpoint = self._compute.get_endpoint_data()
            self._theirs = endpoint.max_microversion if endpoint else None
        return self._theirs or OLDEST

    def _errors(self, subject: str) -> AbstractContextManager[None]:
        return self._session.errors(subject)


def _seconds_ahead(date: str) -> float:
    """How far a Date header is ahead of our clock. Raises: ValueError and the like."""
    ahead = parsedate_to_datetime(date).timestamp() - datetime.now(UTC).timestamp()
    if abs(ahead) > _FURTHEST_OFF_SECONDS:
        raise Unreadable("the Date of its answer is more than a day off")
    return ahead
