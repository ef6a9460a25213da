"""Ask every API of a cloud whether it serves. Reads only.

Requests go to the catalog's own URLs, without the SDK's discovery: an endpoint that answers only
its version document does not serve.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions as keystone_errors

from openstack_maintenance.adapters.api_answers import Row, Unreadable, body_of, rows_in
from openstack_maintenance.adapters.cloud_errors import Refused
from openstack_maintenance.adapters.cloud_session import CloudSession
from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.checks.cloud_rules import Answered, Endpoint, ServiceRow, Token
from openstack_maintenance.domain.drain.ports import HostPort
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.network import NetworkAgent
from openstack_maintenance.domain.host.rights import denied_rule, right_remedy

COMPUTE = ("compute",)
NETWORK = ("network",)
IMAGE = ("image",)
VOLUME = ("block-storage", "volumev3", "volumev2", "volume")
REQUEST_SECONDS = 15.0
_AT_ONCE = 8
_SILENCE = (keystone_errors.ConnectTimeout, keystone_errors.RetriableConnectionFailure)
# Before 2.69 Nova leaves out the services of a cell that does not answer, and says 200; `latest`
# is understood by every Nova that has microversions.
_HEADERS = {
    "Accept": "application/json",
    "OpenStack-API-Version": "compute latest",
    "X-OpenStack-Nova-API-Version": "latest",
}
# By service type: a version to ask for, and a cheap request that needs a token.
_REQUESTS = {
    "compute": ("", "/flavors?limit=1"),
    "network": ("v2.0", "/extensions"),
    "image": ("v2", "/images?limit=1"),
    "identity": ("v3", "/auth/catalog"),
    "placement": ("", "/resource_providers?name=none"),
    "block-storage": ("", "/limits"),
    "volumev3": ("", "/limits"),
    "volumev2": ("", "/limits"),
    "volume": ("", "/limits"),
    "object-store": ("", "?limit=1"),
    "orchestration": ("", "/stacks?limit=1"),
    "dns": ("v2", "/zones?limit=1"),
    "load-balancer": ("v2", "/lbaas/providers"),
    "key-manager": ("v1", "/secrets?limit=1"),
    "metric": ("v1", "/archive_policy"),
    "alarming": ("v2", "/alarms?limit=1"),
    "container-infra": ("v1", "/clusters?limit=1"),
}


class CloudHealth:
    """One cloud, asked from outside as its users ask it."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        """``name``: for messages. ``options``: arguments of ``openstack.connect``."""
        self.name = name
        self._session = CloudSession(name, options, REQUEST_SECONDS)

    @property
    def _cloud(self) -> Any:
        return self._session.connection

    def new_token(self) -> Token:
        """Let Keystone issue a token. Raises: CloudError."""
        with self._errors():
            access = self._access()
            names = Row("token", {"user": access.username, "project": access.project_name})
            expires = access.expires
            if not isinstance(expires, datetime) or expires.tzinfo is None:
                raise Unreadable("the token has no expiry time")
            return Token(names.words("user") or "", names.words("project") or "", expires)

    def endpoints(self) -> list[Endpoint]:
        """The catalog's endpoints, of the connection's region where it names one."""
        with self._errors():
            region = self._cloud.config.get_region_name()
            catalog = {"catalog": self._access().service_catalog.normalize_catalog()}
            found = [
                _endpoint(service, each)
                for service in rows_in(catalog, "catalog")
                for each in rows_in(service, "endpoints")
            ]
        return [each for each in found if region in (None, "", each.region) or not each.region]

    def try_endpoints(self, endpoints: Sequence[Endpoint]) -> list[Answered]:
        """An authenticated request to each, some at a time; none raises."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        try:
            asked = {
                url: pool.submit(self._try, url)
                for url in {request_url(each) for each in endpoints}
            }
            answers = {url: answer.result() for url, answer in asked.items()}
        finally:
            # The caller's time may be over: nobody waits for what still hangs.
            pool.shutdown(wait=False, cancel_futures=True)
        return [
            Answered(each, *answers[request_url(each)], each.service_type in _REQUESTS)
            for each in endpoints
        ]

    def _try(self, url: str) -> tuple[int | None, str]:
        try:
            with self._errors():
                return self._status(url)
        except CloudError as error:
            return None, error.found

    def _status(self, url: str) -> tuple[int | None, str]:
        try:
            # Without redirects: one that loses the token must not look like an answer.
            answer = self._get(url)
        except _SILENCE as error:
            return None, f"nobody answers: {self._cleaned(error)}"
        return answer.status_code, ""

    def compute_services(self) -> list[ServiceRow] | None:
        """Nova's services; None where the catalog has no compute API. Raises: CloudError."""
        rows = self._read(COMPUTE, "", "/os-services", "services")
        return None if rows is None else self._each(_service, rows)

    def volume_services(self) -> list[ServiceRow] | None:
        """Cinder's services; None where the catalog has no volume API. Raises: CloudError."""
        rows = self._read(VOLUME, "", "/os-services", "services")
        return None if rows is None else self._each(_service, rows)

    def network_agents(self) -> list[ServiceRow] | None:
        """Neutron's agents; None where there is no such list. Raises: CloudError."""
        rows = self._read(NETWORK, "v2.0", "/agents", "agents")
        return None if rows is None else self._each(_agent, rows)

    def agents(self, host: str | None = None) -> list[NetworkAgent] | None:
        """The same with their heartbeats, of one host or of all. Raises: CloudError."""
        query = f"?host={quote(host, safe='')}" if host is not None else ""
        rows = self._read(NETWORK, "v2.0", f"/agents{query}", "agents")
        with self._errors():
            return None if rows is None else [_network_agent(each) for each in rows]

    def ports(self, host: str) -> list[HostPort] | None:
        """The instances' ports on a host; None where there is no such list. Raises: CloudError."""
        fields = "fields=device_id&fields=binding:vnic_type&fields=resource_request"
        path = f"/ports?binding:host_id={quote(host, safe='')}&{fields}"
        rows = self._read(NETWORK, "v2.0", path, "ports")
        with self._errors():
            return None if rows is None else [_port(each) for each in rows if each.get("device_id")]

    def count_images(self) -> int | None:
        """How many images one page lists; None where there is no image API. Raises: CloudError."""
        rows = self._read(IMAGE, "v2", "/images?limit=5", "images")
        return None if rows is None else len(rows)

    def _each(
        self, read: Callable[[dict[str, Any]], ServiceRow], rows: list[dict[str, Any]]
    ) -> list[ServiceRow]:
        with self._errors():
            return [read(row) for row in rows]

    def _read(
        self, types: Sequence[str], version: str, path: str, key: str
    ) -> list[dict[str, Any]] | None:
        url = self._find_url(types)
        if url is None:
            return None
        with self._errors():
            answer = self._get(versioned(url, version) + path)
            status = answer.status_code
            if status == 404 and types == NETWORK:
                return None  # a Neutron without agents of its own does not have the list
            if status == 403:
                raise Refused(
                    f"cloud {self.name}",
                    f"its {types[0]} API forbids GET {path} (403)",
                    right_remedy(denied_rule(self._cleaned(answer.text)), self.name),
                )
            if status != 200:
                raise CloudError(
                    f"cloud {self.name}",
                    f"its {types[0]} API answers {status} to GET {path}",
                    "See the API's log on the controllers.",
                )
            return rows_in(body_of(answer), key)

    def _find_url(self, types: Sequence[str]) -> str | None:
        with self._errors():
            interface = self._cloud.config.get_interface() or "public"
        endpoints = self.endpoints()
        for service_type in types:
            for each in endpoints:
                if (each.service_type, each.interface) == (service_type, interface):
                    return each.url
        return None

    def _get(self, url: str) -> Any:
        session = self._cloud.session
        return session.get(url, raise_exc=False, redirect=False, headers=_HEADERS)

    def _access(self) -> Any:
        with self._errors():
            return self._cloud.session.auth.get_access(self._cloud.session)

    def _errors(self) -> AbstractContextManager[None]:
        """Turn every failure of the SDK into one sentence."""
        return self._session.errors(f"cloud {self.name}")

    def _cleaned(self, said: object) -> str:
        return cleaned(said, self._session.secrets(), 300)


def request_url(endpoint: Endpoint) -> str:
    """What is asked of an endpoint; its root where no better request is known."""
    version, path = _REQUESTS.get(endpoint.service_type, ("", ""))
    return versioned(endpoint.url, version) + path


def versioned(url: str, version: str) -> str:
    """A catalog's URL with the version that a request needs, whether it carried one or not."""
    url = url.rstrip("/")
    return re.sub(r"/v\d+(\.\d+)?$", "", url) + f"/{version}" if version else url


def _endpoint(service: dict[str, Any], values: dict[str, Any]) -> Endpoint:
    kind, row = Row("catalog", service).name("type"), Row("endpoints", values)
    url = row.words("url", 2000)
    if not url:
        raise Unreadable(f"the catalog has no URL for {kind}")
    # A login in it would be sent along, and shown.
    scheme, between, rest = url.partition("://")
    url = f"{scheme}{between}{rest.rpartition('@')[2]}"
    return Endpoint(kind, row.name("interface"), row.find_name("region_id") or "", url)


def _service(values: Mapping[str, Any]) -> ServiceRow:
    row = Row("services", values)
    status = row.name("status")
    is_silent = status == "UNKNOWN"
    return ServiceRow(
        row.name("binary"),
        row.name("host"),
        status != "disabled",  # UNKNOWN, and no state, where its cell does not answer
        (row.find_name("state") if is_silent else row.name("state")) == "up",
        cleaned(row.words("disabled_reason") or ""),
    )


def _agent(values: Mapping[str, Any]) -> ServiceRow:
    row = Row("agents", values)
    host, binary = row.name("host"), row.name("binary")
    return ServiceRow(binary, host, row.flag("admin_state_up"), row.flag("alive"))


def _network_agent(values: Mapping[str, Any]) -> NetworkAgent:
    row = Row("agents", values)
    return NetworkAgent(
        id=row.id("id"),
        binary=row.name("binary"),
        host=row.find_name("host") or "",
        is_enabled=row.flag("admin_state_up"),
        is_alive=row.flag("alive"),
        heartbeat=row.find_time("heartbeat_timestamp"),
    )


def _port(values: Mapping[str, Any]) -> HostPort:
    """What may not be read is left out; then it counts as an ordinary port."""
    row = Row("ports", values)
    return HostPort(
        instance_id=row.words("device_id") or "",
        vnic_type=row.find_name("binding:vnic_type") or "normal",
        has_request=bool(values.get("resource_request")),
    )
