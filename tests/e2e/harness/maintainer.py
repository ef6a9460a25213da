"""A user of the lab's cloud whose only role is openstack_maintenance, and the policies for it."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from openstack import connect

from airflow_local.home import PROJECT
from openstack_lab import Cloud, Lab

ROLE = "openstack_maintenance"
FOLDER = PROJECT / "include/rights/openstack-policies"
SERVICES = ("nova", "placement", "neutron", "glance")
PYTHON = "/opt/openstack/bin/python"


class Maintainer:
    """Made by `maintainer`; ``user_id`` is whom Nova notes, and ``name`` is called."""

    def __init__(self, lab: Lab, cloud: Cloud) -> None:
        self.lab = lab
        self.identity: Any = cloud.connection.identity
        self.auth_url = cloud.connection.auth["auth_url"]
        self.user_id = self.name = ""
        self.auth: dict[str, str] = {}
        compute, network = cloud.connection.compute, cloud.connection.network
        self._questions: dict[str, Callable[[], object]] = {
            "nova": lambda: list(compute.services()),
            "placement": lambda: list(cloud.connection.placement.resource_providers()),
            "neutron": lambda: list(network.networks()),
            "glance": lambda: list(cloud.connection.image.images()),
        }
        self._made: list[Any] = []
        self._taken: str | None = None

    def create(self) -> None:
        """The commands of docs/least_privilege.md, by API."""
        self.name = name = f"{ROLE}-{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(16)
        role = self.identity.find_role(ROLE)
        if role is None:
            self._made.append(role := self.identity.create_role(name=ROLE))
        self._made.append(project := self.identity.create_project(name=name, domain_id="default"))
        user = self.identity.create_user(
            name=name, domain_id="default", password=password, default_project_id=project.id
        )
        self._made.append(user)
        self.user_id = user.id
        self.identity.assign_project_role_to_user(project, user, role)
        self.auth = self._application_credential(name, password, project.id)

    def _application_credential(self, user: str, password: str, project: str) -> dict[str, str]:
        """Users make these themselves: nobody else may."""
        login = {"username": user, "password": password, "project_id": project}
        own: Any = connect(
            auth={"auth_url": self.auth_url, "user_domain_name": "Default", **login},
            load_yaml_config=False,
            load_envvars=False,
        )
        made = own.identity.create_application_credential(user=self.user_id, name="airflow")
        return {
            "auth_url": self.auth_url,
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        }

    def remove(self) -> None:
        """User, project and role are gone, and with them their credentials."""
        for each in reversed(self._made):
            kind = type(each).__name__.lower()
            getattr(self.identity, f"delete_{kind}")(each)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``openstack.connect``."""
        return {
            "auth_type": "v3applicationcredential",
            "auth": self.auth,
            "region_name": "RegionOne",
            "load_yaml_config": False,
            "load_envvars": False,
        }

    def log_in(self, credentials: Path) -> None:
        """Write these credentials into the folder that Airflow reads."""
        entry = {key: self.options[key] for key in ("auth_type", "auth", "region_name")}
        (credentials / "clouds.yaml").write_text(yaml.safe_dump({"clouds": {"lab": entry}}))

    def install(self) -> None:
        """Install the policy files."""
        self.write({service: text_of(service) for service in SERVICES})

    def take(self, rule: str) -> None:
        """Take one right away; one that was taken before is given back."""
        service = next(each for each in SERVICES if rule in rules_of(each))
        if self._taken not in (None, service):
            self.give_back()
        self.write({service: "".join(_lines(text_of(service), (rule,)))})
        self._taken = service

    def give_back(self) -> None:
        """Give back the right that was taken."""
        if self._taken is not None:
            self.write({self._taken: text_of(self._taken)})
        self._taken = None

    def write(self, files: dict[str, str]) -> None:
        """Write services' policy files as an administrator does; each service has read it.

        oslo.policy reads a changed file at the next request; a second one beside it is still judged
        by the old rules. So one request comes alone.
        """
        orders = []
        for service, text in files.items():
            content = base64.b64encode(text.encode()).decode()
            file = f"/etc/{service}/policy.yaml"
            install = f"sudo install -o root -g {service} -m 640 /dev/stdin {file}.new"
            orders.append(f"echo {content} | base64 -d | {install} && sudo mv {file}.new {file}")
        self.lab.ssh("ctl01", " && ".join(orders))
        for service in files:
            self._questions[service]()

    def uninstall(self) -> None:
        """The services' own defaults again.

        Glance keeps a rule that only goes from its file: there they are written out first.
        """
        self.write({"glance": "".join(_lines(text_of("glance"), tuple(rules_of("glance"))))})
        self.write(dict.fromkeys(SERVICES, "{}\n"))

    def prove(self, service: str) -> str:
        """What make_policies.py says about the file that is installed."""
        return self._run_script(f"{service} --check /etc/{service}/policy.yaml").strip()

    def make(self, service: str) -> str:
        """The policy file that make_policies.py makes for the lab's release."""
        return self._run_script(service)

    def _run_script(self, arguments: str) -> str:
        script = base64.b64encode((FOLDER / "make_policies.py").read_bytes()).decode()
        return self.lab.ssh("ctl01", f"echo {script} | base64 -d | sudo {PYTHON} - {arguments}")


@contextmanager
def maintainer(lab: Lab, cloud: Cloud) -> Iterator[Maintainer]:
    """The user, with the policies installed; both are gone afterwards."""
    made = Maintainer(lab, cloud)
    try:
        made.create()
        made.install()
        yield made
    finally:
        try:
            made.uninstall()
        finally:
            made.remove()


def text_of(service: str) -> str:
    """A policy file of the project."""
    return (FOLDER / f"{service}.yaml").read_text()


def rules_of(service: str) -> dict[str, str]:
    """The rules of a policy file of the project."""
    return dict(yaml.safe_load(text_of(service)))


def _lines(text: str, without: tuple[str, ...]) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if any(line.startswith(f'"{rule}":') for rule in without):
            line = re.sub(rf' or (role:{ROLE}|\(role:{ROLE} and [^"]*\))(?=")', "", line)
        yield line
