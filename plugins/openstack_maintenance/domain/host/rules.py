"""Rules that forbid taking a compute host out: each reads facts and names its blockers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import (
    IRONIC,
    ComputeService,
    Hypervisor,
    Instance,
    Migration,
)
from openstack_maintenance.domain.drain.movability import DrainPlan
from openstack_maintenance.domain.errors import CloudError
from openstack_maintenance.domain.foreign_text import brief_list, quoted
from openstack_maintenance.domain.host.request import Request
from openstack_maintenance.domain.mark import LONGEST_RUN_ID, Mark
from openstack_maintenance.domain.ownership import (
    disabled_in_words,
    is_disabled_by_nova,
    silent_cell,
)
from openstack_maintenance.domain.params import did_you_mean
from openstack_maintenance.domain.policy import Policy

COMPUTE = "nova-compute"
# Binaries that only a control-plane node runs.
_CONTROL_PLANE = frozenset({"nova-scheduler", "nova-conductor", "nova-consoleauth", "nova-cert"})


@dataclass(frozen=True)
class HostInCloud:
    """What was read from Nova for one host. ``instances`` are those on the host."""

    services: Sequence[ComputeService]
    hypervisor: Hypervisor | None
    instances: Sequence[Instance]

    def compute(self, host: str) -> ComputeService | None:
        """The nova-compute service of a host."""
        found = (each for each in self.services if each.host == host and each.binary == COMPUTE)
        return next(found, None)

    @property
    def compute_hosts(self) -> list[str]:
        """All hosts that have a nova-compute."""
        return sorted(each.host for each in self.services if each.binary == COMPUTE)


def check_known(
    request: Request, services: Sequence[ComputeService], *, may_hide_some: bool = False
) -> Blocker | None:
    """The host must be one of Nova's compute hosts, by its exact name.

    ``may_hide_some``: this Nova leaves out the hosts of a cell that does not answer.
    """
    facts = HostInCloud(services, None, ())
    if facts.compute(request.host) is not None:
        return None
    roles = sorted({each.binary for each in services if each.host == request.host})
    if roles:
        return Blocker(
            f"host {request.host}",
            f"is a controller: it runs {', '.join(roles)} and no nova-compute",
            "Use the DAG controller_maintenance for it, or name a compute host.",
        )
    hint = did_you_mean(request.host, facts.compute_hosts)
    remedy = "Write it as `openstack compute service list` shows it."
    if may_hide_some:
        remedy += (
            " If that list shows it at other times, its cell does not answer: a Nova older than "
            "2.69 leaves out the hosts of such a cell. Wait until it is there, then run again."
        )
    return Blocker(f"host {request.host}", f"Nova knows no compute host of that name{hint}", remedy)


def check_host_rules(
    request: Request, policy: Policy, facts: HostInCloud, mark: Mark, others_running: frozenset[str]
) -> list[Blocker]:
    """Every blocker that Nova's own records show for a known host.

    ``mark``: this run's. ``others_running``: ids of this DAG's runs that are not finished.
    """
    service = facts.compute(request.host)
    if service is None:
        raise ValueError(f"{request.host} is no compute host: check_known comes first")
    found = [
        controller_blocker(request.host, policy, facts.services) if request.reboot else None,
        owner_blocker(service, mark, others_running),
        hosts_out_blocker(request.host, policy, facts.services),
        _source_down(service, facts),
        _no_hypervisor(request, facts),
        _bad_run_id(mark),
        destination_blocker(request, facts),
        _nowhere_to_go(request, facts),
    ]
    return [blocker for blocker in found if blocker is not None]


def check_plan(request: Request, plan: DrainPlan, longest: int) -> list[Blocker]:
    """The instances that are in the way, and whether Airflow can map over so many."""
    blockers = list(plan.blockers)
    if len(plan.moves) > longest:
        blockers.append(
            Blocker(
                f"host {request.host}",
                f"holds {len(plan.moves)} instances, Airflow maps at most {longest} tasks",
                f"Set [core] max_map_length to {len(plan.moves)} or more.",
            )
        )
    return blockers


def owner_blocker(
    service: ComputeService, mark: Mark, others_running: frozenset[str]
) -> Blocker | None:
    """Who has the host: nobody, this run, a finished run of ours, or somebody else.

    Raises: CloudError where its cell does not answer: nobody knows then.
    """
    if service.is_unknown:
        raise silent_cell(service)
    if service.is_enabled or service.is_closed:
        return None
    owner = service.mark
    if owner is None:
        return _disabled_blocker(service)
    if owner.same_run(mark) or owner.run_id not in others_running:
        return None
    return Blocker(
        f"host {service.host}",
        f"the run {owner.run_id} of {owner.dag_id} is maintaining it",
        "Wait for that run, or end it, then run again.",
    )


def _disabled_blocker(service: ComputeService) -> Blocker:
    """Disabled, and not by one of our runs."""
    if is_disabled_by_nova(service):
        remedy = (
            f"Start libvirt on {service.host} (`systemctl status libvirtd virtqemud` and `virsh "
            "list` show it), then restart nova-compute: it enables itself again."
        )
    else:
        remedy = (
            "Find out who or what disabled it. When it may be used again, enable it (`openstack "
            f"compute service set --enable {service.host} nova-compute`), then run again."
        )
    return Blocker(f"host {service.host}", disabled_in_words(service), remedy)


def rebooted_blocker(
    service: ComputeService, mark: Mark, due_in: str | None, boot_id: str
) -> Blocker | None:
    """A night's run takes a host only in the boot that the night found due (``due_in``).

    Two nights that run at a time may both have found it due; the second one finds it in another
    boot. None for a run by hand, and for the run that has the host: it may have rebooted it itself.
    """
    if due_in in (None, boot_id) or mark.same_run(service.mark):
        return None
    return Blocker(
        f"host {service.host}",
        "was rebooted since this night found it due",
        "There is nothing left to do here. To maintain it all the same, clear maintain_host in the "
        "night's run: it checks again.",
    )


def hosts_out_blocker(
    host: str, policy: Policy, services: Sequence[ComputeService]
) -> Blocker | None:
    """At most ``max_hosts_out`` hosts are out by us, those that failed included.

    Raises: CloudError where that cannot be known, because a cell does not answer.
    """
    others = [each for each in services if each.host != host and each.binary == COMPUTE]
    out = sorted(each.host for each in others if each.out_by is not None)
    unknown = sorted(each.host for each in others if each.is_unknown)
    if len(out) < policy.max_hosts_out <= len(out) + len(unknown):
        raise CloudError(
            f"host {host}",
            f"how many hosts are out is not known: the cell of {', '.join(brief_list(unknown))} "
            "does not answer (Nova shows them as UNKNOWN)",
            "Wait until `openstack compute service list` shows their state again (its cell's "
            "database must answer), then clear the failed task.",
        )
    if len(out) < policy.max_hosts_out:
        return None
    return Blocker(
        f"host {host}",
        f"{len(out)} of at most {policy.max_hosts_out} hosts (max_hosts_out) are out already: "
        + ", ".join(out),
        "Finish these first (see their disabled_reason), or raise max_hosts_out in the policy.",
    )


def controller_blocker(
    host: str, policy: Policy, services: Iterable[ComputeService]
) -> Blocker | None:
    """A host that is a controller, too, is not rebooted as a compute host."""
    roles = {each.binary for each in services if each.host == host}
    listed = host in {each.host for each in policy.controllers}
    if not (listed or roles & _CONTROL_PLANE):
        return None
    found = ", ".join(sorted(roles & _CONTROL_PLANE)) or "the policy lists it under controllers"
    return Blocker(
        f"host {host}",
        f"is a controller, too ({found})",
        "Drain it with reboot=false, then use the DAG controller_maintenance.",
    )


def forced_down_blocker(service: ComputeService) -> Blocker | None:
    """Also of an empty host: nothing but a person ends it."""
    if not service.is_forced_down:
        return None
    return Blocker(
        f"host {service.host}",
        "Nova holds its nova-compute forced down: nothing can be migrated off it, and Nova "
        "would not show it up after the reboot",
        "Masakari or a person took it for dead. When it is not, run `openstack compute service "
        f"set --up {service.host} nova-compute`.",
    )


def _source_down(service: ComputeService, facts: HostInCloud) -> Blocker | None:
    if forced := forced_down_blocker(service):
        return forced
    if service.is_up or not facts.instances:
        return None
    return Blocker(
        f"host {service.host}",
        "its nova-compute is down: nothing can be migrated off it",
        "Start nova-compute there; only a host that is really dead is evacuated, by hand.",
    )


def _no_hypervisor(request: Request, facts: HostInCloud) -> Blocker | None:
    if facts.hypervisor is not None and facts.hypervisor.hypervisor_type != IRONIC:
        return None
    kind = "is an Ironic host" if facts.hypervisor else "has no hypervisor record in Nova"
    return Blocker(
        f"host {request.host}",
        kind,
        "See `openstack hypervisor list`. This DAG needs a hypervisor.",
    )


def _bad_run_id(mark: Mark) -> Blocker | None:
    if len(mark.run_id) <= LONGEST_RUN_ID:
        if mark.is_readable:
            return None
        return Blocker(
            f"run {quoted(mark.run_id)}",
            "its id has characters that cannot be stored in Nova's disabled_reason",
            "Trigger it with a run id of letters, digits, '.', '_', '-', ':', '~' and '+'.",
        )
    return Blocker(
        f"run {mark.run_id[:40]}...",
        f"its id has {len(mark.run_id)} characters: it does not fit into Nova's disabled_reason",
        f"Trigger it with a run id of at most {LONGEST_RUN_ID} characters.",
    )


def destination_blocker(request: Request, facts: HostInCloud) -> Blocker | None:
    """A destination that is named must be another host that is enabled and up."""
    name = request.destination
    if name is None:
        return None
    service = facts.compute(name)
    if service is None:
        hint = did_you_mean(name, facts.compute_hosts)
        found = f"Nova knows no compute host of that name{hint}"
    elif name == request.host:
        found = "is the host that is to be emptied"
    elif service.is_unknown:
        found = "its cell does not answer (Nova shows its nova-compute as UNKNOWN)"
    elif not service.is_enabled:
        found = f"is disabled ({service.disabled_reason or 'no reason given'})"
    elif not service.is_up:
        found = "its nova-compute is down"
    else:
        return None
    return Blocker(
        f"destination {name}",
        found,
        "Name another host that is enabled and up, or leave destination empty.",
    )


def _nowhere_to_go(request: Request, facts: HostInCloud) -> Blocker | None:
    usable = [
        each
        for each in facts.services
        if each.binary == COMPUTE and each.host != request.host and each.is_enabled and each.is_up
    ]
    if usable or not facts.instances:
        return None
    return Blocker(
        f"host {request.host}",
        "no other compute host is enabled and up: its instances have nowhere to go",
        "Bring another compute host up first.",
    )


def in_the_way_in_words(instances: Sequence[Instance], incoming: Sequence[Migration]) -> str:
    """What still is, or is about to be, on a host."""
    parts = [f"{each.label} {each.status}" for each in instances]
    parts += [
        f"incoming migration of {each.instance_id} from {each.source} ({each.status})"
        for each in incoming
    ]
    return "; ".join(parts)
