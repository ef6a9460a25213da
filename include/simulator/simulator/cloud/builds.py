"""New instances: accepted, scheduled, built, or in ERROR because no host was found."""

from __future__ import annotations

from functools import partial

from simulator.cloud.model import Action, Event, Flavor, Group, Image, Instance
from simulator.cloud.operations import Operations
from simulator.cloud.refusals import MigrationRefused
from simulator.cloud.scheduler import Scheduler
from simulator.cloud.state import State


class Builds:
    """How instances come to be."""

    def __init__(self, state: State, scheduler: Scheduler, operations: Operations) -> None:
        self._state = state
        self._scheduler = scheduler
        self._operations = operations

    def new(
        self,
        name: str,
        flavor: Flavor,
        image: Image | None,
        project: str,
        *,
        user: str = "",
        zone: str | None = None,
        group: Group | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Instance:
        """An instance of Nova's database, on no host. ``image`` None: it boots from a volume."""
        state, now = self._state, self._state.now()
        volumes = [] if image is not None else [state.new_id()]
        instance = Instance(
            id=state.new_id(),
            number=state.new_number(),
            name=name,
            project_id=project,
            user_id=user or f"user-of-{project}",
            flavor=flavor,
            image_id=image.id if image is not None else None,
            created_at=now,
            updated_at=now,
            image_properties=dict(image.properties) if image is not None else {},
            metadata=dict(metadata or {}),
            volumes=volumes,
            zone=zone,
            group=group,
        )
        mark_unsupported(instance, state.settings.newest)
        state.enter(instance)
        return instance

    def create(
        self,
        instance: Instance,
        host: str | None = None,
        who: str = "owner",
        *,
        is_forced: bool = False,
    ) -> None:
        """Have a new instance built. ``host``: the one that was asked for (2.74).

        ``is_forced``: an admin has asked for it as an availability zone (nova:HOST), which no
        filter looks at: a disabled host takes it, too.
        """
        self._state.update(instance, task_state="scheduling")
        action = self._state.begin(instance, "create")
        self._state.note(who, "asks for a new instance", instance.id)
        settings = self._state.settings
        seconds = settings.conductor + settings.scheduling
        self._state.cast(seconds, self._schedule, instance, action, host, is_forced)

    def _schedule(
        self, instance: Instance, action: Action, host: str | None, is_forced: bool
    ) -> None:
        if instance.is_deleted:
            return
        try:
            forced = self._state.hosts[host] if is_forced and host else None
            found = forced or self._scheduler.choose(instance, instance.flavor, only=host)
        except MigrationRefused as refused:
            self._state.blame(instance, refused.message)
            self._state.update(instance, vm_state="error", task_state=None)
            error = (refused.kind, refused.message)
            self._state.step(action, "conductor_schedule_and_build_instances", "ctl01", error)
            return
        amounts = self._state.resources(instance.flavor, instance.is_volume_backed)
        self._state.allocate(instance.id, found.name, amounts)
        self._state.update(instance, task_state=None)
        begin = partial(self._begin, instance, action, found.name)
        self._operations.next(instance, self._state.settings.messaging, begin, found.name)

    def _begin(self, instance: Instance, action: Action, host: str) -> None:
        self._state.place(instance, host)
        step = self._state.begin_step(action, "compute__do_build_and_run_instance", host)
        self._go_on(instance, action, step, ["networking", "block_device_mapping", "spawning"])

    def _go_on(self, instance: Instance, action: Action, step: Event, tasks: list[str]) -> None:
        if not tasks:
            seconds = self._state.settings.building
            self._operations.next(instance, seconds, partial(self._built, instance, action, step))
            return

        def change() -> None:
            self._state.update(instance, task_state=tasks[0])
            self._go_on(instance, action, step, tasks[1:])

        self._operations.next(instance, self._state.settings.messaging, change)

    def _built(self, instance: Instance, action: Action, step: Event) -> None:
        self._state.end_step(action, step)
        self.launch(instance)

    def launch(self, instance: Instance) -> None:
        """Its guest runs where it has been placed."""
        self._state.start_guest(instance, instance.host or "")
        self._state.update(
            instance,
            vm_state="active",
            task_state=None,
            power_state=1,
            launched_at=self._state.now(),
        )

    def add(self, instance: Instance, host: str, *, is_running: bool = True) -> Instance:
        """An instance that is there since before the story: placed, allocated, launched."""
        amounts = self._state.resources(instance.flavor, instance.is_volume_backed)
        self._state.allocate(instance.id, host, amounts)
        self._state.place(instance, host)
        if is_running:
            self.launch(instance)
        else:
            self._state.update(
                instance, vm_state="stopped", power_state=4, launched_at=self._state.now()
            )
        instance.former_host = instance.moved_at = None
        return instance


def mark_unsupported(instance: Instance, newest: int) -> None:
    """What Nova never live-migrates. Source: nova.compute.api.reject_sev_instances and others."""
    instance.unsupported.pop("live-migration", None)
    properties = {**instance.image_properties, **instance.flavor.extra_specs}
    lived = "Operation 'live-migration' not supported for {}-enabled instance ({})."
    if "true" in (properties.get("hw:mem_encryption"), properties.get("hw_mem_encryption")):
        instance.unsupported["live-migration"] = lived.format("SEV", instance.id)
    if newest < 101 and (properties.get("hw:tpm_version") or properties.get("hw_tpm_version")):
        instance.unsupported["live-migration"] = lived.format("vTPM", instance.id)
