"""The pre-check: reads everything, changes nothing, names every blocker at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk.exceptions import DownstreamTasksSkipped

from openstack_maintenance.adapters.policy_file import script_path, scripts
from openstack_maintenance.domain.blocker import Blocker
from openstack_maintenance.domain.cloud import instance_facts
from openstack_maintenance.domain.drain.capacity import check_room, need_of
from openstack_maintenance.domain.drain.movability import (
    DrainPlan,
    Microversion,
    Movement,
    parse_microversion,
    plan_drain,
    why_live_may_fail,
)
from openstack_maintenance.domain.drain.ports import HostPort, port_blockers, why_ports_may_fail
from openstack_maintenance.domain.errors import Blocked, HostError
from openstack_maintenance.domain.host.facts import find_wrong_host
from openstack_maintenance.domain.host.facts_rules import (
    check_bus,
    check_guests,
    check_nova_compute,
    check_rights,
)
from openstack_maintenance.domain.host.request import check_params
from openstack_maintenance.domain.host.rights import rights_needed
from openstack_maintenance.domain.host.rules import (
    HostInCloud,
    check_host_rules,
    check_known,
    check_plan,
    destination_blocker,
    rebooted_blocker,
)
from openstack_maintenance.operators.clock import utc_now
from openstack_maintenance.operators.host.base import HostOperator
from openstack_maintenance.operators.host.debts import (
    debts_by_instance,
    owed_in_words,
    planned_moves,
)
from openstack_maintenance.operators.host.pre_check import (
    affinity_in_the_way,
    holders_on,
    network_of,
    ports_on,
)
from openstack_maintenance.operators.night_link import NightLink
from openstack_maintenance.operators.runs import running_among
from openstack_maintenance.operators.window_gate import closed_blocker
from openstack_maintenance.records.store import has_done

if TYPE_CHECKING:
    from openstack_maintenance.domain.cloud import ComputeService, Instance
    from openstack_maintenance.domain.host.facts import HostFacts


class CheckHostOperator(HostOperator):
    """Find out whether the host can be maintained, and how; name every blocker otherwise.

    Returns (XCom): host, address, hypervisor, zone, microversion, host facts, and the plan
    (moves, left). A dry run ends here: the plan is in the log, in ``would`` and in the record. So
    does a rerun of a run whose record says that it is done.

    Raises: Blocked, with all blockers and their remedies; nothing was changed.
    """

    operator_extra_links = (NightLink(),)
    unchanged = "Nothing was changed."

    def __init__(self, *, first_change: str, **kwargs: Any) -> None:
        """``first_change``: the task that is skipped when nothing is to be changed."""
        super().__init__(**kwargs)
        self.first_change = first_change

    def perform(self) -> dict[str, Any]:
        """Read, judge, and tell."""
        request, policy = self.request, self.policy
        self._begin()
        version = self.nova.check_version()
        services = self._services()
        instances = self.nova.instances_on(request.host)
        newest = parse_microversion(version)
        plan = plan_drain(instances, request.on_blocked, newest)
        # At once: one question is harmless because of what the list says of its instance.
        missing = self._missing_rights(plan)
        facts = HostInCloud(services, self.nova.find_hypervisor(request.host), instances)
        blockers = self._judge(facts, plan) + missing
        ports = ports_on(self) if plan.moves else []
        blockers += port_blockers(plan.moves, ports, newest, may_stop=request.on_blocked == "stop")
        blockers += self._check_room(facts, plan)
        holders, in_the_way = holders_on(self, facts)
        blockers += in_the_way
        network, in_the_way = network_of(self)
        blockers += in_the_way
        closed = closed_blocker(policy, request, utc_now())
        blockers += [closed] if closed and not request.dry_run else []
        address = self._address(facts)
        near = [*instances, *(each.instance for each in holders if each.instance)]
        host_facts = self._read_host(address, facts, blockers, near)
        self._refuse(blockers)
        if host_facts is None:
            raise HostError(f"host {request.host}", "it was not read", "Clear check_host.")
        found = self._found(facts, plan, address, host_facts, version, ports)
        found["network"] = {"agents": list(network.agents), "not_proven": network.not_proven}
        self._warn(found)
        if request.dry_run:
            self._end_dry_run(found, plan, closed)
        return found

    def _begin(self) -> None:
        """What is asked for must be possible, and not done yet; a bad flavour shows before all."""
        names = [each.name for each in scripts()]
        self._refuse(check_params(self.params_given, self.request, names))
        self._end_if_done()
        unit = self.deployment.nova_compute.unit
        self.log.info("nova-compute is %s in this deployment", unit)

    def _judge(self, facts: HostInCloud, plan: DrainPlan) -> list[Blocker]:
        """What Nova's own records of the host and its instances forbid."""
        marks = [each.mark for each in facts.services]
        others = running_among(self._context, marks, self.mark)
        blockers = check_host_rules(self.request, self.policy, facts, self.mark, others)
        blockers += check_plan(self.request, plan, conf.getint("core", "max_map_length"))
        return blockers + affinity_in_the_way(self, plan, list(facts.instances))

    def _warn(self, found: dict[str, Any]) -> None:
        """What is not sure, and no reason to refuse the host."""
        for each in found["moves"]:
            if each["may_fail"]:
                self.log.warning(
                    "instance %s may not move live: %s", each["name"], each["may_fail"]
                )
        if why := found["network"]["not_proven"]:
            self.log.warning("host %s: its network cannot be proven: %s", found["host"], why)

    def _services(self) -> list[ComputeService]:
        """All services of Nova, where they include the hosts that are asked for."""
        services = self.nova.services()
        hides_some = not self.nova.shows_silent_cells
        unknown = check_known(self.request, services, may_hide_some=hides_some)
        if unknown is not None:
            self._refuse([unknown])
        return services

    def _end_dry_run(self, found: dict[str, Any], plan: DrainPlan, closed: Blocker | None) -> None:
        if closed:
            self.log.info("A real run started now would be refused: %s", closed)
        would = self._plan_in_words(plan, {each["id"]: each["may_fail"] for each in found["moves"]})
        self.log.info("Dry run, nothing is changed. It would:\n%s", would)
        self._end_here({**found, "would": would.splitlines()})

    def _end_if_done(self) -> None:
        """A rerun of a run that has done its work does nothing twice."""
        if not has_done(self.policy, self.dag_id_of_run, self.run_id):
            return
        self.log.info(
            "host %s: this run has maintained it already. Trigger a new run to do so again.",
            self.request.host,
        )
        self._end_here({"host": self.request.host, "already_done": True})

    def _end_here(self, found: dict[str, Any]) -> None:
        self.tell("return_value", found)
        raise DownstreamTasksSkipped(tasks=[self.first_change])

    def _missing_rights(self, plan: DrainPlan) -> list[Blocker]:
        """What this plan does later, and the credentials may not."""
        suggested = self.turn.destinations
        needed = rights_needed(
            plan,
            to_named_host=bool(self.request.destination or suggested),
            # Where a suggested destination does not take an instance, Nova's scheduler chooses.
            to_any_host=self.request.destination is None,
            may_force=self.policy.stuck_migration == "force_complete",
            may_stop=self.request.on_blocked == "stop",
            may_repair=self.policy.repair_error_state,
        )
        return self.nova.missing_rights(needed)

    def _check_room(self, facts: HostInCloud, plan: DrainPlan) -> list[Blocker]:
        """Room elsewhere for each instance, by Placement: one request for each flavor's size."""
        if facts.hypervisor is None or not plan.moves:
            return []
        if destination_blocker(self.request, facts) is not None:
            return []  # why nothing can go there is said already
        # Brings openstacksdk: not while a DAG file is parsed.
        from openstack_maintenance.adapters.cloud_errors import Refused

        instances = [move.instance for move in plan.moves]
        needs = {need for need in map(need_of, instances) if need is not None}
        destination = None
        if self.request.destination is not None:
            found = self.nova.find_hypervisor(self.request.destination)
            if found is None:
                return []  # Placement does not know it
            destination = found.id
        try:
            room = {need: self.nova.hosts_with_room(need) for need in needs}
        except Refused as error:  # one right more that is missing
            return [Blocker(error.subject, error.found, error.remedy)]
        return check_room(instances, room, facts.hypervisor.id, destination)

    def _address(self, facts: HostInCloud) -> str:
        host = self.request.host
        listed = {each.host: each.address for each in self.policy.controllers if each.address}
        nova_says = facts.hypervisor.host_ip if facts.hypervisor else ""
        return self.policy.addresses.get(host) or listed.get(host) or nova_says

    def _read_host(
        self,
        address: str,
        facts: HostInCloud,
        blockers: list[Blocker],
        near: Sequence[Instance] = (),
    ) -> HostFacts | None:
        """The host over SSH; whatever keeps it from being read is a blocker like the others.

        ``near``: the instances that are on it, or on their way to it or from it.
        """
        if facts.hypervisor is None:
            return None
        try:
            host_facts = asyncio.run(self._read_facts(address))
        except HostError as error:
            if not blockers:  # what else is in the way is said at once
                self.ask_again_later(error)
            blockers.append(Blocker(error.subject, error.found, error.remedy))
            return None
        wrong = find_wrong_host(host_facts, self.request.host, facts.hypervisor.hostname)
        if wrong is not None:
            blockers.append(wrong)
        blockers += check_rights(host_facts, self.request.host, self.request.script)
        if service := facts.compute(self.request.host):
            blockers += self._judge_host(service, host_facts, near)
        return host_facts

    def _judge_host(
        self, service: ComputeService, facts: HostFacts, near: Sequence[Instance]
    ) -> list[Blocker]:
        """What Nova's service and the host itself say against each other."""
        blockers = check_nova_compute(service, facts.nova_compute)
        blockers += check_bus(service, self.policy, facts)
        blockers += check_guests(self.request.host, facts.guests, near)
        rebooted = rebooted_blocker(service, self.mark, self.turn.boot_id, facts.boot_id)
        return blockers + ([rebooted] if rebooted else [])

    async def _read_facts(self, address: str) -> HostFacts:
        async with self.on_host(address) as host:
            path = script_path(self.request.script) if self.request.script else None
            script = (self.script_unit, path.read_bytes()) if path else ()
            facts = await host.read_facts(*script)
            return replace(facts, bus=await host.amqp_evidence())

    def _found(
        self,
        facts: HostInCloud,
        plan: DrainPlan,
        address: str,
        host_facts: HostFacts,
        version: str,
        ports: list[HostPort],
    ) -> dict[str, Any]:
        service = facts.compute(self.request.host)
        return {
            "host": self.request.host,
            "address": address,
            "hypervisor_id": facts.hypervisor.id if facts.hypervisor else None,
            "hypervisor": facts.hypervisor.hostname if facts.hypervisor else None,
            "zone": service.zone if service else None,
            "microversion": version,
            "boot_id": host_facts.boot_id,
            "booted": host_facts.booted.isoformat() if host_facts.booted else None,
            "clock": host_facts.clock.isoformat(),
            "nova_compute": str(host_facts.nova_compute),
            "moves": self._planned(plan, parse_microversion(version), ports),
            "left": [instance_facts(each) for each in plan.left],
        }

    def _planned(
        self, plan: DrainPlan, newest: Microversion | None, ports: list[HostPort]
    ) -> list[dict[str, Any]]:
        """Each move as plain JSON, with what may make it fail."""
        planned = planned_moves(plan.moves, debts_by_instance(self.policy))
        return [
            {**facts, "may_fail": _doubt(move, newest, ports)}
            for move, facts in zip(plan.moves, planned, strict=True)
        ]

    def _plan_in_words(self, plan: DrainPlan, doubts: dict[str, str | None]) -> str:
        request = self.request
        owed = owed_in_words(plan.moves, debts_by_instance(self.policy))
        steps = [f"disable nova-compute on {request.host}: {self.mark}"]
        to = request.destination or "where Nova's scheduler chooses"
        steps += [
            f"move {each.instance.label}, {each.instance.status}, "
            f"{each.instance.ram_mib} MiB: {each.method}, to {to}"
            + (f" (may fail: {why})" if (why := doubts[each.instance.id]) else "")
            + owed.get(each.instance.id, "")
            for each in plan.moves
        ]
        steps += [f"leave {each.label}, {each.status}" for each in plan.left]
        steps.append("prove that the host is empty, stop nova-compute")
        steps += [f"run include/scripts/{request.script}"] if request.script else []
        steps += ["reboot, wait for another boot_id"] if request.reboot else []
        steps.append("wait for nova-compute, prove that it is on the message bus, enable it")
        return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))

    def _refuse(self, blockers: list[Blocker]) -> None:
        if len(blockers) == 1:
            only = blockers[0]
            raise Blocked(only.subject, only.reason, only.remedy)
        self.refuse(f"host {self.request.host}", blockers, "nothing was changed")


def _doubt(move: Movement, newest: Microversion | None, ports: list[HostPort]) -> str | None:
    """Why a move that is planned may fail, where that is known."""
    why = (why_live_may_fail(move.instance, newest), why_ports_may_fail(move, ports))
    return "; ".join(filter(None, why if move.method == "live" else ())) or None
