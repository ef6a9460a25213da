"""Start, stop and look at the project's own Airflow.

The connections and the policy are the caller's environment: AIRFLOW_CONN_OPENSTACK_DEFAULT,
AIRFLOW_CONN_OPENSTACK_SSH, OPENSTACK_MAINTENANCE_POLICY.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from airflow_local.errors import AirflowLocalError
from airflow_local.home import ADMIN, PROJECT, Home
from airflow_local.server import COMPONENTS, DEFAULT_PORT, LocalAirflow


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.command(arguments, _server(arguments)))
    except AirflowLocalError as error:
        print(f"airflow-local: {error}", file=sys.stderr)
        return 1


def start(arguments: argparse.Namespace, server: LocalAirflow) -> int:
    began = time.monotonic()
    server.start(lambda text: print(text, flush=True))
    print(f"Airflow is ready after {time.monotonic() - began:.0f} s: {server.url}")
    print(f"log in as {ADMIN} with the password {server.home.password}")
    return 0


def stop(arguments: argparse.Namespace, server: LocalAirflow) -> int:
    server.stop()
    print("Airflow is stopped")
    return 0


def status(arguments: argparse.Namespace, server: LocalAirflow) -> int:
    """Say of each component whether it runs; 0 when all do."""
    running = {name: server.is_running(name) for name in COMPONENTS}
    for name, is_running in running.items():
        process = server.process(name)
        state = f"running, pid {process.pid}" if process and is_running else "not running"
        print(f"{name + ':':15}{state}")
    if all(running.values()):
        print(f"{'UI:':15}{server.url}, {ADMIN} / {server.home.password}")
    return 0 if all(running.values()) else 3


def logs(arguments: argparse.Namespace, server: LocalAirflow) -> int:
    for name in [arguments.component] if arguments.component else COMPONENTS:
        file = server.home.log(name)
        lines = file.read_text(errors="replace").splitlines() if file.exists() else []
        print(f"== {file} ==", *lines[-arguments.lines :], sep="\n")
    return 0


def _server(arguments: argparse.Namespace) -> LocalAirflow:
    home = Home(arguments.home.resolve())
    running = LocalAirflow.find_running(home)
    if arguments.command is not start:
        return running or LocalAirflow(home)
    if running is None:
        return LocalAirflow(
            home,
            port=arguments.port or DEFAULT_PORT,
            host=arguments.bind or "127.0.0.1",
            dags=arguments.dags.resolve() if arguments.dags else PROJECT / "dags",
        )
    wanted = arguments.port or running.port, arguments.bind or running.host
    if wanted != (running.port, running.host):
        raise AirflowLocalError(
            f"This Airflow already runs at {running.host}:{running.port}: stop it first to move it."
        )
    return running


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--home", type=Path, default=PROJECT / ".airflow", help="AIRFLOW_HOME (default: .airflow)"
    )
    commands = parser.add_subparsers(required=True, metavar="start|stop|status|logs")
    starting = commands.add_parser("start", help="start what is not running; wait until healthy")
    starting.add_argument(
        "--port", type=int, help=f"of the UI and the API (default: {DEFAULT_PORT})"
    )
    starting.add_argument("--bind", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    starting.add_argument("--dags", type=Path, help="the folder of DAGs (default: dags)")
    starting.set_defaults(command=start)
    commands.add_parser("stop", help="end every process of it").set_defaults(command=stop)
    commands.add_parser("status", help="say what runs").set_defaults(command=status)
    reading = commands.add_parser("logs", help="print the end of the components' logs")
    reading.add_argument("component", nargs="?", choices=list(COMPONENTS))
    reading.add_argument("--lines", type=int, default=40)
    reading.set_defaults(command=logs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
