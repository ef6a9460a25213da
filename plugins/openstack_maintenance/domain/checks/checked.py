"""What all checks together found, at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from openstack_maintenance.domain.checks.controller_facts import SeenController
from openstack_maintenance.domain.checks.finding import Finding, faults_in_words


@dataclass(frozen=True)
class Checked:
    """One round of all checks.

    ``seen``: the controllers that could be read. ``services``: findings by controller, of one
    that could not be read the reason. ``cloud``: findings by check, over all controllers and APIs.
    """

    seen: Mapping[str, SeenController]
    services: Mapping[str, list[Finding]]
    cloud: Mapping[str, list[Finding]]

    def service_faults(self, host: str, but: Collection[str] = ()) -> str:
        """What is bad on one controller, in one line, apart from some services."""
        return faults_in_words(each for each in self.services[host] if each.name not in but)

    @property
    def cloud_faults(self) -> str:
        """What is bad with the cluster or an API, in one line."""
        return faults_in_words(each for findings in self.cloud.values() for each in findings)

    @property
    def faults(self) -> list[str]:
        """Everything that is bad: a line for each controller, and one for the cloud."""
        told = {f"controller {host}": self.service_faults(host) for host in self.services}
        told["cloud"] = self.cloud_faults
        return [f"{subject}: {text}" for subject, text in told.items() if text]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many findings have each verdict."""
        found = [
            each.verdict
            for part in (self.services, self.cloud)
            for fs in part.values()
            for each in fs
        ]
        return {verdict: found.count(verdict) for verdict in sorted(set(found))}
