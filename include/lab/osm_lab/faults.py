"""What can go wrong in the lab when it is told to.

Most faults are files in a folder that the host sees read-only as /lab/faults; the
others are done at once with docker.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import docker
from .book import Book
from .errors import LabError
from .layout import CONTROLLER
from .progress import reminding, say, wait_until


@dataclass(frozen=True)
class Kind:
    """A fault that there is."""

    where: str  # compute, controller or any
    value: str  # none, number, code or names
    help: str
    virt: str = "any"
    lasts: bool = True  # False: it is done at once, and there is nothing to clear


KINDS = {
    "migration-seconds": Kind("compute", "number", "a migration from here takes S seconds", "fake"),
    "migration-seconds-per-gib": Kind(
        "compute", "number", "a migration from here takes S seconds per GiB of RAM", "fake"
    ),
    "migration-fail": Kind(
        "compute", "names", "migrations from here fail half way [of INSTANCE, N times]", "fake"
    ),
    "migration-refuse": Kind(
        "compute",
        "names",
        "this host, as source or destination, refuses them in the check [INSTANCE, N times]",
        "fake",
    ),
    "boot-hang": Kind("any", "none", "the host does not come back from its next boot"),
    "boot-seconds": Kind("any", "number", "a boot takes S seconds more"),
    "nova-compute-kill": Kind("compute", "none", "kill nova-compute now; it stays dead"),
    "nova-compute-no-start": Kind("compute", "none", "nova-compute fails to start"),
    "broker-restart": Kind("controller", "none", "restart the broker now", lasts=False),
    "broker-stop": Kind("controller", "none", "stop the broker"),
    "broker-start": Kind("controller", "none", "start the broker", lasts=False),
    "api-slow": Kind("controller", "number", "every answer of nova-api takes S seconds more"),
    "api-fail": Kind("controller", "code", "nova-api answers CODE to everything"),
    "cut-off": Kind("any", "none", "take the host off the network"),
    "reconnect": Kind("any", "none", "put the host back on the network", lasts=False),
    "sudo-refused": Kind("any", "none", "sudo is refused to the user maintenance"),
}
BROKER_SECONDS = 120
# Faults that the host itself has to take notice of.
APPLIED = ("sudo-refused", "nova-compute-kill", "nova-compute-no-start")


@dataclass(frozen=True)
class Order:
    """What to do about faults: set, clear or list."""

    verb: str
    host: str = "all"
    fault: str = ""
    value: str = ""


def parse(words: list[str]) -> Order:
    """`[HOST] FAULT [VALUE...]`, `[HOST] clear [FAULT]` or nothing, which lists.

    The host may be left out for faults of the controller, and is then all hosts for `clear`.

    Raises: LabError that says what would be right.
    """
    if not words:
        return Order("list")
    host, rest = "", list(words)
    if rest[0] not in KINDS and rest[0] != "clear":
        host, *rest = rest
        if not rest:
            return Order("list", host)
    name, *values = rest
    if name == "clear":
        if len(values) > 1 or (values and values[0] not in KINDS):
            raise LabError(f"Not a fault to clear: {' '.join(values)!r}. {known()}")
        return Order("clear", host or "all", values[0] if values else "")
    if name not in KINDS:
        raise LabError(f"There is no fault {name!r}. {known()}")
    kind = KINDS[name]
    if not host:
        if kind.where != "controller":
            raise LabError(f"Say on which host: `lab fault HOST {' '.join(words)}`.")
        host = CONTROLLER
    if kind.where == "controller" and host != CONTROLLER:
        raise LabError(f"{name} is a fault of {CONTROLLER}, not of {host}.")
    if kind.where == "compute" and host == CONTROLLER:
        raise LabError(f"{name} is a fault of a compute host, not of {CONTROLLER}.")
    return Order("set", host, name, parse_value(name, kind.value, values))


def parse_value(name: str, value: str, words: list[str]) -> str:
    """The value of a fault as its file holds it.

    Raises: LabError that says what would be right.
    """
    if value == "names":
        if len(words) > 2 or (len(words) == 2 and not words[1].isdigit()):
            raise LabError(f"{name} takes an instance's name or *, and perhaps how often.")
        return " ".join(words) or "*"
    pattern = {"none": r"", "number": r"\d+(\.\d+)?", "code": r"[45]\d\d"}[value]
    text = " ".join(words)
    if not re.fullmatch(pattern, text):
        wanted = {
            "none": "takes no value",
            "number": "takes a number of seconds",
            "code": "takes a status such as 503",
        }[value]
        raise LabError(f"{name} {wanted}, not {text!r}.")
    return text


def known() -> str:
    """The faults that there are."""
    return f"There are: {', '.join(sorted(KINDS))}."


def describe() -> list[str]:
    """A line of help per fault."""
    values = {"none": "", "number": " S", "code": " CODE", "names": " [INSTANCE [N]]"}
    return [
        f"  {name + values[kind.value]:<36}{kind.help}"
        + (f" ({kind.virt} profile)" if kind.virt != "any" else "")
        for name, kind in KINDS.items()
    ]


def list_set(book: Book) -> dict[str, list[str]]:
    """The faults that are set, by host."""
    found: dict[str, list[str]] = {}
    for host in book.hosts:
        for path in sorted(book.fault_folder(host.name).iterdir()):
            found.setdefault(host.name, []).extend(
                f"{path.name} {line}".strip() for line in path.read_text().splitlines() or [""]
            )
        if is_cut_off(book, host.name):
            found.setdefault(host.name, []).append("cut-off")
    return found


def obey(book: Book, order: Order) -> None:
    """Set or clear."""
    if order.host != "all":
        book.get_host(order.host)
    for host in [book.get_host(order.host)] if order.host != "all" else book.hosts:
        if order.verb == "clear":
            clear(book, host.name, order.fault)
        elif order.host != "all" or fits(order.fault, host.name):
            set_fault(book, host.name, order.fault, order.value)


def fits(fault: str, host: str) -> bool:
    """Whether this host is of the kind that the fault is for."""
    where = KINDS[fault].where
    return where == "any" or (where == "controller") == (host == CONTROLLER)


def set_fault(book: Book, host: str, fault: str, value: str) -> None:
    """Set one fault on one host."""
    kind = KINDS[fault]
    if kind.virt not in ("any", book.virt):
        raise LabError(f"The fault {fault} needs the profile {kind.virt}; this is {book.virt}.")
    path = book.fault_folder(host) / fault
    if kind.lasts and fault != "cut-off":
        lines = path.read_text().splitlines() if kind.value == "names" and path.exists() else []
        name = value.partition(" ")[0]
        lines = [line for line in lines if line.partition(" ")[0] != name] + [value]
        path.write_text("".join(f"{line}\n" for line in lines if line))
    if fault in APPLIED:
        apply(book, host)
    if fault in ACTIONS:
        ACTIONS[fault](book, host)
    if fault in ("broker-start", "broker-restart"):
        (book.fault_folder(host) / "broker-stop").unlink(missing_ok=True)
    say(f"{host}: {fault} {value}".rstrip())


def clear(book: Book, host: str, fault: str = "") -> None:
    """Clear one fault of a host, or all of them; what it had stopped is started again."""
    names = [path.name for path in book.fault_folder(host).iterdir()]
    if is_cut_off(book, host):
        names.append("cut-off")
    for name in sorted(names) if not fault else [fault] if fault in names else []:
        (book.fault_folder(host) / name).unlink(missing_ok=True)
        if name in UNDO:
            UNDO[name](book, host)
        say(f"{host}: cleared {name}")


def apply(book: Book, host: str) -> None:
    """Let the host take over what its folder says now."""
    docker.execute(book.names.container(host), "/usr/lib/osm-lab/apply")


def systemctl(*words: str) -> Callable[[Book, str], None]:
    """An action: a systemctl command on the host."""

    def act(book: Book, host: str) -> None:
        with reminding(f"{host}: systemctl {' '.join(words)}"):
            docker.execute(book.names.container(host), "systemctl", *words, timeout=BROKER_SECONDS)

    return act


def start_nova_compute(book: Book, host: str) -> None:
    """Start what a fault had stopped."""
    apply(book, host)
    systemctl("start", "nova-compute")(book, host)


def is_cut_off(book: Book, host: str) -> bool:
    """Whether the host's container exists but is not on the lab's network."""
    there = docker.inspect_container(book.names.container(host))
    return there is not None and book.names.network not in there["NetworkSettings"]["Networks"]


def cut_off(book: Book, host: str) -> None:
    """Take the host off the network."""
    if not is_cut_off(book, host):
        docker.docker(
            "network", "disconnect", "--force", book.names.network, book.names.container(host)
        )


def reconnect(book: Book, host: str) -> None:
    """Put the host back on the network, with its address."""
    if is_cut_off(book, host):
        address = book.get_host(host).address
        docker.docker(
            "network", "connect", "--ip", address, book.names.network, book.names.container(host)
        )


def recover(book: Book, host: str) -> None:
    """Press the reset button of a host that hangs in its boot."""
    book.get_host(host)
    (book.fault_folder(host) / "boot-hang").unlink(missing_ok=True)
    container = book.names.container(host)
    docker.docker("restart", "--time", "0", container)

    def missing() -> str:
        state = docker.execute(container, "systemctl", "is-system-running", check=False)
        return "" if state in ("running", "degraded") else f"systemd says {state or 'nothing'}"

    wait_until(f"{host} to boot", missing, 180)


ACTIONS: dict[str, Callable[[Book, str], None]] = {
    "nova-compute-kill": systemctl("kill", "--signal=KILL", "nova-compute"),
    "broker-restart": systemctl("restart", "rabbitmq-server"),
    "broker-stop": systemctl("stop", "rabbitmq-server"),
    "broker-start": systemctl("start", "rabbitmq-server"),
    "cut-off": cut_off,
    "reconnect": reconnect,
}
UNDO: dict[str, Callable[[Book, str], None]] = {
    "broker-stop": systemctl("start", "rabbitmq-server"),
    "cut-off": reconnect,
    "nova-compute-kill": start_nova_compute,
    "nova-compute-no-start": start_nova_compute,
    "sudo-refused": apply,
}
