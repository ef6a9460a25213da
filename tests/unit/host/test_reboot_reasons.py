"""Why a host wants a reboot: each marker alone, as the systems word it, and what proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openstack_maintenance.domain.host.answers import parse_answers, parse_reboot_reasons
from openstack_maintenance.domain.host.reboot_reasons import (
    debian_marker,
    needs_restarting,
    newer_kernel,
)

BOOTED = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
BEFORE, AFTER = int(BOOTED.timestamp()) - 60, int(BOOTED.timestamp()) + 60

# As the sources word it: yum-utils (EL 7), dnf-plugins-core and dnf5 (EL 8 and later), zypper.
EL7 = """Core libraries or services have been updated:
  systemd -> 219-78.el7_9.9
  kernel -> 3.10.0-1160.119.1.el7

Reboot is required to ensure that your system benefits from these updates.

More information:
https://access.redhat.com/solutions/27943"""
EL9 = """Updating Subscription Management repositories.
Core libraries or services have been updated since boot-up:
  * kernel
  * systemd

Reboot is required to fully utilize these updates.
More information: https://access.redhat.com/solutions/27943"""
SUSE = """Core libraries or services have been updated.
Reboot is required to ensure that your system benefits from these updates."""
EL7_NONE = """No core libraries or services have been updated.
Reboot is probably not necessary."""
EL9_NONE = """No core libraries or services have been updated since boot-up.
Reboot should not be necessary."""


@pytest.mark.parametrize(
    ("status", "said", "reason", "unread"),
    [
        ("", "", None, None),
        ("1", EL7, "needs-restarting wants a reboot (because of kernel, systemd)", None),
        ("1", EL9, "needs-restarting wants a reboot (because of kernel, systemd)", None),
        ("1", SUSE, "needs-restarting wants a reboot", None),
        ("0", EL7_NONE, None, None),
        ("0", EL9_NONE, None, None),
        ("124", "", None, "needs-restarting did not end in time"),
        (
            "1",
            "Error: There are no enabled repositories\n",
            None,
            "needs-restarting ended with status 1 and said: "
            "Error: There are no enabled repositories",
        ),
        ("127", "", None, "needs-restarting ended with status 127 and said: nothing"),
    ],
)
def test_needs_restarting_is_believed_by_its_words_and_not_by_its_status(
    status: str, said: str, reason: str | None, unread: str | None
) -> None:
    assert needs_restarting(status, said.splitlines()) == (reason, unread)


@pytest.mark.parametrize(
    ("exists", "packages", "reason"),
    [
        (False, ["linux-image-6.1.0-31-amd64"], None),
        (True, [], "/run/reboot-required exists"),
        (
            True,
            ["linux-image-6.1.0-31-amd64", "libc6", "libc6"],
            "/run/reboot-required exists (because of libc6, linux-image-6.1.0-31-amd64)",
        ),
        (
            True,
            list("abcdefg"),
            "/run/reboot-required exists (because of a, b, c, d, e and 2 more)",
        ),
    ],
)
def test_debians_file_names_the_packages(
    exists: bool, packages: list[str], reason: str | None
) -> None:
    assert debian_marker(exists, packages) == reason


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.1.0-13-amd64", ["6.1.0-13-amd64"], None),
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-31-amd64", "6.1.0-10-amd64"], "6.1.0-31-amd64"),
        ("6.1.0-31-amd64", ["6.1.0-9-amd64"], None),
        ("6.1.0-31-amd64", ["6.1.0-32-cloud-amd64", "6.1.0-32-rt-amd64"], None),
        ("6.1.0-0.deb11.13-amd64", ["6.1.0-0.deb11.21-amd64"], "6.1.0-0.deb11.21-amd64"),
        ("5.15.0-101-generic", ["5.15.0-119-generic"], "5.15.0-119-generic"),
        ("5.15.0-101-generic", ["6.8.0-45-lowlatency"], None),
        (
            "4.18.0-553.el8.x86_64",
            ["4.18.0-553.5.1.el8_10.x86_64", "4.18.0-553.16.1.el8_10.x86_64"],
            "4.18.0-553.16.1.el8_10.x86_64",
        ),
        ("4.18.0-553.5.1.el8_10.x86_64", ["4.18.0-553.el8.x86_64"], None),
        ("5.14.0-427.el9.x86_64", ["5.14.0-503.el9.x86_64+debug"], None),
        ("5.14.0-427.el9.x86_64", ["0-rescue-1b2c3d4e5f"], None),
        ("3.10.0-1160.el7.x86_64", ["5.4.273-1.el7.elrepo.x86_64"], None),
        ("6.1.0-13-amd64", [], None),
        ("", ["6.1.0-13-amd64"], None),
    ],
)
def test_a_newer_kernel_of_the_same_flavour_is_a_reason(
    running: str, installed: list[str], newest: str | None
) -> None:
    files = [f"{AFTER} /boot/vmlinuz-{each}" for each in installed]
    reason = f"kernel {newest} is installed, {running} runs" if newest else None
    assert newer_kernel(running, files, BOOTED) == reason


@pytest.mark.parametrize(
    ("came", "booted"), [(BEFORE, BOOTED), (AFTER, None)], ids=["before the boot", "boot unknown"]
)
def test_a_kernel_that_the_last_boot_passed_over_does_not_ask_for_one_every_night(
    came: int, booted: datetime | None
) -> None:
    assert newer_kernel("6.1.0-13-amd64", [f"{came} /boot/vmlinuz-6.1.0-31-amd64"], booted) is None


def test_all_markers_are_told() -> None:
    answers = parse_answers(
        f"file={AFTER} /run/reboot-required\nfile={AFTER} /boot/vmlinuz-6.1.0-31-amd64\n"
        "file=1 /boot/vmlinuz-6.1.0-13-amd64\nkernel=6.1.0-13-amd64\nreboot_package=libc6\n"
        "needs_restarting=124\nneeds_restarting_line=\nend=ok\n"
    )
    assert answers is not None
    assert parse_reboot_reasons(answers, BOOTED) == (
        (
            "/run/reboot-required exists (because of libc6)",
            "kernel 6.1.0-31-amd64 is installed, 6.1.0-13-amd64 runs",
        ),
        "needs-restarting did not end in time",
    )


def test_a_host_without_any_marker_wants_nothing() -> None:
    assert parse_reboot_reasons({"kernel": ("6.1.0-13-amd64",)}, BOOTED) == ((), "")


@pytest.mark.parametrize(
    "file",
    [
        "² /boot/vmlinuz-6.1.0-31-amd64",
        "٣ /boot/vmlinuz-6.1.0-31-amd64",
        f"{'9' * 12} /boot/vmlinuz-6.1.0-31-amd64",
        f"{'9' * 5_000} /boot/vmlinuz-6.1.0-31-amd64",
        f"{AFTER} /boot/vmlinuz-6.1.0-{'9' * 5_000}-amd64",
        f"{AFTER} /boot/vmlinuz-²",
        f"{AFTER} /tmp/boot/vmlinuz-6.1.0-31-amd64",
    ],
)
def test_a_kernel_that_cannot_be_read_is_no_reason(file: str) -> None:
    assert newer_kernel("6.1.0-13-amd64", [file], BOOTED) is None


def test_reasons_are_short_enough_to_read() -> None:
    long = "x" * 8_000
    assert len(str(debian_marker(True, [f"{long}{number}" for number in range(9)]))) < 1_000
    assert len(str(needs_restarting("1" * 900, [long]))) < 1_000
