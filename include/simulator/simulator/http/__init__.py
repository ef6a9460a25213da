"""The APIs of the simulated cloud, and the transport that answers `requests` in process."""

from simulator.http.application import Application
from simulator.http.messages import Answer, Request
from simulator.http.transport import Transport

__all__ = ["Answer", "Application", "Request", "Transport"]
