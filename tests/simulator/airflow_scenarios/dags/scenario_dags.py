"""The DAGs of the scenarios; `scripts` says what is done to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, chain, task_group
from airflow_toys import Toy

LONG = 600


def dag(name: str, **kwargs: Any) -> DAG:
    return DAG(
        dag_id=name, schedule=None, params={"notes": Param("", type=["string", "null"])}, **kwargs
    )


def toy(name: str, *does: str, retries: int = 0, **kwargs: Any) -> Toy:
    delay = timedelta(seconds=2)
    return Toy(task_id=name, does=list(does), retries=retries, retry_delay=delay, **kwargs)


def no() -> bool:
    return False


def mapped(name: str, over: Any, *does: str, **kwargs: Any) -> Any:
    return Toy.partial(task_id=name, does=list(does), **kwargs).expand(given=over.output)


with dag("mapping"):
    make = toy("make", "list:3")
    each = mapped("each", make, "defer:8:success")
    chain(each, toy("after", "ok"))

with dag("mapping_of_nothing"):
    make = toy("make", "list:0")
    each = mapped("each", make, "ok")
    goes_on = toy("goes_on", "ok", trigger_rule="none_failed_min_one_success")
    chain(each, toy("after", "ok"))
    [make, each] >> goes_on

with dag("mapping_changes"):
    make = toy("make", "list:3", "list:1", "list:2")
    each = mapped("each", make, "ok")
    chain(each, toy("after", "ok"))

with dag("rules"):
    good, skipped, bad = toy("good", "ok"), toy("skipped", "skip"), toy("bad", "fail")
    below_skipped = toy("below_skipped", "ok")
    below_bad = toy("below_bad", "ok")
    skipped >> below_skipped
    bad >> below_bad
    for rule in (
        "all_success",
        "all_done",
        "none_failed",
        "none_failed_min_one_success",
        "one_success",
        "one_failed",
        "all_failed",
        "none_skipped",
    ):
        [good, skipped] >> toy(f"{rule}_good_skipped", "ok", trigger_rule=rule)
        [good, bad] >> toy(f"{rule}_good_bad", "ok", trigger_rule=rule)
        [skipped, below_skipped] >> toy(f"{rule}_skipped_only", "ok", trigger_rule=rule)
        below_bad >> toy(f"{rule}_below_bad", "ok", trigger_rule=rule)

with dag("retry"):
    chain(toy("again", "fail", "ok", retries=1), toy("after", "ok"))
    chain(toy("twice", "fail", retries=1), toy("never", "ok"))
    chain(toy("for_good", "fail for good", retries=2), toy("neither", "ok"))
    chain(toy("keeps", "keep", retries=1))

with dag("report_leaf"):
    steps = [toy("first", "ok"), toy("second", "fail"), toy("third", "ok")]
    chain(*steps)
    steps >> toy("report", "fail for good", trigger_rule="all_done")

with dag("green_report_leaf"):
    toy("bad", "fail") >> toy("report", "ok", trigger_rule="all_done")

with dag("deferral"):
    chain(toy("resumes", "defer:8:event"), toy("after", "ok"))
    chain(toy("ends", "defer:8:success"), toy("pulls", "pull:ends"))
    chain(toy("fails", "defer:8:failed", "ok", retries=1))
    chain(toy("fails_for_good", "defer:8:failed"), toy("never", "ok"))

with dag("trigger_breaks"):
    chain(toy("raises", "defer:8:raise", "ok", retries=1))
    chain(toy("says_nothing", "defer:8:nothing"), toy("never", "ok"))
    chain(toy("too_late", f"defer:{LONG}:event:2"))

with dag("skip_downstream"):
    chooses = toy("chooses", "skip downstream:left")
    left, right = toy("left", "ok"), toy("right", "ok")
    chooses >> [left, right]
    left >> toy("below_left", "ok")
    [left, right] >> toy("joins", "ok", trigger_rule="none_failed_min_one_success")

with dag("clear_of_deferred"):
    chain(toy("waits", f"defer:{LONG}:event", "ok"), toy("after", "ok"))

with dag("clear_of_done"):
    chain(toy("first", "ok"), toy("second", "ok"), toy("third", "ok"))

with dag("clear_of_failed"):
    chain(toy("first", "ok"), toy("second", "fail", "ok"), toy("third", "ok"))

with dag("clear_of_running"):
    chain(toy("works", f"sleep:{LONG}", "ok"), toy("after", "ok"))

with dag("clear_of_one_element"):
    make = toy("make", "list:2")
    each = mapped("each", make, "ok")
    chain(each, toy("after", "ok"))

with dag("failed_while_deferred"):
    chain(toy("waits", f"defer:{LONG}:event"), toy("after", "ok"))

with dag("failed_while_running"):
    chain(toy("works", f"sleep:{LONG}", retries=1), toy("after", "ok"))

with dag("success_while_deferred"):
    chain(toy("waits", f"defer:{LONG}:event"), toy("after", "ok"))

with dag("run_marked_failed"):
    waits, after = toy("waits", f"defer:{LONG}:event"), toy("after", "ok")
    chain(toy("done", "ok"), waits, after)

with dag("worker_dies"):
    chain(toy("works", f"sleep:{LONG}", "ok", retries=1), toy("after", "ok"))

with dag("task_dies"):
    chain(toy("works", f"sleep:{LONG}", "ok", retries=1), toy("after", "ok"))
    chain(toy("without_retry", f"sleep:{LONG}"), toy("never", "ok"))

with dag("triggerer_dies"):
    chain(toy("waits", "defer:20:success"), toy("after", "ok"))

with dag("one_at_a_time"):
    make = toy("make", "list:3")
    mapped("each", make, "defer:8:success", max_active_tis_per_dag=1)

with dag("two_of_a_run"):
    make = toy("make", "list:3")
    mapped("each", make, "defer:8:success", max_active_tis_per_dagrun=2)

with dag("child"):
    chain(toy("first", "ok"), toy("second", "fail", "ok"))

with dag("parent"):
    starts = TriggerDagRunOperator(
        task_id="starts",
        trigger_dag_id="child",
        trigger_run_id="child_of_{{ run_id }}",
        logical_date=None,
        reset_dag_run=True,
        wait_for_completion=True,
        poke_interval=1,
        deferrable=True,
    )
    chain(starts, toy("after", "ok"))

with dag("mapped_group"):
    make = toy("make", "list:2")

    @task_group
    def group(one: Any) -> None:
        first = toy("first", "ok", given=one)
        second = toy("second", "skip", given=one)
        third = toy("third", "defer:8:success", trigger_rule="none_failed", given=one)
        chain(first, [second, third])
        second >> third

    chain(group.expand(one=make.output), toy("after", "ok"))

with dag("mapped_group_fails"):
    make = toy("make", "list:2")

    @task_group
    def failing_group(one: Any) -> None:
        first = Toy(task_id="first", does=["fail of:1"], given=one)
        chain(first, toy("second", "ok", given=one), toy("third", "ok", given=one))

    chain(failing_group.expand(one=make.output), toy("after", "ok"))

with dag("clear_in_mapped_group"):
    make = toy("make", "list:2")

    @task_group
    def cleared_group(one: Any) -> None:
        chain(toy("first", "ok", given=one), toy("second", "ok", given=one))

    chain(cleared_group.expand(one=make.output), toy("after", "ok"))

with dag("short_circuit"):
    cut = ShortCircuitOperator(task_id="cut", python_callable=no)
    gate = ShortCircuitOperator(
        task_id="gate", python_callable=no, ignore_downstream_trigger_rules=False
    )
    chain(cut, toy("below_cut", "ok"), toy("further_below", "ok", trigger_rule="all_done"))
    chain(gate, toy("below_gate", "ok"), toy("all_the_same", "ok", trigger_rule="all_done"))

with dag("run_marked_success"):
    waits, after = toy("waits", f"defer:{LONG}:event"), toy("after", "ok")
    chain(toy("done", "ok"), waits, after)

with dag("run_with_teardown_marked_failed"):
    waits, close = toy("waits", f"defer:{LONG}:event"), toy("close", "ok")
    close.as_teardown(on_failure_fail_dagrun=True)
    chain(waits, [close, toy("report", "ok")])

with dag("existing_child"):
    again = {"trigger_dag_id": "child", "trigger_run_id": "child_of_{{ run_id }}"}
    starts = TriggerDagRunOperator(task_id="starts", logical_date=None, **again)
    refuses = TriggerDagRunOperator(task_id="refuses", logical_date=None, **again)
    skips = TriggerDagRunOperator(
        task_id="skips", logical_date=None, skip_when_already_exists=True, **again
    )
    starts >> [refuses, skips]

with dag("scheduler_dies"):
    chain(toy("works", f"sleep:{LONG}", "ok"), toy("after", "ok"))

with dag("scheduler_dies_meanwhile"):
    waits = toy("waits", "defer:8:success")
    chain(waits, toy("after", "ok"))

with dag("teardown"):
    work, close = toy("work", "fail"), toy("close", "ok")
    close.as_teardown(on_failure_fail_dagrun=True)
    chain(work, [close, toy("report", "ok")])

with dag("failing_teardown"):
    work, close = toy("work", "ok"), toy("close", "fail")
    close.as_teardown(on_failure_fail_dagrun=True)
    chain(work, [close, toy("report", "ok")])

with dag("approval"):
    asks = HITLOperator(task_id="asks", subject="May it?", options=["Yes", "No"])
    chain(asks, toy("after", "ok"))
