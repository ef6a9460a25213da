"""What is done to the DAGs of the scenarios, in terms that the model and a real Airflow share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

# A run: DAG id and run id. A task: its id, or with the index of an element.
RunKey = tuple[str, str]
Which = str | tuple[str, int]


class Driver(Protocol):
    """An Airflow that a script is played on."""

    def trigger(self, dag_id: str) -> RunKey: ...

    def wait_for(self, run: RunKey, task: Which, state: str) -> None: ...

    def wait_for_end(self, run: RunKey) -> None: ...

    def wait_for_note(self, text: str) -> None: ...

    def rest(self, seconds: float) -> None: ...

    def clear(self, run: RunKey, tasks: list[Which] | None, downstream: bool = True) -> None: ...

    def mark(self, run: RunKey, task: str | None, state: str) -> None: ...

    def kill_task(self, run: RunKey, task: str) -> None: ...

    def kill_worker(self, run: RunKey, task: str) -> None: ...

    def kill_triggerer(self) -> None: ...

    def start_triggerer(self) -> None: ...

    def kill_scheduler(self) -> None: ...

    def start_scheduler(self) -> None: ...

    def answer(self, run: RunKey, task: str, option: str) -> None: ...


Script = Callable[[Driver, RunKey], Any]


def _only(driver: Driver, run: RunKey) -> None:
    """It runs, and nobody does anything."""


def _wait_for_trigger(driver: Driver, run: RunKey) -> None:
    driver.wait_for(run, "waits", "deferred")
    driver.wait_for_note("trigger of waits begins")
    driver.rest(2)


def _wait_for_task(driver: Driver, task: str) -> None:
    driver.wait_for_note(f"task {task} begins")
    driver.rest(2)


def mapping_changes(driver: Driver, run: RunKey) -> None:
    for _ in range(2):
        driver.wait_for_end(run)
        driver.clear(run, ["make"])


def clear_of_deferred(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.clear(run, ["waits"])


def clear_of_done(driver: Driver, run: RunKey) -> None:
    driver.wait_for_end(run)
    driver.clear(run, ["second"])


def clear_of_failed(driver: Driver, run: RunKey) -> None:
    driver.wait_for_end(run)
    driver.clear(run, ["second"])


def clear_of_running(driver: Driver, run: RunKey) -> None:
    _wait_for_task(driver, "works")
    driver.clear(run, ["works"])


def clear_of_one_element(driver: Driver, run: RunKey) -> None:
    driver.wait_for_end(run)
    driver.clear(run, [("each", 1)])


def failed_while_deferred(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.mark(run, "waits", "failed")


def failed_while_running(driver: Driver, run: RunKey) -> None:
    _wait_for_task(driver, "works")
    driver.mark(run, "works", "failed")


def success_while_deferred(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.mark(run, "waits", "success")


def run_marked_failed(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.mark(run, None, "failed")


def worker_dies(driver: Driver, run: RunKey) -> None:
    _wait_for_task(driver, "works")
    driver.kill_worker(run, "works")


def task_dies(driver: Driver, run: RunKey) -> None:
    for task in ("works", "without_retry"):
        _wait_for_task(driver, task)
        driver.kill_task(run, task)


def triggerer_dies(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.kill_triggerer()
    driver.start_triggerer()


def parent(driver: Driver, run: RunKey) -> None:
    driver.wait_for_end(run)
    driver.clear(run, ["starts"])


def clear_in_mapped_group(driver: Driver, run: RunKey) -> None:
    driver.wait_for_end(run)
    driver.clear(run, [("cleared_group.first", 1)])


def run_marked_success(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.mark(run, None, "success")


def run_with_teardown_marked_failed(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.mark(run, None, "failed")


def scheduler_dies(driver: Driver, run: RunKey) -> None:
    _wait_for_task(driver, "works")
    driver.kill_scheduler()
    driver.rest(45)  # for longer than a scheduler may be silent
    driver.start_scheduler()


def scheduler_dies_meanwhile(driver: Driver, run: RunKey) -> None:
    _wait_for_trigger(driver, run)
    driver.kill_scheduler()
    driver.wait_for(run, "waits", "success")
    driver.start_scheduler()


def approval(driver: Driver, run: RunKey) -> None:
    driver.wait_for(run, "asks", "awaiting_input")
    driver.rest(8)  # answered within moments, Airflow takes it for lost
    driver.answer(run, "asks", "Yes")


# DAG -> its script.
SCENARIOS: dict[str, Script] = {
    "mapping": _only,
    "mapping_of_nothing": _only,
    "mapping_changes": mapping_changes,
    "rules": _only,
    "retry": _only,
    "report_leaf": _only,
    "green_report_leaf": _only,
    "deferral": _only,
    "trigger_breaks": _only,
    "skip_downstream": _only,
    "clear_of_deferred": clear_of_deferred,
    "clear_of_done": clear_of_done,
    "clear_of_failed": clear_of_failed,
    "clear_of_running": clear_of_running,
    "clear_of_one_element": clear_of_one_element,
    "failed_while_deferred": failed_while_deferred,
    "failed_while_running": failed_while_running,
    "success_while_deferred": success_while_deferred,
    "run_marked_failed": run_marked_failed,
    "worker_dies": worker_dies,
    "task_dies": task_dies,
    "triggerer_dies": triggerer_dies,
    "one_at_a_time": _only,
    "two_of_a_run": _only,
    "parent": parent,
    "mapped_group": _only,
    "mapped_group_fails": _only,
    "clear_in_mapped_group": clear_in_mapped_group,
    "short_circuit": _only,
    "run_marked_success": run_marked_success,
    "run_with_teardown_marked_failed": run_with_teardown_marked_failed,
    "existing_child": _only,
    "scheduler_dies": scheduler_dies,
    "scheduler_dies_meanwhile": scheduler_dies_meanwhile,
    "teardown": _only,
    "failing_teardown": _only,
    "approval": approval,
}
# Nothing else may be under way meanwhile.
ALONE = ("triggerer_dies", "scheduler_dies", "scheduler_dies_meanwhile")
