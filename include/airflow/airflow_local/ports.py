"""Ports on this machine."""

from __future__ import annotations

import socket

from airflow_local.errors import AirflowLocalError


def check_port_is_free(host: str, port: int) -> None:
    """Raises: AirflowLocalError: something else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AirflowLocalError(
                f"Port {port} on {host} cannot be used ({error.strerror}): choose another one, "
                "for example with PORT=8090."
            ) from error


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
