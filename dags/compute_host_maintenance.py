"""Compute host maintenance: one run takes one compute host through the whole runbook.

Every instance on the host is moved away. Then nova-compute is stopped, the maintenance script
runs, and the host reboots. The host is enabled again only when it is proven healthy and on the
message bus. If a step fails, the host stays disabled. Nova's `disabled_reason` says why. Fix the
cause, then clear the failed task with Downstream.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from openstack_maintenance.operators.host import check_host as check
from openstack_maintenance.operators.host import drain, service
from openstack_maintenance.operators.host import steps as host_steps
from openstack_maintenance.operators.host.params import compute_host_params
from openstack_maintenance.operators.host.report import ReportOperator
from openstack_maintenance.operators.host.window import WaitForWindowOperator

# What was not asked for (a script, a reboot), or not needed (no instance), is skipped; what
# comes after goes on. When nothing at all is to be changed (dry run), everything is skipped.
GOES_ON = "none_failed_min_one_success"

with DAG(
    dag_id="compute_host_maintenance",
    schedule=None,
    params=compute_host_params(),
    doc_md=__doc__,
    tags=["openstack", "maintenance"],
    max_active_runs=64,
    max_active_tasks=1100,
):
    check_host = check.CheckHostOperator(task_id="check_host", first_change="wait_for_window")
    wait_for_window = WaitForWindowOperator(task_id="wait_for_window")
    disable_service = service.DisableServiceOperator(task_id="disable_service")

    list_instances = drain.ListInstancesOperator(task_id="list_instances")
    migrate_instance = drain.MigrateInstanceOperator.partial(
        task_id="migrate_instance", map_index_template=drain.NAMED
    ).expand(instance=list_instances.output)
    list_arrivals = drain.ListInstancesOperator(task_id="list_arrivals", trigger_rule=GOES_ON)
    migrate_arrival = drain.MigrateInstanceOperator.partial(
        task_id="migrate_arrival", map_index_template=drain.NAMED
    ).expand(instance=list_arrivals.output)
    check_host_empty = drain.CheckHostEmptyOperator(
        task_id="check_host_empty", trigger_rule=GOES_ON
    )

    stop_nova_compute = host_steps.StopNovaComputeOperator(task_id="stop_nova_compute")
    run_script = host_steps.RunScriptOperator(task_id="run_script")
    reboot = host_steps.RebootOperator(task_id="reboot", trigger_rule=GOES_ON)
    wait_for_host = host_steps.WaitForHostOperator(task_id="wait_for_host")
    wait_for_nova_compute = host_steps.WaitForNovaComputeOperator(
        task_id="wait_for_nova_compute", trigger_rule=GOES_ON
    )
    assert_amqp = host_steps.AssertAmqpOperator(task_id="assert_amqp")
    enable_service = service.EnableServiceOperator(task_id="enable_service")

    drain_steps = [list_instances, migrate_instance, list_arrivals, migrate_arrival]
    host_stop = [check_host_empty, stop_nova_compute, run_script, reboot]
    host_back = [wait_for_host, wait_for_nova_compute, assert_amqp, enable_service]
    steps = [check_host, wait_for_window, disable_service, *drain_steps, *host_stop, *host_back]

    chain(*steps)
    list_instances >> list_arrivals >> check_host_empty
    stop_nova_compute >> [reboot, wait_for_nova_compute]
    steps >> ReportOperator(task_id="report")
