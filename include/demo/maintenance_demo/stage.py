"""What must stand before the maintenance: the lab, Airflow, and instances of every kind on c01."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from airflow_local import AirflowLocalError, Home, LocalAirflow
from airflow_local.home import PROJECT, write_private
from maintenance_demo.narrator import Narrator
from openstack_lab import Cloud, Instance, Lab, LabError

HOST = "c01"
# Every kind that can be moved: live while running, live while paused, cold while shut off.
WANTED = {
    "demo-web": ("ACTIVE", 2),
    "demo-batch": ("PAUSED", 1),
    "demo-archive": ("SHUTOFF", 1),
}
LAB_TIMEOUT = 900
LAB_CLOCK = re.compile(r"^\[ *[\d.]+ s\] ")  # the narrator has a clock of its own


def airflow_home() -> Home:
    return Home(PROJECT / ".airflow")


def notes_folder() -> Path:
    return PROJECT / ".demo"


def bring_up(narrator: Narrator, lab: Lab, airflow: LocalAirflow) -> None:
    """Start the lab and Airflow side by side; return when both are ready."""
    with ThreadPoolExecutor(2) as pool:
        starting = [
            pool.submit(_start_lab, narrator, lab),
            pool.submit(_start_airflow, narrator, airflow),
        ]
    for started in starting:
        started.result()


def write_policy(home: Home) -> Path:
    """Write the demo's policy: the lab's deployment, records in Airflow's folder."""
    notes_folder().mkdir(exist_ok=True, mode=0o700)
    policy = notes_folder() / "policy.yaml"
    write_private(policy, f"deployment: lab\nrecords: file://{home.path}/records\n")
    return policy


def put_instances(narrator: Narrator, lab: Lab, cloud: Cloud) -> list[Instance]:
    """See to it that c01 is in service and holds an instance of every kind; return them."""
    _put_into_service(narrator, cloud)
    _remove_former(narrator, cloud)
    for prefix, (status, count) in WANTED.items():
        here = [i for i in cloud.instances(HOST) if _is_of(prefix, i) and i.status == status]
        if missing := count - len(here):
            narrator.say("cloud", f"creating {missing} x {prefix} on {HOST}, {status}")
            lab.create_instances(HOST, missing, status, prefix=prefix)
    found = cloud.instances(HOST)
    for instance in found:
        narrator.say("cloud", f"{instance.name} is on {instance.host}, {instance.status}")
    return found


def _put_into_service(narrator: Narrator, cloud: Cloud) -> None:
    service = cloud.service(HOST)
    if service["status"] != "enabled":
        reason = service["disabled_reason"] or "no reason given"
        narrator.say("cloud", f"{HOST} is disabled ({reason}): enabling it, as its operator may")
        cloud.enable(HOST)
    if (service["status"], service["state"]) != ("enabled", "up"):
        narrator.say("cloud", f"waiting until {HOST} is enabled and up")
        cloud.wait_until_enabled_and_up([HOST])


def _remove_former(narrator: Narrator, cloud: Cloud) -> None:
    """Delete the instances of an earlier demo from where that demo moved them."""
    former = [
        i
        for i in cloud.instances()
        if i.host != HOST and any(_is_of(prefix, i) for prefix in WANTED)
    ]
    if former:
        names = ", ".join(f"{i.name} ({i.host})" for i in former)
        narrator.say("cloud", f"deleting the instances of the last demo: {names}")
        cloud.delete(former)


def _is_of(prefix: str, instance: Instance) -> bool:
    """Whether the lab gave an instance its name from this prefix: prefix-01, prefix-02, ..."""
    return instance.name.startswith(f"{prefix}-")


def _start_lab(narrator: Narrator, lab: Lab) -> None:
    try:
        process = subprocess.Popen(
            [lab.command, "up"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise LabError(f"{lab.command} cannot be run: {error.strerror}.") from error
    for line in process.stdout or ():
        narrator.say("lab", LAB_CLOCK.sub("", line.rstrip()))
    if process.wait(LAB_TIMEOUT) != 0:
        raise LabError("The lab did not come up. Its messages are above.")


def _start_airflow(narrator: Narrator, airflow: LocalAirflow) -> None:
    airflow.start(lambda text: narrator.say("airflow", text))
    narrator.say("airflow", f"ready: {airflow.url}")
    if errors := airflow.api().import_errors():
        raise AirflowLocalError(f"A DAG file cannot be imported: {next(iter(errors.values()))}")
