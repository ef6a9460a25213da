"""A guest that counts, and what its console tells about its life.

The guest is a boot sector: it prints a number on COM1 at every tick of the BIOS
timer, 18.2 times a second. A number missing, a number that starts again or a long
pause is what a tenant would notice of a migration.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

CLUSTER = 65536
DISK_BYTES = 1 << 20
# A number that much below the highest so far is a guest that started again; less
# than that is a line of the source that was read after one of the destination.
RESET_DISTANCE = 20
# Nova takes a boot sector for a partition table and wants a partition in it: one of the
# type for experiments, from sector 1 to the end of the disk.
PARTITION = struct.pack("<B3BB3BII", 0x80, 0, 2, 0, 0x7F, 0, 33, 32, 1, DISK_BYTES // 512 - 1)

# 16-bit code for address 7C00h; a text in place of a byte is the distance to a label.
PROGRAM: tuple[tuple[str, tuple[int | str, ...], str], ...] = (
    ("", (0xFA,), "cli"),
    ("", (0x31, 0xC0), "xor ax, ax"),
    ("", (0x8E, 0xD8), "mov ds, ax"),
    ("", (0x8E, 0xD0), "mov ss, ax"),
    ("", (0xBC, 0x00, 0x7C), "mov sp, 7C00h"),
    ("", (0xFB,), "sti"),
    ("", (0x66, 0x31, 0xDB), "xor ebx, ebx          ; the count"),
    ("", (0x8B, 0x0E, 0x6C, 0x04), "mov cx, [046Ch]       ; the BIOS's tick"),
    ("wait", (0xF4,), "hlt"),
    ("", (0xA1, 0x6C, 0x04), "mov ax, [046Ch]"),
    ("", (0x39, 0xC8), "cmp ax, cx"),
    ("", (0x74, "wait"), "je wait"),
    ("", (0x89, 0xC1), "mov cx, ax"),
    ("", (0x66, 0x43), "inc ebx"),
    ("", (0x66, 0x89, 0xDD), "mov ebp, ebx"),
    ("", (0xBE, 0x08, 0x00), "mov si, 8"),
    ("digit", (0x66, 0xC1, 0xC5, 0x04), "rol ebp, 4"),
    ("", (0x89, 0xE8), "mov ax, bp"),
    ("", (0x24, 0x0F), "and al, 0Fh"),
    ("", (0x3C, 0x0A), "cmp al, 0Ah"),
    ("", (0x1C, 0x69), "sbb al, 69h"),
    ("", (0x2F,), "das                   ; now a hexadecimal digit in ASCII"),
    ("", (0xE8, "put", 0), "call put"),
    ("", (0x4E,), "dec si"),
    ("", (0x75, "digit"), "jnz digit"),
    ("", (0xB0, 0x0A), "mov al, 0Ah"),
    ("", (0xE8, "put", 0), "call put"),
    ("", (0xEB, "wait"), "jmp wait"),
    ("put", (0x50,), "push ax"),
    ("", (0xBA, 0xFD, 0x03), "mov dx, 3FDh          ; COM1's line status"),
    ("ready", (0xEC,), "in al, dx"),
    ("", (0xA8, 0x20), "test al, 20h"),
    ("", (0x74, "ready"), "jz ready"),
    ("", (0x58,), "pop ax"),
    ("", (0xBA, 0xF8, 0x03), "mov dx, 3F8h"),
    ("", (0xEE,), "out dx, al"),
    ("", (0xC3,), "ret"),
)


def assemble() -> bytes:
    """The boot sector."""
    labels: dict[str, int] = {}
    position = 0
    for label, code, _ in PROGRAM:
        labels.setdefault(label, position)
        position += len(code)
    sector = bytearray()
    for _, code, _ in PROGRAM:
        end = len(sector) + len(code)
        for byte in code:
            sector.append(byte if isinstance(byte, int) else (labels[byte] - end) & 0xFF)
    return bytes(sector).ljust(446, b"\0") + PARTITION.ljust(64, b"\0") + b"\x55\xaa"


def make_counter_image() -> bytes:
    """The boot sector as a qcow2 disk of 1 MiB.

    Glance refuses it raw: it takes the boot sector for a partition table.
    """
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, 16, DISK_BYTES, 0,
        1, 3 * CLUSTER,  # L1 table: entries, place
        1 * CLUSTER, 1,  # refcount table: place, clusters
        0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    clusters = [
        header,
        struct.pack(">Q", 2 * CLUSTER),
        struct.pack(">6H", *[1] * 6),
        struct.pack(">Q", 4 * CLUSTER | 1 << 63),
        struct.pack(">Q", 5 * CLUSTER | 1 << 63),
        assemble(),
    ]
    return b"".join(cluster.ljust(CLUSTER, b"\0") for cluster in clusters)


@dataclass(frozen=True)
class Sighting:
    """A number read from a guest's console."""

    time: float
    host: str
    value: int


@dataclass(frozen=True)
class Report:
    """What a tenant would have noticed."""

    ticks: int
    resets: int
    missing: int
    longest_pause_seconds: float
    longest_pause_at: float
    hosts: tuple[str, ...]
    seconds: float


def parse_sightings(lines: Iterable[str]) -> list[Sighting]:
    """Sightings from the follower's lines `TIME HOST NUMBER`, the number in hexadecimal."""
    sightings = []
    for line in lines:
        fields = line.split()
        if len(fields) == 3:
            sightings.append(Sighting(float(fields[0]), fields[1], int(fields[2], 16)))
    return sorted(sightings, key=lambda sighting: sighting.time)


def summarise(sightings: list[Sighting]) -> Report:
    """Ticks seen, restarts from zero, numbers that never came, and the longest silence."""
    runs: list[set[int]] = []
    highest = 0
    grew_at = 0.0
    pause = paused_at = 0.0
    hosts: list[str] = []
    for sighting in sightings:
        if not hosts or hosts[-1] != sighting.host:
            hosts.append(sighting.host)
        started_again = sighting.value == 1 or sighting.value <= highest - RESET_DISTANCE
        if not runs or (sighting.value < highest and started_again):
            runs.append(set())
            highest = 0
        runs[-1].add(sighting.value)
        if sighting.value > highest:
            if grew_at and sighting.time - grew_at > pause:
                pause, paused_at = sighting.time - grew_at, grew_at
            highest, grew_at = sighting.value, sighting.time
    return Report(
        ticks=sum(len(run) for run in runs),
        resets=max(len(runs) - 1, 0),
        missing=sum(max(run) - min(run) + 1 - len(run) for run in runs),
        longest_pause_seconds=pause,
        longest_pause_at=paused_at,
        hosts=tuple(hosts),
        seconds=sightings[-1].time - sightings[0].time if sightings else 0.0,
    )
