"""The lab's hypervisor: Nova's own fake driver, made to behave like a host.

Guests survive a restart of nova-compute and are off after a reboot of the host.
Live and cold migrations take the time, and fail or are refused, as the lab's
faults say (files in /lab/faults, see FAULTS below).
"""

import collections
import json
import pathlib
import time

from nova import exception
from nova.compute import power_state
from nova.virt import fake
from oslo_log import log as logging
from oslo_messaging.exceptions import MessagingTimeout

LOG = logging.getLogger(__name__)

FAULTS = pathlib.Path("/lab/faults")
GUESTS = pathlib.Path("/var/lib/nova/guests.json")
BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")
MIGRATION_SECONDS = 3.0
BEAT_SECONDS = 0.1
STATS_SECONDS = 1.0


def read_number(fault, default):
    """The number that a fault is set to, or the default."""
    try:
        return float((FAULTS / fault).read_text())
    except FileNotFoundError:
        return default


class NamedFaults:
    """Faults that strike instances by name, some of them only a number of times.

    The file holds a line per instance: its name, or * for all, and perhaps how often.
    """

    def __init__(self):
        self._struck = collections.Counter()

    def strikes(self, fault, instance):
        """Whether the fault is set for this instance and has strikes left."""
        path = FAULTS / fault
        try:
            lines = path.read_text().splitlines()
            set_at = path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        for line in lines:
            name, _, times = line.partition(" ")
            if name not in ("*", instance.display_name, instance.uuid):
                continue
            key = (fault, name, set_at)
            if times and self._struck[key] >= int(times):
                continue
            self._struck[key] += 1
            return True
        return False


class Guests(collections.UserDict):
    """The host's guests by UUID, kept on disk with the boot that they run in."""

    def __init__(self):
        super().__init__()
        try:
            stored = json.loads(GUESTS.read_text())
        except FileNotFoundError:
            return
        rebooted = stored["boot_id"] != BOOT_ID.read_text().strip()
        for uuid, (name, state) in stored["guests"].items():
            if rebooted:
                state = power_state.SHUTDOWN
            self.data[uuid] = fake.FakeInstance(name, state, uuid)
        self.store()

    def __setitem__(self, uuid, guest):
        self.data[uuid] = guest
        self.store()

    def __delitem__(self, uuid):
        del self.data[uuid]
        self.store()

    def set_state(self, uuid, state):
        """Change a guest's power state.

        Raises: InstanceNotFound when it is not here.
        """
        if uuid not in self.data:
            raise exception.InstanceNotFound(instance_id=uuid)
        self.data[uuid].state = state
        self.store()

    def store(self):
        """Write all guests to disk, whole or not at all."""
        guests = {uuid: (guest.name, guest.state) for uuid, guest in list(self.data.items())}
        boot_id = BOOT_ID.read_text().strip()
        draft = GUESTS.with_suffix(f".{time.monotonic_ns()}")
        draft.write_text(json.dumps({"boot_id": boot_id, "guests": guests}))
        draft.replace(GUESTS)


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    """A host of modest size whose guests and migrations have a life of their own."""

    vcpus = 64
    memory_mb = 65536
    local_gb = 2000

    def __init__(self, virtapi, read_only=False):
        super().__init__(virtapi, read_only)
        self.instances = Guests()
        self.faults = NamedFaults()
        self.told = {}

    def get_host_uptime(self):
        """The host's uptime, as the command prints it."""
        seconds = int(float(pathlib.Path("/proc/uptime").read_text().split()[0]))
        return f"up {seconds // 86400} days, {seconds // 3600 % 24}:{seconds // 60 % 60:02d}"

    # A guest's power

    def power_off(self, instance, timeout=0, retry_interval=0):
        """Switch the guest off."""
        self.instances.set_state(instance.uuid, power_state.SHUTDOWN)

    def power_on(
        self,
        context,
        instance,
        network_info,
        block_device_info=None,
        accel_info=None,
        share_info=None,
    ):
        """Switch the guest on."""
        self.instances.set_state(instance.uuid, power_state.RUNNING)

    def pause(self, instance):
        """Freeze the guest."""
        self.instances.set_state(instance.uuid, power_state.PAUSED)

    def unpause(self, instance):
        """Let the guest go on."""
        self.instances.set_state(instance.uuid, power_state.RUNNING)

    def suspend(self, context, instance):
        """Save the guest to disk: like libvirt's, it is then shut off."""
        self.instances.set_state(instance.uuid, power_state.SHUTDOWN)

    def resume(self, context, instance, network_info, block_device_info=None, share_info=None):
        """Bring a suspended guest back."""
        self.instances.set_state(instance.uuid, power_state.RUNNING)

    def unrescue(self, context, instance):
        """End the rescue of the guest."""
        self.instances.set_state(instance.uuid, power_state.RUNNING)

    # Live migration

    def check_can_live_migrate_destination(self, context, instance, *args, **kwargs):
        """Refuse if told so on the destination."""
        self._refuse_if_told(instance)
        return super().check_can_live_migrate_destination(context, instance, *args, **kwargs)

    def check_can_live_migrate_source(self, context, instance, *args, **kwargs):
        """Refuse if told so on the source."""
        self._refuse_if_told(instance)
        return super().check_can_live_migrate_source(context, instance, *args, **kwargs)

    def _refuse_if_told(self, instance):
        if self.faults.strikes("migration-refuse", instance):
            raise exception.MigrationPreCheckError(
                reason=f"the lab's fault migration-refuse is set on {self._host}"
            )

    def live_migration(
        self,
        context,
        instance,
        dest,
        post_method,
        recover_method,
        block_migration=False,
        migrate_data=None,
    ):
        """Migrate for as long as it takes; then complete, cancel or fail."""
        fails = self.faults.strikes("migration-fail", instance)
        self.told[instance.uuid] = None
        try:
            self._copy_memory(instance, migrate_data.migration, 0.5 if fails else 1.0)
            word = self.told[instance.uuid]
        finally:
            del self.told[instance.uuid]
        if word == "abort":
            recover_method(context, instance, dest, migrate_data, migration_status="cancelled")
        elif fails:
            LOG.error(
                "Live migration failed: the lab's fault migration-fail is set", instance=instance
            )
            recover_method(context, instance, dest, migrate_data)
        else:
            post_method(context, instance, dest, block_migration, migrate_data)

    def _copy_memory(self, instance, migration, share):
        """Let time pass and report progress, until done or told to abort or complete."""
        total = instance.flavor.memory_mb * 1024 * 1024
        started = stats_due = time.monotonic()
        while self.told[instance.uuid] is None:
            now = time.monotonic()
            done = min((now - started) / self._seconds(instance), share)
            if now >= stats_due or done >= share:
                self._tell_progress(migration, total, int(total * done))
                stats_due = now + STATS_SECONDS
            if done >= share:
                return
            time.sleep(BEAT_SECONDS)

    @staticmethod
    def _tell_progress(migration, total, processed):
        migration.memory_total = total
        migration.memory_processed = processed
        migration.memory_remaining = total - processed
        migration.disk_total = migration.disk_processed = migration.disk_remaining = 0
        try:
            migration.save()
        except MessagingTimeout:
            # With libvirt the migration would fail now and its instance be in ERROR: whether a
            # report is under way when the broker restarts is chance, and tests cannot hang on it.
            LOG.warning("A report of progress was lost", exc_info=True)

    @staticmethod
    def _seconds(instance):
        """How long a migration of this instance takes; read anew, so that it can be changed."""
        per_gib = read_number("migration-seconds-per-gib", 0.0)
        fixed = read_number("migration-seconds", 0.0 if per_gib else MIGRATION_SECONDS)
        return max(fixed + per_gib * instance.flavor.memory_mb / 1024, BEAT_SECONDS)

    def live_migration_force_complete(self, instance):
        """Complete at once."""
        self._tell(instance, "complete")

    def live_migration_abort(self, instance):
        """Cancel. Also called for what a dead nova-compute left: then there is nothing to do."""
        self._tell(instance, "abort")

    def _tell(self, instance, word):
        if instance.uuid in self.told:
            self.told[instance.uuid] = word

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        """On the source: the guest has gone."""
        self.destroy(context, instance, network_info=None, block_device_info=block_device_info)

    def post_live_migration_at_destination(
        self, context, instance, network_info, block_migration=False, block_device_info=None
    ):
        """On the destination: the guest goes on as it was, paused or running."""
        was = instance.power_state
        super().post_live_migration_at_destination(
            context, instance, network_info, block_migration, block_device_info
        )
        if was == power_state.PAUSED:
            self.instances.set_state(instance.uuid, was)

    # Cold migration

    def migrate_disk_and_power_off(
        self,
        context,
        instance,
        dest,
        flavor,
        network_info,
        block_device_info=None,
        timeout=0,
        retry_interval=0,
    ):
        """On the source: copy for as long as it takes. On failure the instance stays as it was."""
        started = time.monotonic()
        if self.faults.strikes("migration-refuse", instance) or self.faults.strikes(
            "migration-fail", instance
        ):
            raise exception.InstanceFaultRollback(
                exception.MigrationError(reason=f"the lab's fault is set on {self._host}")
            )
        while time.monotonic() - started < self._seconds(instance):
            time.sleep(BEAT_SECONDS)
        self.instances.set_state(instance.uuid, power_state.SHUTDOWN)

    def finish_revert_migration(
        self,
        context,
        instance,
        network_info,
        migration,
        block_device_info=None,
        power_on=True,
        share_info=None,
    ):
        """On the source: the guest is used again."""
        state = power_state.RUNNING if power_on else power_state.SHUTDOWN
        self.instances.set_state(instance.uuid, state)
