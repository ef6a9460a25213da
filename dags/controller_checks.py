"""Controller checks: every night, confirm that every service of every controller came up.

All services are read on each controller, in one SSH connection. Then the clusters (broker,
database, memcached, clocks) and the cloud's APIs are checked. Nothing is changed. A check that
fails does not stop the others. The task `report` prints all services in the runbook's form and
writes the record. If anything is wrong, it fails with one sentence that names what is wrong and
where.

A run for a past night (backfill) says for each service what the units' times and the journal
prove: active then, not active then, or unknown and why. It never reports today's state as that
night's.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from openstack_maintenance.operators.checks import of_cloud as cloud_checks
from openstack_maintenance.operators.checks import of_controllers as checks
from openstack_maintenance.operators.checks.report import ChecksReportOperator
from openstack_maintenance.operators.schedule import nightly

with DAG(
    dag_id="controller_checks",
    schedule=nightly("0 1 * * *"),
    start_date=datetime(2024, 1, 1),
    catchup=False,
    doc_md=__doc__,
    tags=["openstack", "checks"],
    max_active_runs=1,
    # Nights begin when a person says so: unpausing runs the last missed night's checks at once.
    is_paused_upon_creation=True,
):
    list_controllers = checks.ListControllersOperator(task_id="list_controllers")
    check_controller = checks.CheckControllerOperator.partial(
        task_id="check_controller", map_index_template=checks.NAMED
    ).expand(controller=list_controllers.output)

    of_the_controllers = [
        checks.CheckBrokerClusterOperator(task_id="check_broker_cluster"),
        checks.CheckDatabaseOperator(task_id="check_database"),
        checks.CheckMemcachedOperator(task_id="check_memcached"),
        checks.CheckClocksOperator(task_id="check_clocks"),
    ]
    of_the_cloud = [
        cloud_checks.CheckTokenOperator(task_id="check_token"),
        cloud_checks.CheckEndpointsOperator(task_id="check_endpoints"),
        cloud_checks.CheckNovaServicesOperator(task_id="check_nova_services"),
        cloud_checks.CheckNetworkAgentsOperator(task_id="check_network_agents"),
        cloud_checks.CheckVolumeServicesOperator(task_id="check_volume_services"),
        cloud_checks.CheckImagesOperator(task_id="check_images"),
    ]

    report = ChecksReportOperator(task_id="report")
    check_controller >> of_the_controllers
    [list_controllers, check_controller, *of_the_controllers, *of_the_cloud] >> report
