"""What a request to the cloud is, in a word: for triggers, faults and timelines."""

from __future__ import annotations

from simulator.http.messages import Request

_ACTIONS = {
    "os-migrateLive": "live-migrate",
    "migrate": "migrate",
    "confirmResize": "confirm",
    "os-stop": "stop",
    "os-start": "start",
    "os-resetState": "reset-state",
    "force_complete": "force-complete",
}


def deed_of(request: Request) -> str:
    """For example: live-migrate, disable, enable, list servers, get server, placement, token."""
    body = request.body if isinstance(request.body, dict) else {}
    parts = [each for each in request.path.split("/") if each and not each.startswith("v2")]
    if request.service != "compute":
        return "token" if request.service == "identity" else request.service
    if request.method == "POST" and parts[-1:] == ["action"]:
        return next((word for key, word in _ACTIONS.items() if key in body), "act")
    if request.method == "PUT" and parts[:1] == ["os-services"]:
        return "disable" if body.get("status") == "disabled" else "enable"
    if request.method == "DELETE" and "migrations" in parts:
        return "abort"
    if request.method == "POST" and parts[-1:] == ["action"]:
        return "act"
    if request.method == "POST" and "force_complete" in body:
        return "force-complete"
    what = parts[0].removeprefix("os-") if parts else "versions"
    return f"get {what.removesuffix('s')}" if len(parts) == 2 and what == "servers" else what


def is_match(request: Request, wanted: str) -> bool:
    """``wanted``: a deed, a service, any, read or write."""
    if wanted == "any":
        return request.service != "identity"
    if wanted in ("read", "write"):
        is_read = request.method == "GET"
        return request.service == "compute" and is_read == (wanted == "read")
    return wanted in (deed_of(request), request.service)
