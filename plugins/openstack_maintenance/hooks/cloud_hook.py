"""The OpenStack connection of Airflow, as a Nova adapter."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from openstack_maintenance.adapters.certificate_check import REMEDY, says_yes, switched_off_by
from openstack_maintenance.domain.errors import ConnectionMissing

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from openstack_maintenance.adapters.cloud_health import CloudHealth
    from openstack_maintenance.adapters.nova import Nova

CLOUD_CONN_ID = "openstack_default"
_AUTH_EXTRAS = (
    "project_name",
    "project_id",
    "user_domain_name",
    "user_domain_id",
    "project_domain_name",
    "project_domain_id",
    "domain_name",
    "system_scope",
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
)
_OTHER_EXTRAS = ("region_name", "cacert", "interface", "verify")
_MORE_THAN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EXTRAS = (*_AUTH_EXTRAS, *_OTHER_EXTRAS, "cloud")


class CloudHook(BaseHook):
    """Opens the cloud that an Airflow connection of type ``openstack`` names."""

    conn_name_attr = "conn_id"
    default_conn_name = CLOUD_CONN_ID
    conn_type = "openstack"
    hook_name = "OpenStack"

    def __init__(self, conn_id: str = CLOUD_CONN_ID) -> None:
        super().__init__()
        self.conn_id = conn_id

    def get_conn(self) -> Nova:
        """The cloud's Nova. Nothing is sent before its first use. Raises: ConnectionMissing."""
        return _nova(self._connection())

    def get_health(self) -> CloudHealth:
        """All APIs of the cloud, for checks. Nothing is sent before its first use.

        Raises: ConnectionMissing.
        """
        return _health(self._connection())

    async def aget_health(self) -> CloudHealth:
        """The same for an event loop."""
        connection = await self._aconnection()
        return await asyncio.to_thread(_health, connection)

    def _connection(self) -> Connection:
        try:
            return self.get_connection(self.conn_id)
        except Exception as error:
            raise _no_connection(self.conn_id) from error

    async def aget_conn(self) -> Nova:
        """The same for a trigger's event loop."""
        connection = await self._aconnection()
        # The first use imports openstacksdk, for a second or more: not on the triggers' loop.
        return await asyncio.to_thread(_nova, connection)

    async def _aconnection(self) -> Connection:
        try:
            return await self.aget_connection(self.conn_id)
        except Exception as error:
            raise _no_connection(self.conn_id) from error


def _no_connection(conn_id: str) -> ConnectionMissing:
    return ConnectionMissing(
        f"Airflow connection {conn_id}",
        "it is not defined",
        "Add it (type openstack), or set AIRFLOW_CONN_" + conn_id.upper() + ".",
    )


def _nova(connection: Connection) -> Nova:
    # openstacksdk takes long to import: only where a cloud is really used.
    from openstack_maintenance.adapters.nova import Nova

    return Nova(connection.conn_id, connect_options(connection))


def _health(connection: Connection) -> CloudHealth:
    from openstack_maintenance.adapters.cloud_health import CloudHealth

    return CloudHealth(connection.conn_id, connect_options(connection))


def connect_options(connection: Connection) -> dict[str, Any]:
    """Arguments for ``openstack.connect``: a clouds.yaml entry, or the connection's own fields.

    Raises: ConnectionMissing when neither is given, or a field cannot be used.
    """
    extra = _extras(connection)
    options = {key: extra[key] for key in _OTHER_EXTRAS if extra.get(key) not in (None, "")}
    if extra.get("cloud"):
        return {"cloud": extra["cloud"], **options}
    _require_fields(connection, extra)
    auth = {key: extra[key] for key in _AUTH_EXTRAS if extra.get(key)}
    auth["auth_url"] = auth_url(connection)
    if "application_credential_secret" in auth:
        options["auth_type"] = "v3applicationcredential"
        _complete_credential(auth, connection)
    else:
        _complete_login(auth, connection)
    # The connection alone decides: no OS_* variable of the worker may mix in.
    return {"auth": auth, "load_yaml_config": False, "load_envvars": False, **options}


def _require_fields(connection: Connection, extra: dict[str, Any]) -> None:
    if not connection.host:
        raise _unusable(
            connection,
            "it has neither a host (the auth URL) nor an extra 'cloud'",
            "Fill in one of the two.",
        )
    if "application_credential_secret" not in extra and not connection.password:
        raise _unusable(
            connection,
            "it has neither a password nor an extra 'application_credential_secret'",
            "Fill in one of the two.",
        )


def _complete_credential(auth: dict[str, Any], connection: Connection) -> None:
    if "application_credential_id" not in auth:
        # By name it is unique only within its user.
        auth["username"] = connection.login
        auth.setdefault("user_domain_name", "Default")


def _complete_login(auth: dict[str, Any], connection: Connection) -> None:
    auth.update(username=connection.login, password=connection.password)
    if not {"user_domain_name", "user_domain_id"} & auth.keys():
        auth["user_domain_name"] = "Default"
    if not {"project_domain_name", "project_domain_id"} & auth.keys():
        auth["project_domain_name"] = auth.get("user_domain_name", "Default")


def _extras(connection: Connection) -> dict[str, Any]:
    """The extras that are used, as texts. ``verify`` stays True, or a file of CAs.

    Raises: ConnectionMissing.
    """
    try:
        extra = connection.extra_dejson
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        raise _unusable(connection, "its extra is not a JSON object", 'Write {"key": "value"}.')
    if switched_off := switched_off_by(extra.get("verify"), extra.get("insecure")):
        raise ConnectionMissing(f"connection {connection.conn_id}", switched_off, REMEDY)
    found = {key: extra[key] for key in _EXTRAS if extra.get(key) is not None}
    if says_yes(found.get("verify")):
        found["verify"] = True
    for key, value in found.items():
        is_text = isinstance(value, str) and not _MORE_THAN_A_LINE.search(value)
        if not is_text and not (key == "verify" and value is True):
            raise _unusable(
                connection,
                f"its extra '{key}' is not a string of one line",
                f"Write it as a string, or leave '{key}' out.",
            )
    return found


def _unusable(connection: Connection, found: str, remedy: str) -> ConnectionMissing:
    return ConnectionMissing(f"Airflow connection {connection.conn_id}", found, remedy)


def auth_url(connection: Connection) -> str:
    """The host field as a URL; schema and port of the connection complete a bare name.

    Raises: ConnectionMissing, which does not repeat it: it may hold a password.
    """
    host = str(connection.host)
    if "@" in host or _MORE_THAN_A_LINE.search(host):
        raise _unusable(
            connection,
            "its host is not a plain URL: it contains a login (text before an @) or a line break",
            "Write only the auth URL as host. Write login and password in their own fields.",
        )
    if "://" in host:
        return host
    port = f":{connection.port}" if connection.port else ""
    return f"{connection.schema or 'https'}://{host}{port}/v3"
