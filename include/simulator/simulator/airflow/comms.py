"""How code of a worker or a triggerer reaches this Airflow, and what is replaced for that."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import asgiref.sync
from airflow.sdk._shared.dagnode.node import GenericDAGNode
from airflow.sdk.definitions._internal.logging_mixin import LoggingMixin as SdkLoggingMixin
from airflow.sdk.execution_time import task_runner
from airflow.utils.log.logging_mixin import LoggingMixin as CoreLoggingMixin

from simulator.airflow.api import ExecutionApi
from simulator.airflow.core import Core
from simulator.airflow.processes import Memory, Process, current, separated
from simulator.airflow.speed import hurry
from simulator.clock import Killed

PLUGIN = "openstack_maintenance"
# Dicts of modules that each process has of its own.
MEMORIES = {"openstack_maintenance.triggers.migrate_instance": ["_watches"]}


class Comms:
    """The connection of a task, or of a trigger, to the API server; it takes its time."""

    def __init__(self, core: Core, api: ExecutionApi) -> None:
        self._core, self._api = core, api

    def send(self, msg: Any) -> Any:
        """Raises: AirflowRuntimeError: refused, or no answer; Killed."""
        process = self._process()
        if asyncio._get_running_loop() is None:
            self._core.reach_api(process.needs_api)
            if process.is_dead:
                raise Killed
        return self._api.answer(msg, process)

    async def asend(self, msg: Any) -> Any:
        """The same, for a trigger."""
        await asyncio.sleep(self._core.settings.api_takes)
        return self._api.answer(msg, self._process())

    def _process(self) -> Process:
        process = current()
        if process is None:
            raise RuntimeError("code outside of any process asks for Airflow")
        if process.is_dead:
            raise Killed
        return process


class ProcessLog:
    """Airflow's logger in all its spellings; a line goes to the try whose process writes it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def write(self, level: str, event: Any, args: tuple[Any, ...]) -> None:
        process = current()
        if process is None or process.is_dead or process.ti is None:
            return
        try:
            text = str(event) % args if args else str(event)
        except (TypeError, ValueError):
            text = f"{event} {args}"
        self._core.log(process.ti, level, text)

    def debug(self, event: Any, *args: Any, **_: Any) -> None:
        """Nobody reads it."""

    def info(self, event: Any, *args: Any, **_: Any) -> None:
        if not str(event).startswith("::"):
            self.write("info", event, args)

    def warning(self, event: Any, *args: Any, **_: Any) -> None:
        self.write("warning", event, args)

    def error(self, event: Any, *args: Any, **_: Any) -> None:
        self.write("error", event, args)

    def exception(self, event: Any, *args: Any, **_: Any) -> None:
        self.write("error", event, args)
        self.write("error", traceback.format_exc(), ())

    critical = error
    warn = warning

    def log(self, level: int, event: Any, *args: Any, **_: Any) -> None:
        if level >= logging.INFO:
            self.write(logging.getLevelName(level).lower(), event, args)

    async def _later(self, write: Callable[..., None], event: Any, *args: Any, **_: Any) -> None:
        write(event, *args)

    def __getattr__(self, name: str) -> Any:
        """The spellings for coroutines: adebug, ainfo, ..."""
        if not name.startswith("a"):
            raise AttributeError(name)
        return functools.partial(self._later, getattr(self, name[1:]))

    def bind(self, *_: Any, **__: Any) -> ProcessLog:
        return self

    new = unbind = try_unbind = bind

    def getEffectiveLevel(self) -> int:
        return logging.INFO

    def isEnabledFor(self, level: int) -> bool:
        return level >= logging.INFO

    get_effective_level, is_enabled_for = getEffectiveLevel, isEnabledFor


class _NoListeners:
    """This project has none."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, **_: Any) -> None:
        """Nobody listens."""


class _Handler(logging.Handler):
    """Lines of Python's own logging, from the plugin's modules."""

    def __init__(self, log: ProcessLog) -> None:
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(record.levelname.lower(), record.getMessage(), ())


@contextmanager
def connected(core: Core, api: ExecutionApi, log: ProcessLog) -> Iterator[None]:
    """While this lasts, Airflow's task SDK talks to this Airflow, in this world's time."""
    with ExitStack() as stack:

        def replace(where: Any, name: str, what: Any) -> None:
            stack.enter_context(mock.patch.object(where, name, what, create=True))

        replace(task_runner, "SUPERVISOR_COMMS", Comms(core, api))
        replace(task_runner, "log", log)
        replace(task_runner, "set_current_context", contextlib.nullcontext)
        replace(task_runner, "get_hostname", lambda: "worker")
        replace(task_runner, "get_listener_manager", _NoListeners)
        replace(task_runner, "_serialize_rendered_fields", lambda _: {})  # only the UI shows them
        for mixin in (GenericDAGNode, SdkLoggingMixin, CoreLoggingMixin):
            replace(mixin, "log", property(lambda _: log))
        replace(signal, "signal", lambda *_: None)  # a task's own handler, of a process of its own
        stack.enter_context(mock.patch.dict(os.environ))
        _in_threads(replace)
        _with_memories(replace)
        hurry(replace)
        stack.enter_context(separated(core.clock))
        handler, logger = _Handler(log), logging.getLogger(PLUGIN)
        logger.addHandler(handler)
        replace(logger, "propagate", False)
        stack.callback(logger.removeHandler, handler)
        yield


def _in_threads(replace: Callable[[Any, str, Any], None]) -> None:
    """asgiref's threads are those of `asyncio.to_thread`."""
    from airflow.providers.standard.triggers import external_task

    def sync_to_async(call: Callable[..., Any]) -> Callable[..., Any]:
        async def in_thread(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(call, *args, **kwargs)

        return in_thread

    replace(asgiref.sync, "sync_to_async", sync_to_async)
    replace(external_task, "sync_to_async", sync_to_async)


def _with_memories(replace: Callable[[Any, str, Any], None]) -> None:
    import importlib

    for module, names in MEMORIES.items():
        for name in names:
            replace(importlib.import_module(module), name, Memory(f"{module}.{name}"))
