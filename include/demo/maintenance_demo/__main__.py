"""The whole demo, from nothing: the lab, Airflow, a maintenance of c01, the proof.

Can be run again: what is up is used, a maintenance under way is followed to its end.
"""

from __future__ import annotations

import argparse
import sys

from airflow_local import AirflowLocalError, LocalAirflow
from airflow_local.home import ADMIN
from maintenance_demo import maintenance, stage
from maintenance_demo.narrator import Narrator
from openstack_lab import Cloud, Lab, LabError


def main() -> int:
    parser = argparse.ArgumentParser("demo", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of Airflow's UI")
    arguments = parser.parse_args()
    try:
        return run(Narrator(), arguments.port)
    except (AirflowLocalError, LabError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        print(
            "demo: fix that, then run `make demo` again, or remove everything with `make "
            "demo-down`.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(
            "\ndemo: interrupted. What is up stays up: `make demo` continues, "
            "`make demo-down` removes it.",
            file=sys.stderr,
        )
        return 130


def run(narrator: Narrator, port: int) -> int:
    lab, home = Lab(), stage.airflow_home()
    policy = stage.write_policy(home)
    environment = lab.airflow_environment() | {"OPENSTACK_MAINTENANCE_POLICY": str(policy)}
    running = LocalAirflow.find_running(home)
    port = running.port if running else port
    airflow = LocalAirflow(home, port=port, environment=environment)

    narrator.heading("A small real OpenStack, and Airflow")
    stage.bring_up(narrator, lab, airflow)
    cloud, api = Cloud(lab.clouds_yaml), airflow.api()
    api.wait_for_dag(maintenance.DAG)

    narrator.heading(f"The maintenance of {stage.HOST}")
    before = maintenance.find_run_under_way(api)
    if before:
        narrator.say("airflow", f"{before.run_id} is still running: following it")
    else:
        instances = stage.put_instances(narrator, lab, cloud)
        before = maintenance.trigger(api, lab, instances)
        narrator.say("airflow", f"triggered {maintenance.DAG} with {maintenance.CONF}")
    state = maintenance.follow(narrator, api, cloud, before)
    for failure in maintenance.failures(api, before.run_id):
        narrator.say("airflow", failure)
    return conclude(narrator, lab, cloud, airflow, before, state)


def conclude(
    narrator: Narrator,
    lab: Lab,
    cloud: Cloud,
    airflow: LocalAirflow,
    before: maintenance.Before,
    state: str,
) -> int:
    """Print the record and the verdicts; 0 when every promise was kept."""
    found = maintenance.find_record(airflow.home.path / "records", before.run_id)
    narrator.heading("The record")
    print(maintenance.readable(found[1]) if found else "there is none")
    narrator.heading("What the cloud says")
    verdicts = [*maintenance.verdicts(cloud, lab, before, state)]
    verdicts.append((found is not None, f"the record is in {found[0] if found else 'no file'}"))
    for is_good, text in verdicts:
        narrator.verdict(is_good, text)
    page = f"{airflow.url}/dags/{maintenance.DAG}/runs/{before.run_id}"
    narrator.heading("Look around")
    print(f"  {page}\n  log in as {ADMIN} with the password {airflow.home.password}")
    print("  `make demo` does it again; `make demo-down` leaves nothing behind")
    return 0 if all(is_good for is_good, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
