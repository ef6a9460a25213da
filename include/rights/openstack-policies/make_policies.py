"""The policy files of the role openstack_maintenance: print one, or prove what one allows.

Run it with the Python of an OpenStack service, so that it reads that release's own defaults:

    PYTHON make_policies.py nova > nova.yaml          # nova, placement, neutron or glance
    PYTHON make_policies.py nova --check nova.yaml    # exit 1 where the file allows anything else

``--old-defaults``: for a service whose configuration says enforce_new_defaults=false.
Each rule keeps its default, and the role is added to it. What is allowed to nobody else stays so.
Source: https://docs.openstack.org/oslo.policy/latest/admin/policy-yaml-file.html
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

ROLE = "openstack_maintenance"
# What the role may do, by service: the step that needs it, and the rules. A rule that begins with
# OWN is for the project of the credentials only.
OWN = "own project: "
RIGHTS: dict[str, dict[str, list[str]]] = {
    "nova": {
        "check_host, select_hosts, plan: read the cloud": [
            "os_compute_api:os-services:list",
            "os_compute_api:os-hypervisors:list-detail",
            "os_compute_api:os-aggregates:index",
            "os_compute_api:os-server-groups:index",
            "os_compute_api:os-server-groups:index:all_projects",
        ],
        "every step: read the instances of all projects, with their hosts and extra specs": [
            "os_compute_api:servers:detail",
            "os_compute_api:servers:detail:get_all_tenants",
            "os_compute_api:servers:allow_all_filters",
            "os_compute_api:servers:show",
            "os_compute_api:servers:show:flavor-extra-specs",
            "os_compute_api:os-extended-server-attributes",
        ],
        "disable_service, enable_service": ["os_compute_api:os-services:update"],
        "list_instances, migrate_instance, check_host_empty: watch migrations": [
            "os_compute_api:os-migrations:index",
            "os_compute_api:os-migrations:index:all_projects",
            "os_compute_api:os-migrations:index:host",
        ],
        "migrate_instance: ACTIVE and PAUSED ones live; a stuck one is ended": [
            "os_compute_api:os-migrate-server:migrate_live",
            "os_compute_api:os-migrate-server:migrate_live:host",
            "os_compute_api:servers:migrations:delete",
            "os_compute_api:servers:migrations:force_complete",
            "os_compute_api:servers:migrations:index",
            # Else what is said of the rule above would hold for this one, for every role.
            "os_compute_api:servers:migrations:index:host",
        ],
        "migrate_instance with repair_error_state": [
            "os_compute_api:os-admin-actions:reset_state",
        ],
        "migrate_instance: SHUTOFF ones cold, then confirmed": [
            "os_compute_api:os-migrate-server:migrate",
            "os_compute_api:os-migrate-server:migrate:host",
            "os_compute_api:servers:confirm_resize",
        ],
        "migrate_instance with on_blocked=stop": [
            "os_compute_api:servers:stop",
            "os_compute_api:servers:start",
        ],
        "migrate_instance: why a migration failed": [
            "os_compute_api:os-instance-actions:list",
            "os_compute_api:os-instance-actions:show",
            "os_compute_api:os-instance-actions:events",
            "os_compute_api:os-instance-actions:events:details",
        ],
        "controller_maintenance: the round trip to a scheduler (a flavor and an instance)": [
            "os_compute_api:os-flavor-manage:create",
            "os_compute_api:os-flavor-manage:delete",
            OWN + "os_compute_api:servers:index",
            OWN + "os_compute_api:servers:create",
            OWN + "os_compute_api:servers:delete",
        ],
    },
    "placement": {
        "check_host, plan: where there is room": ["placement:allocation_candidates:list"],
        "check_host, check_host_empty, stop_nova_compute, run_script, reboot: what is on a host": [
            "placement:resource_providers:allocations:list"
        ],
        "plan: how much there is, and of what kind": [
            "placement:resource_providers:inventories:list",
            "placement:resource_providers:traits:list",
        ],
        "controller_checks: does it serve": ["placement:resource_providers:list"],
    },
    "neutron": {
        "check_host, wait_for_nova_compute, controller_checks: the agents": ["get_agent"],
        "check_host: ports that ask Placement for resources": ["get_port:resource_request"],
        "migrate_instance: Nova looks for an instance's ports in the caller's name": [
            "get_port",
            "get_port:binding:host_id",
            "get_port:binding:profile",
            "get_port:binding:vif_type",
        ],
    },
    "glance": {
        "controller_checks, controller_maintenance: an image, for the round trip to a scheduler": [
            "get_images",
            "get_image",
        ],
    },
}
# What makes a context see other projects at all, and the rules that must not open by that.
CONTEXT = {
    "nova": {
        """\
Nova's database shows other projects' instances only to a context with is_admin. Nova asks this
rule for it once a request, before is_admin is set. Nearly all of Nova's rules name this rule too:
by then is_admin is true, so that for them it still means role:admin and nothing more.""": {
            "context_is_admin": f"role:admin or (role:{ROLE} and not is_admin:True)",
            "admin_api": "role:admin",
            "admin_or_owner": "role:admin or project_id:%(project_id)s",
        }
    },
    "neutron": {
        "Neutron's database shows other projects' ports to such a context; what may be read of\n"
        "them is still decided by the rules.": {"context_with_global_access": f"role:{ROLE}"}
    },
}
# Where a service registers checks of its own kind, such as is_admin.
CHECKS = {"nova": "nova.policy", "neutron": "neutron.policy"}
OTHER_ROLES = ("admin", "manager", "member", "reader", "service")


def main() -> int:
    """Print a file, or prove one. Returns: the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("service", choices=sorted(RIGHTS))
    parser.add_argument("--check", metavar="FILE", help="prove what this file allows")
    parser.add_argument("--old-defaults", action="store_true")
    given = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    if given.check is None:
        sys.stdout.write("\n".join(file_lines(given.service, old=given.old_defaults)) + "\n")
        return 0
    wrong = list(differences(given.service, given.check, old=given.old_defaults))
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        count = sum(map(len, RIGHTS[given.service].values()))
        print(f"{given.check}: the role {ROLE} may do what {count} rules say, and nothing else.")
    return 1 if wrong else 0


def file_lines(service: str, *, old: bool) -> Iterator[str]:
    """The policy file, for the release that this Python has."""
    entry = entry_of(service)
    rules = {each.name: each for each in entry.load()()}
    version = entry.dist.version if entry.dist else "?"
    mode = ", with enforce_new_defaults=false" if old else ""
    yield f"# {service.capitalize()} {version}{mode}: what the role {ROLE} may do."
    yield f"# Made by include/rights/openstack-policies/make_policies.py {service}: for another"
    yield "# release make it again, and prove it with --check."
    for why, context in CONTEXT.get(service, {}).items():
        yield ""
        yield from (f"# {line}" for line in why.splitlines())
        for name, check in context.items():
            missing = f"# This release has no {name}: see docs/least_privilege.md."
            yield f'"{name}": "{check}"' if name in rules else missing
    for why, names in RIGHTS[service].items():
        yield ""
        yield f"# {why}"
        for each in names:
            name = each.removeprefix(OWN)
            if name in rules:  # an older release has fewer of them
                yield f'"{name}": "{with_role(rules[name], own=each != name, old=old)}"'
    if old and service == "nova":
        yield ""
        yield "# Narrowed back: with its old defaults Nova adds is_admin:True to these."
        taken = {name for context in CONTEXT["nova"].values() for name in context}
        for name, rule in sorted(rules.items()):
            if "is_admin:" in default_of(rule, old=True) and name not in taken:
                check = default_of(rule, old=True).replace("is_admin:True", "role:admin")
                yield f'"{name}": "{check}"'


def with_role(rule: Any, *, own: bool, old: bool) -> str:
    """A rule's default, and the role."""
    role = f"(role:{ROLE} and project_id:%(project_id)s)" if own else f"role:{ROLE}"
    return f"{default_of(rule, old=old)} or {role}"


def default_of(rule: Any, *, old: bool) -> str:
    """A rule's default; with the deprecated one where the service still obeys it."""
    if old and rule.deprecated_rule and rule.deprecated_rule.check_str != rule.check_str:
        return f"({rule.check_str}) or ({rule.deprecated_rule.check_str})"
    return str(rule.check_str)


def entry_of(service: str) -> EntryPoint:
    """Where a service keeps its rules."""
    found = next(iter(entry_points(group="oslo.policy.policies", name=service)), None)
    if found is None:
        sys.exit(f"{sys.executable} has no {service}. Use the Python that runs {service}.")
    return found


def differences(service: str, file: str, *, old: bool) -> Iterator[str]:
    """What the role may do and should not, or the other way round, and what others may no more."""
    listed = [each for names in RIGHTS[service].values() for each in names]
    wanted = {each.removeprefix(OWN): each.startswith(OWN) for each in listed}
    ours = set(wanted) | {name for found in CONTEXT.get(service, {}).values() for name in found}
    before, after = enforcer(service, None, old=old), enforcer(service, file, old=old)
    for name in sorted(before.registered_rules):
        for whose, project in (("own", "p1"), ("another", "p2")):
            gained = asks(after, name, ROLE, project) and not asks(before, name, ROLE, project)
            should = name in wanted and (whose == "own" or not wanted[name])
            if gained and not should and name not in ours - set(wanted):
                yield f"{name}: the role may do it in {whose} project, but no step needs that."
            if should and not asks(after, name, ROLE, project):
                yield f"{name}: the role may not do it in {whose} project, but a step needs that."
            for role in OTHER_ROLES:
                if asks(after, name, role, project) != asks(before, name, role, project):
                    yield f"{name}: the role {role} is treated differently in {whose} project."


def enforcer(service: str, file: str | None, *, old: bool) -> policy.Enforcer:
    """The service's rules as it enforces them, with or without a file."""
    if service in CHECKS:
        importlib.import_module(CHECKS[service])
    conf = cfg.ConfigOpts()
    conf([], project=service, default_config_files=[], default_config_dirs=[])
    made = policy.Enforcer(conf, policy_file=file or "/nowhere/policy.yaml", use_conf=True)
    conf.set_override("enforce_new_defaults", not old, "oslo_policy")
    made.register_defaults(entry_of(service).load()())
    made.load_rules()
    return made


def asks(made: policy.Enforcer, rule: str, role: str, project: str) -> bool:
    """May a user of project p1 with this role do this to a thing of a project?"""
    own = {"project_id": "p1", "tenant_id": "p1", "user_id": "u1"}
    who: dict[str, Any] = {**own, "roles": [role], "is_admin": None, "is_admin_project": True}
    if "context_is_admin" in made.registered_rules:
        who["is_admin"] = bool(made.enforce("context_is_admin", own, who))
    thing = {"project_id": project, "tenant_id": project, "user_id": f"u{project[1]}"}
    # A check that needs more of the thing than there is here, such as its network's owner.
    with contextlib.suppress(Exception):
        return bool(made.enforce(rule, thing, who))
    return False


if __name__ == "__main__":
    sys.exit(main())
