"""The chapter of one controller, mapped over all that are to be maintained."""

from __future__ import annotations

from typing import Any

from airflow.sdk import chain, task_group

from openstack_maintenance.operators.controllers import proofs, steps

# Of restart and reboot one was not asked for, and is skipped; what comes after goes on. With
# none_failed_min_one_success Airflow 3.3 would expand a step only when those before it have ended
# for all controllers, and these wait for each other (ti_deps/deps/trigger_rule_dep.py, "fast").
_GOES_ON = "none_failed"


@task_group
def maintain_controller(controller: Any) -> None:
    """One controller: wait for its turn, restart or reboot, then prove that all is healthy."""
    given: dict[str, Any] = {"controller": controller}
    wait_for_turn = steps.WaitForTurnOperator(task_id="wait_for_turn", **given)
    restart_services = steps.RestartServicesOperator(task_id="restart_services", **given)
    reboot = steps.RebootControllerOperator(task_id="reboot", **given)
    wait_for_controller = steps.WaitForControllerOperator(task_id="wait_for_controller", **given)
    check_controller = proofs.CheckControllerAgainOperator(
        task_id="check_controller", trigger_rule=_GOES_ON, **given
    )
    check_serving = proofs.CheckServingOperator(task_id="check_serving", **given)
    wait_for_nova_services = proofs.WaitForNovaServicesOperator(
        task_id="wait_for_nova_services", **given
    )
    check_instances = proofs.CheckInstancesOperator(task_id="check_instances", **given)

    chain(wait_for_turn, restart_services, check_controller)
    chain(wait_for_turn, reboot, wait_for_controller, check_controller)
    chain(check_controller, check_serving, wait_for_nova_services, check_instances)
