"""How this Airflow is set up, and how long its parts take. Seconds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """The project's own settings (include/airflow, docker-compose.yaml) unless said otherwise."""

    schedulers: int = 1
    triggerers: int = 1
    parallelism: int = 32
    # What happens to the running tasks of a scheduler that died: LocalExecutor's are reset, what
    # Celery runs is adopted.
    executor: str = "local"
    scheduler_loop: float = 0.3
    executor_takes: float = 0.2
    process_start: float = 1.0
    api_takes: float = 0.01
    api_patience: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)  # between a client's tries
    queued_timeout: float = 600.0  # of a queued task whose worker died before it began
    heartbeat: float = 1.0
    heartbeat_timeout: float = 30.0
    heartbeat_check: float = 10.0
    job_timeout: float = 30.0  # schedulers and triggerers that say nothing for so long are dead
    orphan_check: float = 300.0
    deferral_check: float = 15.0
    triggerer_loop: float = 1.0
    on_kill_timeout: float = 30.0
    term_to_kill: float = 5.0
    clear_on_success: bool = False
    max_active_runs: int = 16
    connections: dict[str, str] = field(default_factory=dict)  # id -> URI or JSON
