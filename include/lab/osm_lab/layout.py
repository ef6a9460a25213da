"""Names, addresses and folders of a lab."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError

HOME = Path(__file__).resolve().parent.parent
CONTROLLER = "ctl01"
DEFAULT_SUBNET = "172.31.240.0/24"
SPARE_SUBNETS = tuple(f"172.31.{third}.0/24" for third in range(241, 250))
MAX_COMPUTES = 40
# Hosts whose nova-compute logs "Connected to AMQP server", as only some real ones do.
AMQP_LOGGING_COMPUTES = ("c01", "c02")
ZONES = {"c02": "Asia/Shanghai"}
PORTS = {"identity": 5000, "placement": 8778, "compute": 8774, "network": 9696, "image": 9292}


@dataclass(frozen=True)
class Host:
    """A node of the lab."""

    name: str
    address: str
    zone: str

    @property
    def is_controller(self) -> bool:
        """Whether the cloud's services run here rather than guests."""
        return self.name == CONTROLLER


@dataclass(frozen=True)
class Names:
    """What everything of one lab is called in Docker, and where it keeps its state."""

    lab: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]{0,12}", self.lab):
            raise LabError(
                f"{self.lab!r} cannot name a lab: use at most 12 lower-case letters and digits."
            )

    @property
    def state(self) -> Path:
        """The lab's state folder."""
        return HOME / (f".state-{self.lab}" if self.lab else ".state")

    @property
    def network(self) -> str:
        """The Docker network."""
        return f"osm-lab-{self.lab}-net" if self.lab else "osm-lab-net"

    @property
    def label(self) -> str:
        """The label that everything of this lab carries."""
        return f"osm-lab={self.lab or 'default'}"

    def container(self, host: str) -> str:
        """The container of a host."""
        return f"osm-lab-{self.lab}-{host}" if self.lab else f"osm-lab-{host}"


def make_hosts(subnet: str, computes: int) -> list[Host]:
    """The controller at .10 and the computes from .11 on."""
    if not 1 <= computes <= MAX_COMPUTES:
        raise LabError(f"A lab has 1 to {MAX_COMPUTES} computes, not {computes}.")
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise LabError(f"{subnet!r} is not an IPv4 subnet such as {DEFAULT_SUBNET}.") from error
    if network.prefixlen > 24:
        raise LabError(f"The subnet {subnet} is too small: the lab needs a /24 or larger.")
    names = [CONTROLLER] + [f"c{number:02d}" for number in range(1, computes + 1)]
    return [
        Host(name, str(network[10 + index]), ZONES.get(name, "Etc/UTC"))
        for index, name in enumerate(names)
    ]
