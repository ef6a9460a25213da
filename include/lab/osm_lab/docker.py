"""The Docker Engine: found, installed, started, asked and told."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import LabError
from .progress import reminding, say, wait_until

PACKAGES = {
    "dockerd": "docker.io",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
START_SECONDS = 60
INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 1024
ADMIN_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def run(
    command: Sequence[str], *, timeout: float = 120, check: bool = True, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command and take its output.

    Raises: LabError with the command's own last words when it fails or takes too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False, **options
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(command)}` did not end within {timeout:.0f} s.") from error
    except FileNotFoundError as error:
        raise LabError(f"There is no program {command[0]} on this machine.") from error
    if check and done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise LabError(f"`{' '.join(command)}` failed: {' / '.join(words) or 'it said nothing'}.")
    return done


def docker(*arguments: str, timeout: float = 120, check: bool = True) -> str:
    """Output of a docker command."""
    return run(["docker", *arguments], timeout=timeout, check=check).stdout.strip()


def exists(kind: str, name: str) -> bool:
    """Whether Docker has this image, network, volume or container."""
    return run(["docker", kind, "inspect", name], check=False).returncode == 0


def inspect_container(name: str) -> dict[str, Any] | None:
    """All that Docker knows of a container; None when there is none."""
    done = run(["docker", "container", "inspect", name], check=False)
    if done.returncode:
        return None
    answer: dict[str, Any] = json.loads(done.stdout)[0]
    return answer


def execute(container: str, *command: str, timeout: float = 90, check: bool = True) -> str:
    """Output of a command run in a container as root."""
    return docker("exec", container, *command, timeout=timeout, check=check)


def is_answering() -> bool:
    """Whether a Docker daemon answers."""
    if shutil.which("docker") is None:
        return False
    return run(["docker", "version", "-f", "{{.Server.Version}}"], check=False).returncode == 0


def ensure(state: Path) -> None:
    """Have a Docker daemon: the machine's own, or one started here and remembered."""
    install_packages()
    ensure_inotify()
    if is_answering():
        return
    if os.geteuid() != 0:
        raise LabError("No Docker daemon answers, and only root can start one.")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = state / "dockerd.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "PATH": ADMIN_PATH},
        )
    (state / "dockerd.pid").write_text(str(process.pid))
    say(f"started dockerd (process {process.pid})")

    def missing() -> str:
        if process.poll() is not None:
            raise LabError(f"dockerd ended at once; its log is {log}.")
        return "" if is_answering() else f"no answer yet, see {log}"

    wait_until("dockerd", missing, START_SECONDS)


def ensure_inotify() -> None:
    """Let the kernel give out enough inotify objects for a systemd in every node.

    Without them a node's systemd ends at once with "Too many open files". The kernel's
    usual 128 for each user are enough for one lab on a machine that runs little else.
    """
    now = int(INOTIFY.read_text())
    if now >= INOTIFY_INSTANCES or os.geteuid() != 0:
        return
    INOTIFY.write_text(str(INOTIFY_INSTANCES))
    say(f"raised fs.inotify.max_user_instances from {now} to {INOTIFY_INSTANCES}")


def install_packages() -> None:
    """Install the programs that are missing, with Debian's packages."""
    needed = [name for name in PACKAGES if shutil.which(name, path=ADMIN_PATH) is None]
    if is_answering():
        needed = [name for name in needed if name not in ("dockerd", "iptables")]
    if os.geteuid() != 0:
        needed = [name for name in needed if name != "debootstrap"]
    packages = sorted({PACKAGES[name] for name in needed})
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LabError(f"Please install {', '.join(packages)} first (here only root could).")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with reminding(f"installing {', '.join(packages)}"):
        run(["apt-get", "-q", "update"], timeout=300, env=environment)
        run(
            ["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages],
            timeout=600,
            env=environment,
        )


def stop_own_daemon(state: Path) -> None:
    """Stop dockerd if this lab started it and nothing else runs on it."""
    note = state / "dockerd.pid"
    if not note.exists():
        return
    pid = int(note.read_text())
    if not is_dockerd(pid):
        note.unlink()
        return
    if docker("ps", "-aq"):
        say("left dockerd running: it has other containers")
        return
    os.kill(pid, signal.SIGTERM)
    wait_until("dockerd to end", lambda: "it still runs" if is_dockerd(pid) else "", 60)
    note.unlink()
    say("stopped dockerd")


def is_dockerd(pid: int) -> bool:
    """Whether this process is a Docker daemon that lives (not a zombie)."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        time.sleep(0)  # not our child: an earlier command started it
    try:
        return b"dockerd" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
