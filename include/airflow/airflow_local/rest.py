"""Airflow's REST API, as its UI uses it: trigger, watch, read, clear."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx

from airflow_local.errors import AirflowLocalError

FINISHED_RUN = frozenset({"success", "failed"})
PAGE = 100


@dataclass(frozen=True)
class TaskInstance:
    """A task in one run, or one element of a mapped task (map_index 0 and up)."""

    task_id: str
    map_index: int
    name: str  # as the UI shows it: the task, and which element
    state: str | None
    try_number: int
    pid: int | None

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        element = found.get("rendered_map_index")
        if element is None and found["map_index"] >= 0:
            element = str(found["map_index"])
        name = found["task_id"] if element is None else f"{found['task_id']}[{element}]"
        state, attempt, pid = found["state"], found["try_number"], found.get("pid")
        return cls(found["task_id"], found["map_index"], name, state, attempt, pid)

    @property
    def key(self) -> tuple[str, int]:
        return self.task_id, self.map_index


class AirflowApi:
    """A logged-in user of Airflow's REST API v2. Every request has a time limit."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self.url = url
        self._login = {"username": login, "password": password}
        # Airflow is on this machine: a proxy for the outside must not be asked for it.
        self._http = httpx.Client(base_url=url, timeout=120, trust_env=False)

    @staticmethod
    def health(url: str) -> dict[str, Any] | None:
        """What the components last said, or None while nothing answers."""
        try:
            answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None
        return dict(answer.json()) if answer.status_code == 200 else None

    def trigger(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        """Trigger a run, as the UI's form does; returns its id."""
        body = {"logical_date": None, "conf": conf} | ({"dag_run_id": run_id} if run_id else {})
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def set_paused(self, dag_id: str, is_paused: bool) -> None:
        """Pause or unpause a DAG, as the UI's switch does."""
        self._checked(self._request("PATCH", f"/dags/{dag_id}", json={"is_paused": is_paused}))

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return self.get(f"/dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, or of every DAG for the id `~`."""
        return list(self._pages(f"/dags/{dag_id}/dagRuns", "dag_runs"))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return [TaskInstance.from_json(found) for found in self._pages(path, "task_instances")]

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task by the name that the UI shows."""
        return {task.name: task.state for task in self.task_instances(dag_id, run_id)}

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """What a task handed on, or None when it handed on nothing under this key."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        answer = self._request("GET", path, params={"map_index": map_index, "deserialize": True})
        return None if answer.status_code == 404 else self._checked(answer)["value"]

    def log(
        self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1
    ) -> str:
        """One attempt's log as text, one event a line, with the message of its error."""
        entries = self.log_entries(dag_id, run_id, task_id, attempt, map_index)
        return "\n".join(_log_line(entry) for entry in entries)

    def errors(
        self, dag_id: str, run_id: str, task_id: str, attempt: int = 1, map_index: int = -1
    ) -> list[str]:
        """What one attempt's log says of errors, as `log` has it."""
        entries = self.log_entries(dag_id, run_id, task_id, attempt, map_index)
        bad = ("error", "critical")
        return [_log_line(e) for e in entries if isinstance(e, dict) and e.get("level") in bad]

    def log_entries(
        self, dag_id: str, run_id: str, task_id: str, attempt: int, map_index: int
    ) -> list[dict[str, Any] | str]:
        """One attempt's log as Airflow has it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        answer = self._request("GET", path, params={"map_index": map_index, "full_content": True})
        return list(self._checked(answer)["content"])

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: list[str | tuple[str, int]] | None = None,
        *,
        downstream: bool = True,
        only_failed: bool = False,
    ) -> list[TaskInstance]:
        """Clear tasks, so that they run again; without names, every task of the run.

        Returns what was cleared.
        """
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "only_running": False,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        }
        if task_ids is not None:
            body["task_ids"] = [list(t) if isinstance(t, tuple) else t for t in task_ids]
        found = self.post(f"/dags/{dag_id}/clearTaskInstances", body)
        return [TaskInstance.from_json(task) for task in found["task_instances"]]

    def set_task_state(
        self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1
    ) -> None:
        """Mark a task failed or success, as a person does who kills it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        if map_index >= 0:
            path += f"/{map_index}"
        self._checked(self._request("PATCH", path, json={"new_state": state}))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Choose an option of a task that waits for a person."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        self._checked(self._request("PATCH", path, json=body))

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        path = f"/dags/{dag_id}/dagRuns/{run_id}"
        self._checked(self._request("PATCH", path, json={"state": state}))

    def import_errors(self) -> dict[str, str]:
        """The DAG files that cannot be imported, each with its traceback."""
        found = self._pages("/importErrors", "import_errors")
        return {error["filename"]: error["stack_trace"] for error in found}

    def wait_for_dag(self, dag_id: str, timeout: float = 300) -> None:
        """Wait until the DAG can be triggered."""
        deadline = time.monotonic() + timeout
        while (answer := self._request("GET", f"/dags/{dag_id}")).status_code == 404:
            if errors := self.import_errors():
                raise AirflowLocalError("A DAG file cannot be imported:\n" + _joined(errors))
            if time.monotonic() > deadline:
                raise AirflowLocalError(
                    f"Airflow has not found the DAG {dag_id} within {timeout:.0f} s: "
                    "see the log of its dag-processor."
                )
            time.sleep(0.5)
        self._checked(answer)

    def wait(
        self,
        dag_id: str,
        run_id: str,
        timeout: float,
        on_change: Callable[[TaskInstance], None] | None = None,
    ) -> str:
        """Wait until a run has ended; returns its state.

        `on_change` is called for every task whose state is not what it was.
        """
        return self.wait_until(
            dag_id, run_id, lambda _: self._ended(dag_id, run_id), timeout, on_change
        )

    def wait_until(
        self,
        dag_id: str,
        run_id: str,
        reached: Callable[[list[TaskInstance]], str],
        timeout: float,
        on_change: Callable[[TaskInstance], None] | None = None,
    ) -> str:
        """Wait until a run's tasks are as wanted; returns what `reached` said, which is never "".

        Raises: AirflowLocalError: it took longer; the message holds every task's state.
        """
        deadline = time.monotonic() + timeout
        known: dict[tuple[str, int], str | None] = {}
        while True:
            answer = reached(tasks := self.task_instances(dag_id, run_id))
            if answer:  # once more, so that the last changes are told too
                tasks = self.task_instances(dag_id, run_id)
            for task in tasks:
                if known.get(task.key) != task.state and on_change is not None:
                    on_change(task)
                known[task.key] = task.state
            if answer:
                return answer
            if time.monotonic() > deadline:
                states = {task.name: str(task.state) for task in tasks}
                raise AirflowLocalError(
                    f"{dag_id} {run_id} is not where it should be after {timeout:.0f} s:\n"
                    + _joined(states)
                )
            time.sleep(0.5)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._checked(self._request("GET", path, params=params))

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._checked(self._request("POST", path, json=body))

    def _ended(self, dag_id: str, run_id: str) -> str:
        state = str(self.run(dag_id, run_id)["state"])
        return state if state in FINISHED_RUN else ""

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            found = self.get(path, limit=PAGE, offset=offset)
            yield from found[name]
            offset += PAGE
            if offset >= found["total_entries"]:
                return

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self.log_in()
        answer = self._http.request(method, f"/api/v2{path}", **options)
        if answer.status_code == 401:  # the token has expired
            self.log_in()
            answer = self._http.request(method, f"/api/v2{path}", **options)
        return answer

    def log_in(self) -> None:
        answer = self._http.post("/auth/token", json=self._login)
        token = self._checked(answer)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise ApiError(answer)
        return dict(answer.json()) if answer.content else {}


class ApiError(AirflowLocalError):
    """Airflow refused a request; says which, and why."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.text = answer.text
        asked = f"{answer.request.method} {answer.request.url.path}"
        super().__init__(f"Airflow answered {self.status} to {asked}: {self.text[:1000]}")


def _log_line(entry: dict[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    errors = [
        f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or []
    ]
    return " ".join([str(entry.get("event", "")), *errors])


def _joined(found: dict[str, str]) -> str:
    return "\n".join(f"  {name}: {value}" for name, value in found.items())
