"""What triggerers are about to ask of Nova, said to each other: a file for each claim.

The name of the file says all (`domain.drain.claim`), so that to claim is one file written and one
folder listed, on a disk as in an object storage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from openstack_maintenance.domain.drain.claim import Claim, read_claim
from openstack_maintenance.records.store import (
    UNUSABLE,
    list_names,
    records_path,
    unusable_storage,
    write_json,
)

if TYPE_CHECKING:
    from openstack_maintenance.domain.policy import Policy

_FOLDER = "claims"


class Claims:
    """The claims of all triggerers. Every call uses the storage. Raises: PolicyError."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def write(self, claim: Claim) -> None:
        """Say that a migration is about to be asked for."""
        path = records_path(self._policy, _FOLDER, claim.file_name)
        write_json(self._policy, path, {"claimed_by": claim.holder})

    def all(self) -> list[Claim]:
        """Every claim that somebody has written and nobody struck out."""
        names = list_names(self._policy, records_path(self._policy, _FOLDER))
        found = map(read_claim, names)
        return [each for each in found if each is not None]

    def strike(self, claim: Claim) -> None:
        """Nothing is asked for by it, or Nova shows by now what was."""
        try:
            records_path(self._policy, _FOLDER, claim.file_name).unlink(missing_ok=True)
        except UNUSABLE as error:
            raise unusable_storage(self._policy, error) from error
