"""Controller maintenance: restart services or reboot controllers, one at a time, safely.

First everything is read, and whatever forbids the maintenance is named at once: a controller
that is not well, the last database, broker or API. Then each controller in turn, the primary
last: its services are restarted in the catalog's order, or it is rebooted; then all checks of
controller_checks must pass, the APIs must serve again, every Nova service must have its heartbeat
back, and no instance may have changed, before the next controller is touched.

When a step fails, the controllers after it are left alone. Mend what the sentence names, then
clear the run's failed tasks: what was restarted or rebooted already is not again.
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
