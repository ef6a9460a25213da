"""What costs much in the SDK, and gives the same each time.

A worker's process of its own pays for it once; here one process stands for hundreds.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import os_service_types
from keystoneauth1 import _utils as keystone_utils
from keystoneauth1.access.service_catalog import ServiceCatalog
from openstack.cloud import _utils as cloud_utils
from openstack.config import cloud_region
from requests import sessions

_normalize = ServiceCatalog.normalize_catalog
_parse_isotime = functools.lru_cache(maxsize=256)(keystone_utils.parse_isotime)
_has_ipv6 = functools.cache(cloud_utils.localhost_supports_ipv6)
_versions = SimpleNamespace(version=functools.cache(importlib.metadata.version))


def hurry(replace: Callable[[Any, str, Any], None]) -> None:
    """Let connections and requests be made faster; what comes of them is the same.

    Nobody changes the tables that the SDK copies whenever it looks something up in them.
    """
    replace(
        os_service_types.ServiceTypes, "all_types_by_service_type", property(_types_as_they_are)
    )
    replace(ServiceCatalog, "normalize_catalog", _catalog_once)
    replace(keystone_utils, "parse_isotime", _parse_isotime)
    replace(cloud_utils, "localhost_supports_ipv6", _has_ipv6)
    replace(cloud_region, "importlib_metadata", _versions)
    # This machine's proxies and logins are not the world's; and looking for them takes its time.
    replace(sessions, "get_environ_proxies", lambda *_, **__: {})
    replace(sessions, "get_netrc_auth", lambda *_, **__: None)


def _types_as_they_are(types: Any) -> Any:
    return types._service_types_data["all_types_by_service_type"]


def _catalog_once(catalog: Any) -> Any:
    """A token's catalog is what it is as long as the token."""
    found = vars(catalog).get("_normalized")
    if found is None:
        found = catalog._normalized = _normalize(catalog)
    return found
