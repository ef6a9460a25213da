"""Write the files that give the SSH login its rights on the hosts of a deployment, and no others.

They go into a folder that is copied to each host; install-host-rights in it puts them into place.
After each upgrade of the project write and install them again: the hosts accept only the scripts of
the release that wrote them. docs/least_privilege_hosts.md says what each right is for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host_rights.files import LOGIN, write_rights
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.adapters.policy_file import include_folder
from openstack_maintenance.domain.errors import MaintenanceError


def main() -> int:
    parser = argparse.ArgumentParser("host-rights", description=__doc__)
    parser.add_argument("deployment", help="a file of include/deployments, such as debian")
    parser.add_argument("--output", type=Path, help="default: build/rights/DEPLOYMENT")
    parser.add_argument("--login", default=LOGIN, help=f"the SSH login (default: {LOGIN})")
    given = parser.parse_args()
    folder = given.output or Path("build/rights") / given.deployment
    try:
        deployment = load_deployment(given.deployment, include_folder() / "deployments")
        told = write_rights(deployment, given.deployment, given.login, folder)
    except MaintenanceError as error:
        print(error, file=sys.stderr)
        return 1
    print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
