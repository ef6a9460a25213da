"""The simulated cloud behind a real socket: `python -m simulator.http --port 8774`."""

from __future__ import annotations

import argparse
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from simulator.cloud import Cloud, Settings
from simulator.cloud.fleet import new_fleet
from simulator.http.application import Application
from simulator.http.messages import parse
from simulator.http.wall_clock import WallClock


def serve(
    port: int, hosts: int = 4, per_host: int = 5, newest: int = 104
) -> tuple[ThreadingHTTPServer, Application]:
    """A server on the loopback interface; the caller runs it. Port 0: any that is free."""
    clock = WallClock()
    cloud = Cloud(clock, Settings(newest=newest))
    new_fleet(cloud, hosts, per_host)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each body waits for its header's acknowledgement

        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            url = f"{application.url}{self.path}"
            headers = dict(self.headers.items())
            asked = parse(self.command, url, headers, body, application.services)
            with lock:
                clock.catch_up()
                answer = application.answer(asked)
            clock.pause(answer.delay)
            content = answer.content()
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _handle

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    application = Application(cloud, f"http://127.0.0.1:{server.server_port}")
    return server, application


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="simulator.http", description=__doc__)
    parser.add_argument("--port", type=int, default=8774)
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--per-host", type=int, default=5, help="instances on each host")
    parser.add_argument("--newest", type=int, default=104, help="newest microversion, 2.NEWEST")
    given = parser.parse_args()
    server, application = serve(given.port, given.hosts, given.per_host, given.newest)
    keystone = application.catalog["identity"]
    print(f"{keystone}, user admin, password {application.cloud.settings.password}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
