"""nova-api as it is, behind the lab's faults api-slow and api-fail."""

import pathlib
import sys
import time

# Before the import, which reads it: nova.conf is shared by services with logs of their own.
sys.argv = ["nova-api", "--log-file=/var/log/nova/nova-api.log"]

from nova.wsgi.osapi_compute import application as nova_api  # noqa: E402

FAULTS = pathlib.Path("/lab/faults")


def read_fault(name):
    """Value of a fault that is set, or None."""
    try:
        return (FAULTS / name).read_text().strip()
    except FileNotFoundError:
        return None


def application(environ, start_response):
    """WSGI: wait and fail as told, else pass on."""
    slow = read_fault("api-slow")
    if slow:
        time.sleep(float(slow))
    code = read_fault("api-fail")
    if code:
        start_response(f"{code} Set by the lab", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"The lab's fault api-fail answers {code} to everything.\n".encode()]
    return nova_api(environ, start_response)
