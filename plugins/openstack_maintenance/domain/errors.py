"""What can go wrong, each with the words an operator needs at 01:30."""

from __future__ import annotations

from openstack_maintenance.domain.foreign_text import shortened, storable

# An error goes into logs, XComs, records and Nova's disabled_reason: it is never as long as what
# a host or a proxy answered. A remedy may list every blocker of a host.
_LONGEST = {"subject": 500, "found": 4_000, "remedy": 12_000}
# Of several errors in one sentence.
LONGEST_SENTENCE = 16_000


class MaintenanceError(Exception):
    """A step cannot go on: says the subject, what was found, and what to do."""

    def __init__(self, subject: str, found: str, remedy: str) -> None:
        self.subject = _bounded("subject", subject)
        self.found = _bounded("found", found)
        self.remedy = _bounded("remedy", remedy)
        super().__init__(self.subject, self.found, self.remedy)

    def __str__(self) -> str:
        return f"{self.subject}: {self.found.rstrip('.')}. {self.remedy}"


def error_payload(error: MaintenanceError) -> dict[str, str]:
    """An error as plain JSON, for XComs and trigger events."""
    return {"subject": error.subject, "found": error.found, "remedy": error.remedy}


class PolicyError(MaintenanceError):
    """A policy or deployment file cannot be used: nothing was changed; fix the file."""


class ConnectionMissing(MaintenanceError):
    """An Airflow connection is not there, or lacks a part: nothing was sent anywhere."""


class CloudError(MaintenanceError):
    """OpenStack refused, or did not answer: nothing is assumed about what was asked."""


class HostError(MaintenanceError):
    """A host could not be reached or read over SSH: nothing is assumed about its state."""


class CheckFailed(MaintenanceError):
    """A check read the facts and they are not as they must be: the host stays as it is."""


class Blocked(MaintenanceError):
    """The pre-check found blockers: nothing was changed."""


class OwnershipLost(MaintenanceError):
    """The host no longer carries this run's mark: somebody else decides about it now."""


class MigrationFailed(MaintenanceError):
    """An instance did not move: it is where Nova says it is, and the host is not rebooted."""


class RecordUnreadable(MaintenanceError):
    """What a run has left in the records cannot be read: nothing is assumed in its place."""


def _bounded(part: str, text: object) -> str:
    return shortened(str(storable(text)), _LONGEST[part])
