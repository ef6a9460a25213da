"""Nightly compute maintenance: the hosts that are due, one after the other, within the window.

The hosts that are due are found. A plan says in which order they are maintained and where their
instances go, so that almost every instance moves once. Each host has its own run of
compute_host_maintenance. It starts as soon as another host is back, but not if it would end after
the window, if too many hosts have failed, or if too little capacity would stay free. The hosts
that are left are named with the reason, and come first the next night. A backfill of a past night
maintains only hosts that have not been rebooted since its window began.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, chain

from openstack_maintenance.operators.nights import maintain_host as maintain
from openstack_maintenance.operators.nights.approve import ApproveNightOperator
from openstack_maintenance.operators.nights.open_hosts import OpenHostsOperator
from openstack_maintenance.operators.nights.params import nightly_params
from openstack_maintenance.operators.nights.plan import PlanNightOperator
from openstack_maintenance.operators.nights.report import NightReportOperator
from openstack_maintenance.operators.nights.select_hosts import SelectHostsOperator
from openstack_maintenance.operators.schedule import at_window_start, hosts_at_a_time

with DAG(
    dag_id="nightly_compute_maintenance",
    schedule=at_window_start(),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    params=nightly_params(),
    doc_md=__doc__,
    tags=["openstack", "maintenance"],
    # Two nights at a time would each take hosts out.
    max_active_runs=1,
    # Nights begin when a person says so.
    is_paused_upon_creation=True,
):
    select_hosts = SelectHostsOperator(task_id="select_hosts")
    plan = PlanNightOperator(task_id="plan")
    approve = ApproveNightOperator(task_id="approve")
    maintain_host = maintain.MaintainHostOperator.partial(
        task_id="maintain_host",
        map_index_template=maintain.NAMED,
        max_active_tis_per_dagrun=hosts_at_a_time(),
    ).expand(planned=approve.output)
    open_hosts = OpenHostsOperator(task_id="open_hosts")
    open_hosts.as_teardown(on_failure_fail_dagrun=True)
    report = NightReportOperator(task_id="report")

    chain(select_hosts, plan, approve, maintain_host, [open_hosts, report])
    [select_hosts, plan, approve] >> report
