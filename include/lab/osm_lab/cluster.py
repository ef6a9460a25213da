"""The lab as a whole: brought up, repaired, configured, taken down."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from . import docker, images, instances, nodes, shell, subnet
from .book import Book, find_book
from .cloud import Cloud, HttpError, NoAnswer, register
from .errors import LabError
from .layout import DEFAULT_SUBNET, MAX_COMPUTES, SPARE_SUBNETS, Host, Names, make_hosts
from .progress import reminding, say, wait_until

KEYSTONE_SECONDS = 300
NOVA_SECONDS = 420
READY_TIMEOUT_SECONDS = 10.0
CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_BOOT")
LIBVIRT_CAPABILITIES = ("DAC_READ_SEARCH", "SYS_NICE", "IPC_LOCK")
DATA = {True: ("/var/lib/mysql", "/var/lib/rabbitmq", "/var/lib/glance"), False: ("/var/lib/nova",)}


@contextmanager
def alone(names: Names) -> Iterator[None]:
    """Only one command changes a lab at a time.

    Raises: LabError when another one is at it.
    """
    lock = Path(tempfile.gettempdir()) / f"{names.network}.lock"
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabError("Another `lab` command is changing this lab: wait for it.") from error
        yield


def up(
    names: Names,
    *,
    virt: str | None,
    computes: int | None,
    wanted_subnet: str | None,
    settings: list[str],
    base: str | None,
) -> Book:
    """Bring the lab up, or repair what is missing of a lab that is up."""
    options = nodes.parse_settings(settings)
    docker.ensure(names.state)
    book = find_book(names)
    is_new = book is None
    if book is None:
        chosen = wanted_subnet or choose_subnet(names)
        book = Book(names, virt or "fake", chosen, 4 if computes is None else computes)
    else:
        check_same(book, virt, computes, wanted_subnet)
    hosts = book.hosts
    take_subnet(book)
    book.settings.setdefault("all", {}).update(options)
    image = images.ensure(book.virt, base, names.state)
    if not any(docker.exists("container", names.container(host.name)) for host in hosts):
        book.image = image
    elif book.image != image:
        say("the nodes run an older image; `down` and `up` would give them the new one")
    names.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    book.save()
    changed = nodes.write_nodes(book)
    shell.write_known_hosts(book)
    shell.write_clouds_yaml(book)
    with ThreadPoolExecutor(8) as pool:
        started = [name for name in pool.map(lambda host: start_node(book, host), hosts) if name]
    if started:
        say(f"started {', '.join(started)}")
    restart = [name for name in changed if name not in started]
    if restart:
        restart_nova(book, restart)
    wait_ready(book, [] if is_new else started)
    if not started and not restart:
        say("the lab was up already, nothing was missing")
    return book


def choose_subnet(names: Names) -> str:
    """The usual subnet for the usual lab; for another one the first that is free."""
    if not names.lab:
        return DEFAULT_SUBNET
    routes = subnet.read_routes()
    for candidate in SPARE_SUBNETS:
        if subnet.find_conflict(candidate, routes) is None:
            return candidate
    raise LabError("No subnet is free for another lab: choose one with --subnet.")


def check_same(book: Book, virt: str | None, computes: int | None, wanted: str | None) -> None:
    """A lab that is there cannot become another one.

    Raises: LabError naming what differs.
    """
    for what, asked, has in (
        ("profile", virt, book.virt),
        ("number of computes", computes, book.computes),
        ("subnet", wanted, book.subnet),
    ):
        if asked is not None and asked != has:
            raise LabError(
                f"There is a lab already, with the {what} {has}, not {asked}: "
                "take it down first with `lab down`."
            )


def take_subnet(book: Book) -> None:
    """Have the lab's network; it must not hide addresses that the machine reaches elsewhere.

    Raises: LabError with the route in the way.
    """
    names = book.names
    if docker.exists("network", names.network):
        return
    conflict = subnet.find_conflict(book.subnet, subnet.read_routes())
    if conflict:
        raise LabError(conflict)
    docker.docker(
        "network", "create", "--label", names.label, "--subnet", book.subnet, names.network
    )


def start_node(book: Book, host: Host) -> str:
    """Have a node run.

    Returns: its name if it had to be created or started.
    """
    container = book.names.container(host.name)
    there = docker.inspect_container(container)
    if there is None:
        docker.docker(*make_run_arguments(book, host), timeout=180)
        return host.name
    if not there["State"]["Running"]:
        docker.docker("start", container)
        return host.name
    return ""


def make_run_arguments(book: Book, host: Host) -> list[str]:
    """The `docker run` of a node: systemd without a privileged container."""
    names = book.names
    container = names.container(host.name)
    arguments = ["run", "--detach", "--name", container, "--hostname", host.name]
    arguments += ["--network", names.network, "--ip", host.address, "--label", names.label]
    arguments += ["--restart", "always", "--cgroupns", "host", "--env", "container=docker"]
    capabilities: tuple[str, ...] = CAPABILITIES
    if book.virt == "libvirt" and not host.is_controller:
        capabilities += LIBVIRT_CAPABILITIES
    for capability in capabilities:
        arguments += ["--cap-add", capability]
    for option in ("seccomp=unconfined", "apparmor=unconfined"):
        arguments += ["--security-opt", option]
    for mount in ("/run:exec", "/run/lock", "/tmp:exec"):  # noqa: S108  # inside the container
        arguments += ["--tmpfs", mount]
    arguments += ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    arguments += ["--volume", f"{book.node_folder(host.name)}:/lab:ro"]
    for folder in DATA[host.is_controller]:
        arguments += ["--volume", f"{volume_name(names, host, folder)}:{folder}"]
    for other in book.hosts:
        if other != host:
            arguments += ["--add-host", f"{other.name}:{other.address}"]
    return [*arguments, book.image]


def wait_ready(book: Book, restarted: Sequence[str] = ()) -> None:
    """Wait until Nova is ready with all computes up and mapped.

    A host that was restarted counts as up for a while whatever it does: its heartbeat must advance.

    Raises: LabError with what is still missing at the deadline.
    """
    cloud = Cloud(book, timeout_seconds=READY_TIMEOUT_SECONDS)
    patient = Cloud(book)  # what is asked once has no second try

    def keystone_missing() -> str:
        try:
            cloud.token()
        except (HttpError, NoAnswer) as error:
            return find_stalled(book) or str(error)
        return ""

    wait_until("Keystone", keystone_missing, KEYSTONE_SECONDS)
    register(patient, book)
    heartbeats: dict[str, str] = {}

    def nova_missing() -> str:
        return find_missing(book, cloud) or find_silent(cloud, restarted, heartbeats)

    wait_until("Nova", nova_missing, NOVA_SECONDS, beat_seconds=1.0)
    instances.ensure_image(patient, book)


def find_silent(cloud: Cloud, hosts: Sequence[str], first: dict[str, str]) -> str:
    """Hosts whose nova-compute has not been heard of since the first time this was asked."""
    silent = []
    for service in cloud.get("compute", "/os-services?binary=nova-compute")["services"]:
        host, heard = service["host"], str(service["updated_at"])
        if host in hosts and first.setdefault(host, heard) == heard:
            silent.append(host)
    return f"not yet a heartbeat of {', '.join(silent)}" if silent else ""


def find_stalled(book: Book) -> str:
    """Nodes that do not run, with where to look; empty when all run."""
    for host in book.hosts:
        container = book.names.container(host.name)
        there = docker.inspect_container(container)
        state = there["State"]["Status"] if there else "missing"
        if state != "running":
            return f"{host.name} is {state}, see `docker logs {container}`"
    return ""


def find_missing(book: Book, cloud: Cloud) -> str:
    """What keeps Nova from being ready; empty when nothing does."""
    try:
        services = cloud.get("compute", "/os-services")["services"]
        hypervisors = cloud.get("compute", "/os-hypervisors")["hypervisors"]
        cloud.get("image", "/images")
        cloud.get("network", "/v2.0/networks")
        providers = cloud.get("placement", "/resource_providers")["resource_providers"]
    except (HttpError, NoAnswer) as error:
        return find_stalled(book) or str(error)
    ups = {(entry["binary"], entry["host"]) for entry in services if entry["state"] == "up"}
    wanted = {("nova-scheduler", "ctl01"), ("nova-conductor", "ctl01")}
    wanted |= {("nova-compute", name) for name in book.compute_names}
    missing = [f"{binary} on {host}" for binary, host in sorted(wanted - ups)]
    known = {entry["hypervisor_hostname"] for entry in hypervisors}
    known &= {entry["name"] for entry in providers}
    missing += [f"the hypervisor {name}" for name in book.compute_names if name not in known]
    return f"not yet {', '.join(missing)}" if missing else ""


def configure(book: Book, host: str, words: list[str]) -> None:
    """Change options of nova.conf, on one host or on all, and restart Nova where they count."""
    if host != "all":
        book.get_host(host)
    options = nodes.parse_settings(words)
    book.settings.setdefault(host, {}).update(options)
    book.save()
    changed = nodes.write_nodes(book)
    if changed:
        restart_nova(book, changed)
        wait_ready(book, changed)
    say(f"changed nova.conf on {', '.join(changed) or 'no host: it was so already'}")


def restart_nova(book: Book, hosts: list[str]) -> None:
    """Take over the configuration and restart Nova's services on these hosts."""

    def restart(name: str) -> None:
        container = book.names.container(name)
        docker.execute(container, "/usr/lib/osm-lab/apply")
        units = nodes.NOVA_CONTROL_UNITS if book.get_host(name).is_controller else ("nova-compute",)
        docker.execute(container, "systemctl", "restart", *units, timeout=180)

    with reminding(f"restarting Nova on {', '.join(hosts)}"), ThreadPoolExecutor(8) as pool:
        list(pool.map(restart, hosts))


def down(names: Names, *, everything: bool) -> None:
    """Remove the lab's containers, network, volumes and state; with `everything` images too."""
    if not docker.is_answering():
        if has_notes(names):
            raise LabError("No Docker daemon answers, so the lab's containers cannot be removed.")
        say("no Docker daemon answers and there is no lab: nothing to do")
        return
    owned = ["--filter", f"label={names.label}"]
    containers = docker.docker("ps", "--all", "--quiet", *owned).split()
    if containers:
        docker.docker("rm", "--force", "--volumes", *containers, timeout=300)
        say(f"removed {len(containers)} containers")
    volumes = set(docker.docker("volume", "ls", "--quiet").split()) & all_volumes(names)
    if volumes:
        docker.docker("volume", "rm", *volumes)
    for network in docker.docker("network", "ls", "--quiet", *owned).split():
        docker.docker("network", "rm", network)
    if everything:
        images.remove_all()
        docker.stop_own_daemon(names.state)
    remove_state(names)
    say("the lab is down")


def all_volumes(names: Names) -> set[str]:
    """Names of all volumes that a lab of this name can have."""
    return {
        volume_name(names, host, folder)
        for host in make_hosts(DEFAULT_SUBNET, MAX_COMPUTES)
        for folder in DATA[host.is_controller]
    }


def volume_name(names: Names, host: Host, folder: str) -> str:
    """The volume of a host's folder."""
    return f"{names.container(host.name)}-{Path(folder).name}"


def has_notes(names: Names) -> bool:
    """Whether this lab has notes, so that its containers may exist while Docker is down."""
    return (names.state / "lab.json").exists()


def remove_state(names: Names) -> None:
    """Remove the state folder, but keep the note on a dockerd that goes on running."""
    if not names.state.exists():
        return
    keep = {"dockerd.pid", "dockerd.log"} if (names.state / "dockerd.pid").exists() else set()
    for path in names.state.iterdir():
        if path.name in keep:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not keep:
        names.state.rmdir()
