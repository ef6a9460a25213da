"""How each API process runs: one worker of threads, started fresh."""

import sys
from typing import Any

worker_class = "gthread"
workers = 1
threads = 8
timeout = 120
graceful_timeout = 5
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:
    """Keep gunicorn's arguments from the services: they parse sys.argv when imported."""
    del worker
    sys.argv = [server.proc_name]
