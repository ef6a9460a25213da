"""Runs on a node: moves the entries of archived journal files that were not moved yet to the past.

The file format is systemd's JOURNAL_FILE_FORMAT: an object of type 3 is an entry, whose time in
microseconds stands at its byte 24; a file's header has the times of its first and last entry.
"""

import shutil
import struct
import sys
from pathlib import Path

ENTRY = 3
HEADER_SIZE, TAIL_OBJECT, HEAD_TIME, TAIL_TIME = 88, 136, 184, 192


def read(data: bytearray, offset: int) -> int:
    return int(struct.unpack_from("<Q", data, offset)[0])


def add(data: bytearray, offset: int, delta: int) -> None:
    if read(data, offset):
        struct.pack_into("<Q", data, offset, read(data, offset) + delta)


def age(data: bytearray, delta: int) -> None:
    if data[:8] != b"LPKSHHRH":
        raise SystemExit("not a journal file")
    add(data, HEAD_TIME, delta)
    add(data, TAIL_TIME, delta)
    offset, last = read(data, HEADER_SIZE), read(data, TAIL_OBJECT)
    while offset <= last:
        kind, size = data[offset], read(data, offset + 8)
        if kind == ENTRY:
            add(data, offset + 24, delta)
        offset += (size + 7) // 8 * 8


def main() -> None:
    ends_at, folder, kept = int(sys.argv[1]) * 1_000_000, Path(sys.argv[2]), Path(sys.argv[3])
    files = [path for path in sorted(folder.glob("*@*.journal")) if not (kept / path.name).exists()]
    content = {path: bytearray(path.read_bytes()) for path in files}
    delta = ends_at - max(read(data, TAIL_TIME) for data in content.values())
    for path, data in content.items():
        shutil.copy2(path, kept / path.name)
        age(data, delta)
        with path.open("r+b") as file:
            file.write(data)


main()
