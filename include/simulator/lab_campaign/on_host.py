"""Runs on a host of the lab: writes down each boot, and each change of the hypervisor's own guests.

Independent of Nova and of the project. A line a change: {"at": seconds since 1970, "boot": id} or
{"at": ..., "guests": {instance's id: power state}}. Guests of the boot before, which stand in the
file until nova-compute has looked at it, are not told again.
"""

import json
import pathlib
import sys
import time

GUESTS = pathlib.Path("/var/lib/nova/guests.json")
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")
EVERY_SECONDS = 0.1


def tell(**what: object) -> None:
    """Write a line, to the disk at once: a host may go down at any time."""
    with LOG.open("a") as log:
        log.write(json.dumps({"at": time.time(), **what}) + "\n")


def look() -> dict[str, int] | None:
    """The guests of this boot by id; None where nobody has written yet."""
    try:
        found = json.loads(GUESTS.read_text())
    except FileNotFoundError:
        return None
    if found["boot_id"] != BOOT:
        return None
    return {uuid: state for uuid, (name, state) in found["guests"].items()}


LOG = pathlib.Path(sys.argv[1])
BOOT = BOOT_ID.read_text().strip()
tell(boot=BOOT)
known = None
while True:
    now = look()
    if now is not None and now != known:
        tell(guests=now)
        known = now
    time.sleep(EVERY_SECONDS)
