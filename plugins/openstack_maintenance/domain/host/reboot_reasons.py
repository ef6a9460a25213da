"""Why a host wants a reboot, from what its packages left behind.

Each marker is gone after a reboot whatever boots, so that none asks for one every night: /run is
emptied, `needs-restarting` compares with the boot, and of a kernel only one that has come since
the boot counts (a host may be held at an older one on purpose).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from openstack_maintenance.domain.foreign_text import brief, brief_list
from openstack_maintenance.domain.moment import moment_after_epoch

_PACKAGE = re.compile(r"^\s*\*\s+(?P<star>\S+)|^\s+(?P<arrow>\S+) -> ")
_REQUIRED = "Reboot is required"
_NOT_REQUIRED = ("Reboot should not be necessary", "Reboot is probably not necessary")
# Short enough that all numbers of a release can be read.
_KERNEL = re.compile(r"(?P<changed>[0-9]{1,12}) /boot/vmlinu[xz]-(?P<release>[0-9].{0,200})")
_NAMED = 5
_LONGEST_RELEASE = 200


def debian_marker(exists: bool, packages: Iterable[str]) -> str | None:
    """The file /run/reboot-required and the packages that asked for it, if it exists.

    Source: Debian Policy 9.12, https://www.debian.org/doc/debian-policy/ch-opersys.html
    """
    if not exists:
        return None
    return f"/run/reboot-required exists{_because(packages)}"


def needs_restarting(status: str, lines: Sequence[str]) -> tuple[str | None, str | None]:
    """What ``needs-restarting -r`` of yum-utils, dnf or zypper says.

    Returns: why a reboot is wanted, or None; and why it did not say, or None. Its exit status 1
    alone means nothing: failures have it, too.
    Source: https://dnf-plugins-core.readthedocs.io/en/latest/needs_restarting.html
    """
    if not status:
        return None, None  # the host does not have it
    if any(line.startswith(_REQUIRED) for line in lines):
        names = [match["star"] or match["arrow"] for match in map(_PACKAGE.match, lines) if match]
        return f"needs-restarting wants a reboot{_because(names)}", None
    if any(line.startswith(_NOT_REQUIRED) for line in lines):
        return None, None
    if status == "124":
        return None, "needs-restarting did not end in time"
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return None, f"needs-restarting ended with status {status[:20]} and said: {brief(said)}"


def newer_kernel(running: str, files: Iterable[str], booted: datetime | None) -> str | None:
    """The newest kernel that is installed since the boot, if it is newer than the running one.

    ``files``: lines ``SECONDS /boot/vmlinuz-RELEASE`` with the time at which the file came there
    (its ctime: packages keep an mtime from when they were built). Only kernels of the running
    one's flavour are compared, so that a -cloud- or +debug kernel beside it says nothing.
    """
    if booted is None or not running:
        return None
    running = running[:_LONGEST_RELEASE]
    newer = [
        match["release"]
        for match in map(_KERNEL.fullmatch, files)
        if match
        and _came_after(match["changed"], booted)
        and _flavour(match["release"]) == _flavour(running)
        and _version(match["release"]) > _version(running)
    ]
    if not newer:
        return None
    return f"kernel {max(newer, key=_version)} is installed, {running} runs"


def _came_after(seconds: str, booted: datetime) -> bool:
    came = moment_after_epoch(int(seconds) * 1_000_000)
    return came is not None and came > booted


def _flavour(release: str) -> list[str]:
    return re.findall(r"[a-z]+", release.lower())


def _version(release: str) -> list[list[int]]:
    """The numbers before, between and after the words: 4.18.0-553.el8 is older than -553.5.el8."""
    return [
        [int(number) for number in re.findall(r"[0-9]+", part)]
        for part in re.split(r"[a-z]+", release.lower())
    ]


def _because(packages: Iterable[str]) -> str:
    names = sorted(set(packages))
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" (because of {', '.join(brief_list(names[:_NAMED]))}{more})"
