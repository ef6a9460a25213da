"""Following a guest's console on all hosts at once."""

import signal
import subprocess
import threading
import time
from pathlib import Path
from types import FrameType

from . import docker
from .book import Book
from .cloud import Cloud
from .errors import LabError
from .instances import list_instances
from .progress import say

# Runs inside a compute host. A console that appears later is read from its start (a
# migration brings it), one that is there already from its end (its past has no times).
FOLLOWER = """
import os, sys, time
path, host = sys.argv[1:]
file, rest, first = None, "", True
while True:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    if file and (there is None or there.st_ino != os.fstat(file.fileno()).st_ino):
        file, rest = None, ""
    if file is None and there is not None:
        file = open(path, errors="replace")
        if first:
            file.seek(0, 2)
    first = False
    if file:
        rest += file.read()
        *lines, rest = rest.split("\\n")
        for line in lines:
            line = line.strip()
            if len(line) == 8 and all(digit in "0123456789ABCDEF" for digit in line):
                print(f"{time.time():.3f} {host} {line}", flush=True)
    time.sleep(0.02)
"""
RESPAWN_SECONDS = 0.5


def find_instance(book: Book, name: str) -> str:
    """UUID of the instance.

    Raises: LabError when no instance has this name.
    """
    if book.virt != "libvirt":
        raise LabError("Only real guests count: bring the lab up with --virt libvirt.")
    for instance in list_instances(Cloud(book)):
        if instance["name"] == name:
            return str(instance["id"])
    raise LabError(f"There is no instance {name}.")


def follow(book: Book, name: str, output: Path, seconds: float | None) -> None:
    """Write a line per number of the guest's console, until told to stop."""
    path = f"/var/lib/nova/instances/{find_instance(book, name)}/console.log"
    over = threading.Event()
    lock = threading.Lock()

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        over.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    processes: dict[str, subprocess.Popen[str]] = {}

    with output.open("a") as file:

        def watch(host: str) -> None:
            container = book.names.container(host)
            while not over.is_set():
                process = subprocess.Popen(
                    ["docker", "exec", container, "python3", "-c", FOLLOWER, path, host],
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                )  # fmt: skip
                processes[host] = process
                for line in process.stdout or ():
                    with lock:
                        file.write(line)
                        file.flush()
                process.wait()
                over.wait(RESPAWN_SECONDS)  # the host reboots: go on when it is back

        threads = [threading.Thread(target=watch, args=(host,)) for host in book.compute_names]
        for thread in threads:
            thread.start()
        say(f"following {name} into {output}")
        over.wait(seconds)
        over.set()
        for host in processes:
            end_follower(book, host, path)
        for process in processes.values():
            process.terminate()
        for thread in threads:
            thread.join()


def end_follower(book: Book, host: str, path: str) -> None:
    """End the follower inside the host: ending `docker exec` would leave it running."""
    docker.execute(
        book.names.container(host), "pkill", "-f", f"python3 -c .* {path} {host}$", check=False
    )


def read_consoles(book: Book, name: str) -> list[str]:
    """The console of the guest on every host that has one: host, ticks, last number."""
    path = f"/var/lib/nova/instances/{find_instance(book, name)}/console.log"
    found = []
    for host in book.compute_names:
        text = docker.execute(book.names.container(host), "cat", path, check=False)
        numbers = [line for line in text.split() if len(line) == 8]
        if numbers:
            found.append(f"{host}: {len(numbers)} ticks, last {int(numbers[-1], 16)}")
    return found


def stamp(seconds: float) -> str:
    """A time of day for people."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) + " UTC"
