"""`make audit` as a person sees it: the real pip-audit, a vulnerability database on loopback.

The database speaks OSV's query API: a package and version in, `{"vulns": [...]}` or `{}` out.
Source: OSV, POST /v1/query; pip-audit's --osv-url.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
UNREACHED = "audit: the vulnerability database could not be reached: nothing was checked\n"
MADE_UP = {
    "id": "GHSA-aaaa-bbbb-cccc",
    "aliases": ["CVE-2026-00001"],
    "summary": "a vulnerability of this test",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "jinja2"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.0"}]},
            ],
        }
    ],
}


@contextmanager
def database(known: dict[str, Any], status: int = 200, delay: float = 0) -> Iterator[str]:
    """An OSV database that knows vulnerabilities by package; yields its query URL."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(delay)
            vulns = known.get(question["package"]["name"])
            body = json.dumps({"vulns": [vulns]} if vulns else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def audit(osv_url: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PIP_AUDIT_VULNERABILITY_SERVICE": "osv",
        "PIP_AUDIT_OSV_URL": osv_url,
    }
    return subprocess.run(
        [PROJECT / "include/airflow/audit"], env=environment, capture_output=True, text=True
    )


@pytest.mark.thorough
def test_packages_that_nothing_is_known_against_are_counted_in_one_line() -> None:
    with database({}) as url:
        done = audit(url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("audit: nothing is known against the ")
    assert done.stdout.endswith(" packages of 4 locks\n")


@pytest.mark.thorough
def test_a_known_vulnerability_is_an_error_with_package_advisory_and_remedy() -> None:
    with database({"jinja2": MADE_UP}) as url:
        done = audit(url)
    assert done.returncode == 1
    package, verdict = done.stderr.splitlines()
    assert package.startswith("audit: jinja2 ")
    assert "GHSA-aaaa-bbbb-cccc" in package and "CVE-2026-00001" in package
    assert package.endswith(": fixed in 999.0")
    assert verdict == "audit: known vulnerabilities: 1. Run `make upgrade`."


@pytest.mark.thorough
@pytest.mark.parametrize("status", [404, 500])
def test_a_database_that_answers_with_errors_has_checked_nothing(status: int) -> None:
    with database({}, status) as url:
        done = audit(url)
    assert (done.returncode, done.stdout) == (0, UNREACHED)


@pytest.mark.thorough
def test_no_database_at_all_is_said_and_is_no_error() -> None:
    with database({}) as url:
        pass  # its port is closed again
    done = audit(url)
    assert (done.returncode, done.stdout) == (0, UNREACHED)


@pytest.mark.thorough
def test_a_database_that_never_answers_holds_nobody_up() -> None:
    begun = time.monotonic()
    with database({}, delay=30) as url:
        done = audit(url)
        seconds = time.monotonic() - begun
    assert (done.returncode, done.stdout) == (0, UNREACHED)
    assert seconds < 20
