"""Where an instance's guest was seen, once a dying control plane has left it in a wrong state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openstack_maintenance.domain.cloud import NOSTATE, POWER_NAMES, RUNNING, Instance, Migration

_ANSWERS_FOR = frozenset({"active", "error"})


@dataclass(frozen=True)
class Look:
    """One host was looked at for a guest's process. ``runs`` None: it is not known, ``why``."""

    host: str
    runs: bool | None
    why: str = ""


def seen_in_words(looks: Iterable[Look]) -> str:
    """Where the guest was seen, where not, and where nobody could look."""
    looks = list(looks)
    seen, unseen = _hosts(looks, True), _hosts(looks, False)
    said = []
    if seen:
        said.append(f"its guest runs on {_and(seen)}")
        said += [f"not on {_and(unseen)}"] if unseen else []
    elif unseen:
        said.append(f"no process of its guest was found on {_and(unseen)}")
    dark = (each for each in looks if each.runs is None)
    said += [f"{each.host} could not be looked at ({each.why.rstrip('.')})" for each in dark]
    return "; ".join(said)


def remedy_for(instance: Instance, looks: Sequence[Look]) -> str:
    """What a person does now, with the command to type."""
    here, seen, dark = instance.host, _hosts(looks, True), _hosts(looks, None)
    run = f"run `openstack server set --state active {instance.id}`"
    if len(seen) > 1:
        return (
            f"Its process on one of {_and(seen)} is left over from the migration: find out which "
            "(`virsh list --all` on both) and end that one. If the other is on "
            f"{here}, {run}, then clear this task."
        )
    if seen and seen != [here]:
        return (
            f"Do not set its state to active yet: Nova shows it on {here}. Have the host in Nova's "
            f"record of the instance set to {seen[0]}, {run}, then clear this task."
        )
    if dark:
        return (
            f"Look for it on {_and(dark)} (`virsh list --all`). If it runs on {here} and nowhere "
            f"else, {run}, then clear this task."
        )
    if seen:
        return f"{run[0].upper()}{run[1:]}, then clear this task."
    return (
        f"Its guest seems to be off. {run[0].upper()}{run[1:]}, then "
        f"`openstack server reboot --hard {instance.id}` if it must run, then clear this task."
    )


def why_not_repaired(
    instance: Instance, looks: Sequence[Look], under_way: Sequence[Migration]
) -> str | None:
    """Why the run must not set the instance's state right; None where it may.

    ``under_way``: the migrations of the instance that somebody still works on.
    """
    if under_way:
        return f"its migration {under_way[-1].uuid} is {under_way[-1].status}"
    if _hosts(looks, None):
        return "not every host could be looked at"
    if _hosts(looks, True) != [instance.host]:
        return f"its guest was not seen on {instance.host} alone, where Nova shows it"
    if instance.vm_state not in _ANSWERS_FOR:
        return f"its vm_state is {instance.vm_state}"
    if instance.power_state not in (NOSTATE, RUNNING):
        power = POWER_NAMES.get(instance.power_state, str(instance.power_state))
        return f"Nova shows its power_state as {power}"
    return None


def _hosts(looks: Iterable[Look], runs: bool | None) -> list[str]:
    return [each.host for each in looks if each.runs is runs]


def _and(hosts: Sequence[str]) -> str:
    return " and ".join(hosts)
