"""Rules as lines of a sudoers file. What is written here sudo 1.8 to 1.9 read alike."""

from __future__ import annotations

import re
from collections.abc import Iterable

from host_rights.rules import Pattern, Rule
from openstack_maintenance.domain.errors import HostError

# Where Debian and RHEL have them; sudo compares the file itself, so that /bin is as good.
_FOLDERS = {"ss": ("/usr/bin", "/usr/sbin"), "rabbitmqctl": ("/usr/sbin",)}
_SPECIAL = re.compile(r"[,:=#]")
_SPECIAL_OR_GLOB = re.compile(r"[,:=#*?\[\]!]")


def sudoers(title: str, login: str, rules: Iterable[Rule]) -> str:
    """A sudoers file that lets a login run these commands as root, one a line, and no others."""
    lines = [_comment(title), f"Defaults:{login} !requiretty"]
    for rule in rules:
        lines.append(_comment(rule.why))
        lines += [f"{login} ALL=(root) NOPASSWD: {each}" for each in _commands(rule)]
    return "\n".join(lines) + "\n"


def _commands(rule: Rule) -> list[str]:
    words = " ".join(map(_escape, rule.args))
    folders = _FOLDERS.get(rule.command, ("/usr/bin",))
    return [f"{folder}/{rule.command} {words}" for folder in folders]


def _comment(text: str) -> str:
    """A comment of one line, whatever the text: what stood on the next one would be a rule."""
    return "# " + re.sub(r"[^\w ,.;:'()/@+-]", "?", text, flags=re.ASCII)


def _escape(argument: str) -> str:
    """An argument as sudoers has it. sudo reads several spaces as one, and no line breaks.

    Raises: HostError: sudoers cannot hold it.
    """
    if not argument.isprintable() or re.search(r"\\|\s\s|^\s|\s$|^\^|^$", argument):
        raise HostError(
            f"argument {argument[:100]!r}",
            "it cannot be written into a sudoers file: it is empty, or has a backslash, a line "
            "break or the like",
            "Change that name or path in the deployment file.",
        )
    special = _SPECIAL if isinstance(argument, Pattern) else _SPECIAL_OR_GLOB
    return special.sub(lambda found: "\\" + found[0], argument)
