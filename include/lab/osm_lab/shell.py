"""SSH to the lab's hosts as the user `maintenance`."""

import shlex

from .book import SSH_USER, Book, write_private

CONNECT_SECONDS = 5


def ssh_command(book: Book, host: str, words: list[str]) -> list[str]:
    """The ssh command line for a command on a host, or for a shell there."""
    options = [
        "-i",
        str(book.key),
        "-o",
        f"UserKnownHostsFile={book.names.state / 'known_hosts'}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        f"ConnectTimeout={CONNECT_SECONDS}",
        "-o",
        "LogLevel=ERROR",
    ]
    return ["ssh", *options, f"{SSH_USER}@{book.get_host(host).address}", *words]


def known_hosts(book: Book) -> str:
    """A line for each node."""
    lines = []
    for host in book.hosts:
        key = book.node_folder(host.name) / "root/etc/ssh/ssh_host_ed25519_key.pub"
        kind, text = key.read_text().split()[:2]
        lines.append(f"{host.address},{host.name} {kind} {text}\n")
    return "".join(lines)


def write_known_hosts(book: Book) -> None:
    """The host keys of all nodes, by address and by name."""
    write_private(book.names.state / "known_hosts", known_hosts(book))


def write_clouds_yaml(book: Book) -> None:
    """clouds.yaml with the one cloud `lab`."""
    text = f"""clouds:
  lab:
    auth:
      auth_url: http://{book.controller.address}:5000/v3
      username: admin
      password: {book.admin_password}
      project_name: admin
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
    identity_api_version: 3
"""
    write_private(book.names.state / "clouds.yaml", text)


def exports(book: Book) -> dict[str, str]:
    """What a shell needs to know of the lab."""
    return {
        "OS_CLIENT_CONFIG_FILE": str(book.names.state / "clouds.yaml"),
        "OS_CLOUD": "lab",
        "LAB_STATE": str(book.names.state),
        "LAB_CONTROLLER": book.controller.address,
        "LAB_SSH_USER": SSH_USER,
        "LAB_SSH_KEY": str(book.key),
        "LAB_KNOWN_HOSTS": str(book.names.state / "known_hosts"),
    }


def print_exports(book: Book) -> None:
    """The exports, for `eval "$(lab env)"`."""
    for name, value in exports(book).items():
        print(f"export {name}={shlex.quote(value)}")
