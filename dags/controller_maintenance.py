"""Controller maintenance: restart services or reboot controllers, one at a time, safely.

First everything is read. All blockers are named at once, such as a controller that is not healthy,
or the last database, broker or API. Then the controllers are maintained one by one, the primary
last: services are restarted in the catalog's order, or the controller is rebooted. Before the next
controller is touched, all checks of controller_checks must pass, the APIs must work, every Nova
service must send heartbeats again, and no instance may have changed.

If a step fails, the later controllers are not touched. Fix what the error names, then clear the
run's failed tasks. Nothing is restarted or rebooted twice.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from openstack_maintenance.operators.controllers.check_controllers import CheckControllersOperator
from openstack_maintenance.operators.controllers.maintain_controller import maintain_controller
from openstack_maintenance.operators.controllers.params import controller_params
from openstack_maintenance.operators.controllers.report import ControllersReportOperator

with DAG(
    dag_id="controller_maintenance",
    schedule=None,
    params=controller_params(),
    doc_md=__doc__,
    tags=["openstack", "maintenance"],
    # Two runs would each take a controller out.
    max_active_runs=1,
):
    check_controllers = CheckControllersOperator(task_id="check_controllers")
    # wait_for_turn, restart_services | reboot and wait_for_controller, check_controller,
    # check_serving, wait_for_nova_services, check_instances: for each controller.
    one_by_one = maintain_controller.expand(controller=check_controllers.output)
    report = ControllersReportOperator(task_id="report")

    chain(one_by_one, report)
    check_controllers >> report
