"""What Nova is told to do to a compute service, an instance or a migration: one order each."""

from __future__ import annotations

from openstack import exceptions as sdk_errors

from openstack_maintenance.adapters.compute_api import ComputeApi
from openstack_maintenance.domain.cloud import ComputeService, Migration


class NovaOrders(ComputeApi):
    """Orders to Nova. Each raises CloudError where Nova refuses; none waits for its effect."""

    def disable(self, service: ComputeService, reason: str) -> None:
        """Take a nova-compute service out of scheduling, with a reason of at most 255."""
        with self._errors(f"host {service.host}"):
            self._compute.update_service(
                service.id, status="disabled", disabled_reason=reason[:255]
            )

    def enable(self, service: ComputeService) -> None:
        """Give a nova-compute service back to scheduling."""
        with self._errors(f"host {service.host}"):
            self._compute.update_service(service.id, status="enabled")

    def live_migrate(self, instance_id: str, destination: str | None, block_migration: str) -> None:
        """Ask for a live migration; Nova's scheduler checks a named destination, too."""
        flag = block_migration if block_migration == "auto" else block_migration == "true"
        with self._errors(f"instance {instance_id}"):
            # The SDK asks with 2.30: there Nova holds its answer back until the pre-check is done.
            answer = self._compute.post(
                f"/servers/{instance_id}/action",
                json={"os-migrateLive": {"host": destination, "block_migration": flag}},
                microversion="2.34",
            )
            sdk_errors.raise_from_response(answer)

    def cold_migrate(self, instance_id: str, destination: str | None) -> None:
        """Ask for a cold migration; it must be confirmed when it has arrived."""
        with self._errors(f"instance {instance_id}"):
            self._compute.migrate_server(instance_id, host=destination)

    def confirm(self, instance_id: str) -> None:
        """Confirm a cold migration that has arrived."""
        with self._errors(f"instance {instance_id}"):
            self._compute.confirm_server_resize(instance_id)

    def stop_guest(self, instance_id: str) -> None:
        """Shut a guest down, as its owner would."""
        with self._errors(f"instance {instance_id}"):
            self._compute.stop_server(instance_id)

    def start_guest(self, instance_id: str) -> None:
        """Start a guest that is SHUTOFF."""
        with self._errors(f"instance {instance_id}"):
            self._compute.start_server(instance_id)

    def reset_state(self, instance_id: str) -> None:
        """Have Nova show an instance as active and without a task, whatever it shows now."""
        with self._errors(f"instance {instance_id}"):
            self._compute.reset_server_state(instance_id, "active")

    def abort(self, migration: Migration) -> None:
        """Abort a live migration: running from 2.24 on, queued or preparing from 2.65 on."""
        with self._errors(f"instance {migration.instance_id}"):
            self._compute.abort_server_migration(migration.id, migration.instance_id)

    def force_complete(self, migration: Migration) -> None:
        """Let a running live migration end at the cost of a pause of the guest."""
        with self._errors(f"instance {migration.instance_id}"):
            self._compute.force_complete_server_migration(migration.id, migration.instance_id)
