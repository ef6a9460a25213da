"""The command `lab`."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from . import cluster, counter, faults, follow, instances, shell, status
from .book import Book, get_book
from .cloud import Cloud
from .errors import LabError
from .layout import Names
from .progress import say

DEFAULT_RAM_MIB = {"fake": 512, "libvirt": 64}


def make_parser() -> argparse.ArgumentParser:
    """All subcommands and their options."""
    parser = argparse.ArgumentParser(
        prog="lab", description="A small real OpenStack in containers on this machine."
    )
    parser.add_argument(
        "--name",
        default=os.environ.get("LAB_NAME", ""),
        help="another lab beside the usual one (default: $LAB_NAME)",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    up = commands.add_parser("up", help="bring the lab up, or repair it")
    up.add_argument("--virt", choices=("fake", "libvirt"), help="default fake")
    up.add_argument("--computes", type=int, help="default 4")
    up.add_argument("--subnet", help="default 172.31.240.0/24")
    up.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE")
    up.add_argument(
        "--base", help="base image with Debian 12 (default: made by debootstrap, as root)"
    )

    down = commands.add_parser("down", help="remove the lab")
    down.add_argument("--all", action="store_true", help="images too, and dockerd if we started it")

    show = commands.add_parser("status", help="hosts, services, instances, faults")
    show.add_argument("--json", action="store_true")

    guests = commands.add_parser("instances", help="create, list or delete instances")
    verbs = guests.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="create instances on a host")
    create.add_argument("--host", required=True)
    create.add_argument("--count", type=int, default=1)
    create.add_argument("--state", choices=tuple(instances.ACTIONS), default="ACTIVE")
    create.add_argument("--ram", type=int, metavar="MIB", help="default 512; 64 for real guests")
    create.add_argument("--disk", type=int, default=1, metavar="GIB")
    create.add_argument("--group", metavar="NAME", help="an anti-affinity group, made if missing")
    create.add_argument("--prefix", help="start of the names (default: vm-HOST)")
    create.add_argument(
        "--counter", action="store_true", help="demand real guests, which count (libvirt profile)"
    )
    listing = verbs.add_parser("list", help="list instances")
    listing.add_argument("--json", action="store_true")
    delete = verbs.add_parser("delete", help="delete instances")
    delete.add_argument("--all", action="store_true")
    delete.add_argument("names", nargs="*")

    ssh = commands.add_parser("ssh", help="a shell or a command on a host")
    ssh.add_argument("host")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="command")

    fault = commands.add_parser(
        "fault",
        help="set, clear or list faults",
        usage="lab fault [--list] | [HOST|all] FAULT [VALUE] | [HOST] clear [FAULT]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="faults:\n" + "\n".join(faults.describe()),
    )
    fault.add_argument("--list", action="store_true")
    fault.add_argument("words", nargs="*")

    recover = commands.add_parser("recover", help="reset a host that hangs in its boot")
    recover.add_argument("host")

    configure = commands.add_parser("configure", help="change nova.conf and restart Nova")
    configure.add_argument("--host", default="all")
    configure.add_argument("settings", nargs="+", metavar="NAME=VALUE", help="or heartbeat=nova")

    count = commands.add_parser("counter", help="what a counting guest noticed")
    count.add_argument("instance", nargs="?")
    count.add_argument("--follow", type=Path, metavar="FILE", help="record until interrupted")
    count.add_argument("--seconds", type=float, help="record that long")
    count.add_argument("--report", type=Path, metavar="FILE")
    count.add_argument("--json", action="store_true")

    commands.add_parser("env", help='shell exports, for eval "$(lab env)"')
    return parser


def main() -> int:
    """Run one command; a failure is one sentence and exit code 1."""
    options = make_parser().parse_args()
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads, as `head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run(options: argparse.Namespace) -> int:
    """Do what the command line asks."""
    names = Names(options.name)
    match options.command:
        case "up":
            with cluster.alone(names):
                book = cluster.up(
                    names,
                    virt=options.virt,
                    computes=options.computes,
                    wanted_subnet=options.subnet,
                    settings=options.setting,
                    base=options.base,
                )
            say(f"ready: {book.virt} profile, {book.subnet}, {', '.join(book.compute_names)}")
        case "down":
            with cluster.alone(names):
                cluster.down(names, everything=options.all)
        case "counter" if options.report:
            report_counter(options)
        case command:
            COMMANDS[command](get_book(names), options)
    return 0


def show_status(book: Book, options: argparse.Namespace) -> None:
    """`lab status`."""
    found = status.collect(book)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        status.show(found)


def handle_instances(book: Book, options: argparse.Namespace) -> None:
    """`lab instances ...`."""
    match options.verb:
        case "create":
            create_instances(book, options)
        case "list":
            found = instances.list_instances(Cloud(book))
            if options.json:
                print(json.dumps(found, indent=2))
            for item in found if not options.json else []:
                print(
                    f"{item['name']:<24}{item['host'] or '-':<6}{item['status']:<12}"
                    f"{item['task_state'] or '-':<20}{item['ram_mib']} MiB  {item['id']}"
                )
        case "delete":
            if bool(options.names) == options.all:
                raise LabError("Say which instances to delete: names, or --all.")
            for name in instances.delete(book, options.names):
                print(f"deleted {name}")


def create_instances(book: Book, options: argparse.Namespace) -> None:
    """`lab instances create`."""
    if options.counter and book.virt != "libvirt":
        raise LabError("Only real guests count: bring a lab up with --virt libvirt.")
    order = instances.Order(
        host=options.host,
        count=options.count,
        state=options.state,
        ram_mib=DEFAULT_RAM_MIB[book.virt] if options.ram is None else options.ram,
        disk_gib=options.disk,
        prefix=options.prefix or f"vm-{options.host}",
        group=options.group,
    )
    for name in instances.create(book, order):
        print(f"created {name} on {options.host}, {options.state}")


def configure(book: Book, options: argparse.Namespace) -> None:
    """`lab configure`."""
    with cluster.alone(book.names):
        cluster.configure(book, options.host, options.settings)


def open_ssh(book: Book, options: argparse.Namespace) -> None:
    """`lab ssh`: becomes ssh."""
    command = shell.ssh_command(book, options.host, options.words)
    os.execvp(command[0], command)  # noqa: S606  # becoming ssh is the point


def handle_faults(book: Book, options: argparse.Namespace) -> None:
    """`lab fault ...`."""
    order = faults.parse([] if options.list else options.words)
    if order.verb != "list":
        faults.obey(book, order)
        return
    for host, found in faults.list_set(book).items():
        for fault in found if order.host in ("all", host) else []:
            print(f"{host} {fault}")


def handle_counter(book: Book, options: argparse.Namespace) -> None:
    """`lab counter NAME`."""
    if not options.instance:
        raise LabError("Say which instance counts, or give --report FILE.")
    if options.follow:
        follow.follow(book, options.instance, options.follow, options.seconds)
        return
    for line in follow.read_consoles(book, options.instance):
        print(line)


def report_counter(options: argparse.Namespace) -> None:
    """`lab counter --report FILE`."""
    with options.report.open() as file:
        found = counter.summarise(counter.parse_sightings(file))
    if options.json:
        print(json.dumps(vars(found)))
        return
    print(
        f"{found.ticks} ticks in {found.seconds:.1f} s on {' -> '.join(found.hosts) or 'no host'}, "
        f"{found.resets} resets, {found.missing} missing, longest pause "
        f"{found.longest_pause_seconds:.2f} s at {follow.stamp(found.longest_pause_at)}"
    )


COMMANDS: dict[str, Callable[[Book, argparse.Namespace], None]] = {
    "status": show_status,
    "instances": handle_instances,
    "ssh": open_ssh,
    "fault": handle_faults,
    "recover": lambda book, options: faults.recover(book, options.host),
    "configure": configure,
    "counter": handle_counter,
    "env": lambda book, options: shell.print_exports(book),
}
