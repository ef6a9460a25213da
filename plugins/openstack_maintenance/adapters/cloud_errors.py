"""Failures of openstacksdk and Keystone, each as one sentence that tells no secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors

from openstack_maintenance.adapters.secrets_in_text import cleaned
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.host.rights import denied_rule, right_remedy

# What to do, by the connection that was used.
_CREDENTIALS = (
    "Fix login, password and project, or the application credential, of connection {cloud}. Check "
    "that its auth URL is Keystone's."
)
_AUTH_URL = "Give Keystone's own URL, which ends in /v3, as host of connection {cloud}."
_CATALOG = (
    "Fix region_name, interface and project of connection {cloud} (`openstack catalog list` shows "
    "them)."
)
_CLOUDS_YAML = (
    "Name an entry of clouds.yaml in the extra 'cloud' of connection {cloud} "
    "(OS_CLIENT_CONFIG_FILE tells where that file is)."
)
_TLS = (
    "Check that https is right for that URL. If it is, name the CA in the extra cacert of "
    "connection {cloud}."
)
_CHECK_URL = "Check the auth URL of connection {cloud} and that its API answers."
_QUOTA = "Raise that quota of the project of connection {cloud}, then run again."
_KEYSTONE = "Read Keystone's log on the controllers, and check that its database runs."
_OTHER_404 = "the cloud {cloud} answered 404, but not in Nova's own words: {said}"
_PROXY = (
    "Check what stands before the API (a proxy answers so while it has no backend; `openstack "
    "endpoint list` shows the URL), then clear the failed task."
)
_SHORTER = 300
_DEEPEST = 20  # errors around each other


class NotThere(CloudError):
    """Nova does not know the thing: it was deleted, or never was."""


class Refused(CloudError):
    """Nova refused (4xx): asking again without a change is pointless."""


class Conflict(Refused):
    """Nova refused because the thing's state changed meanwhile: look again, then decide."""


# What the SDK and our own readers raise on an answer that is not what the API promises. OSError: a
# cacert that is not there.
UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    OSError,
)


def no_secrets() -> Iterable[str]:
    """Where none are known."""
    return ()


@contextmanager
def in_one_sentence(
    cloud: str, subject: str, secrets: Callable[[], Iterable[str]] = no_secrets
) -> Iterator[None]:
    """Turn every failure of the SDK, and every answer that cannot be read, into one sentence.

    ``secrets``: what no sentence may repeat. Raises: CloudError, or one of the above.
    """
    try:
        yield
    except (sdk_errors.SDKException, keystone_errors.ClientException, *UNREADABLE) as error:
        # Without its cause: a traceback would tell what the sentence must not.
        raise _told(cloud, subject, error, tuple(secrets())) from None


def _told(cloud: str, subject: str, error: Exception, secrets: Iterable[str]) -> CloudError:
    if isinstance(error, sdk_errors.HttpException):
        said = cleaned(_details(error), secrets) or "no reason given"
        match error:
            case sdk_errors.NotFoundException() if _says_not_found(error):
                return NotThere(subject, said, "Check the name or id.")
            case sdk_errors.NotFoundException():
                return CloudError(subject, _OTHER_404.format(cloud=cloud, said=said), _PROXY)
            case sdk_errors.ConflictException():
                return Conflict(subject, said, "Look at its state, then run again.")
            case _ if getattr(error, "status_code", None) != 401:
                return _http_error(cloud, subject, error, said)
    return _client_error(cloud, error, secrets)


def _details(error: Exception) -> str:
    found = _placement_detail(error) or getattr(error, "details", None)
    return str(found or getattr(error, "message", None) or error)


def _says_not_found(error: Exception) -> bool:
    """Whether a 404 is Nova's own: a proxy's says nothing about the thing that was asked for."""
    try:
        return "itemNotFound" in error.response.json()  # type: ignore[attr-defined]
    except UNREADABLE:
        return False


def _placement_detail(error: Exception) -> str | None:
    """Placement's own words: the SDK finds those of the other services only."""
    try:
        return str(error.response.json()["errors"][0]["detail"])  # type: ignore[attr-defined]
    except UNREADABLE:
        return None


def _http_error(cloud: str, subject: str, error: sdk_errors.HttpException, said: str) -> CloudError:
    status = getattr(error, "status_code", None)
    if status == 403:
        return Refused(
            subject,
            f"the cloud {cloud} forbids it: {said}",
            _QUOTA.format(cloud=cloud)
            if said.startswith("Quota exceeded")
            else right_remedy(denied_rule(said), cloud),
        )
    # 408 and 429 come from proxies in front of Nova, and pass.
    if status is not None and 400 <= status < 500 and status not in (408, 429):
        return Refused(subject, f"Nova refused: {said}", "Fix the cause, then run again.")
    return CloudError(
        subject,
        f"the cloud {cloud} answered {status or 'nothing'}: {said}",
        "Wait until its API works (`openstack endpoint list` shows its URL), then clear the "
        "failed task.",
    )


def _client_error(cloud: str, error: Exception, secrets: Iterable[str]) -> CloudError:
    kind, found, remedy = _client_trouble(error, secrets)
    return kind(f"cloud {cloud}", found, remedy.format(cloud=cloud))


def _client_trouble(error: Exception, secrets: Iterable[str]) -> tuple[type[CloudError], str, str]:
    """What went wrong on the way to an API: its kind, what was found, what to do."""
    text = cleaned(raised(error), secrets, _SHORTER)
    if isinstance(error, keystone_errors.Unauthorized) or getattr(error, "status_code", 0) == 401:
        return Refused, "Keystone rejected the credentials (401)", _CREDENTIALS
    match error:
        case keystone_errors.NotFound() if "Could not find" in text:
            return Refused, f"Keystone rejected the credentials: {text}", _CREDENTIALS
        case keystone_errors.HttpError(http_status=status):
            return CloudError, f"Keystone answers {status} to the request for a token", _KEYSTONE
        case keystone_errors.DiscoveryFailure() if text.startswith("Cannot use v2"):
            return Refused, f"its auth URL is not Keystone's: {text}", _AUTH_URL
        case sdk_errors.ServiceDisabledException():
            reason = text.rpartition("could not be loaded. ")[2]
            return Refused, f"its connection cannot be used: {reason}", _CATALOG
        case sdk_errors.ConfigException():
            return Refused, f"its connection cannot be used: {text}", _CLOUDS_YAML
        case keystone_errors.SSLError():
            cause = _cause_of(error, secrets)
            return CloudError, f"no usable answer: TLS with {_url_in(text)} fails: {cause}", _TLS
        case OSError() if "TLS" in text:
            return CloudError, f"no usable answer: {text}", _TLS
        case _ if "Unable to establish connection" in text:
            cause = _cause_of(error, secrets)
            found = f"no usable answer: {_url_in(text)} cannot be reached: {cause}"
            return CloudError, found, _CHECK_URL
    return CloudError, f"no usable answer: {text}", _CHECK_URL


def raised(error: Exception) -> str:
    """What an error says; Python's own say too little without their names."""
    text = str(error)
    is_plain = isinstance(
        error, (sdk_errors.SDKException, keystone_errors.ClientException, OSError)
    )
    # Of our own readers, and of json: they say what was found.
    if text and (is_plain or isinstance(error, ValueError)):
        return text
    return f"{type(error).__name__} {text}".strip()


def _url_in(text: str) -> str:
    found = re.search(r"https?://[^\s'\"]+", text)
    return found[0].rstrip(":,.") if found else "its URL"


def _cause_of(error: BaseException, secrets: Iterable[str]) -> str:
    """What was at the bottom of it: of four errors around each other, the first alone says it."""
    for _ in range(_DEEPEST):
        inner = error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    return cleaned(error, secrets, _SHORTER)
