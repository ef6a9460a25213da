"""The state of a cloud and Nova's behaviour: no HTTP, no real time, no real chance."""

from simulator.cloud.cloud import Cloud
from simulator.cloud.settings import ColdEnd, LiveEnd, Settings

__all__ = ["Cloud", "ColdEnd", "LiveEnd", "Settings"]
