"""Write a synthetic fleet as a snapshot, for `make rehearse SNAPSHOT=FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from openstack_maintenance.domain.nights.snapshot import snapshot_of
from openstack_maintenance.domain.nights.tonight import Tonight
from planner_bench.fleets import make_fleet


def main() -> int:
    parser = argparse.ArgumentParser("planner_bench.snapshot", description=__doc__)
    parser.add_argument("--hosts", type=int, default=500, help="how many hosts it has")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same fleet")
    parser.add_argument("file", type=Path, help="where it is written")
    arguments = parser.parse_args()
    tonight = Tonight(make_fleet(arguments.hosts, arguments.seed))
    told = snapshot_of(tonight, datetime.now(UTC))
    arguments.file.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
