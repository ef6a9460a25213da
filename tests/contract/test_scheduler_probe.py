"""The round trip to the scheduler against an SDK connection that answers as Nova does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from openstack_maintenance.adapters import scheduler_probe
from openstack_maintenance.adapters.scheduler_probe import scheduler_round_trip
from openstack_maintenance.domain.errors import CloudError

NAME = "openstack-maintenance-probe-1"
NO_HOST = "No valid host was found. There are not enough hosts available."


class Compute:
    """Nova as far as the probe uses it; ``faults`` are what its looks at the instance give."""

    def __init__(self, *faults: tuple[str, str | None]) -> None:
        self.faults = list(faults)
        self.flavor_ids = {"f-left": NAME, "f-other": "m1.small"}
        self.server_ids = {"s-left": NAME, "s-other": "web-1"}
        self.bodies: dict[str, Any] = {}

    def get(self, path: str, params: dict[str, str], microversion: str) -> requests.Response:
        if path == "/flavors":
            assert params["is_public"] == "None", "a private flavor is not listed otherwise"
            return answer(200, {"flavors": listed(self.flavor_ids)})
        if path == "/servers":
            assert params["name"] == f"^{NAME}$"
            return answer(200, {"servers": listed(self.server_ids)})
        assert path == "/servers/server-new"
        status, message = self.faults.pop(0) if len(self.faults) > 1 else self.faults[0]
        fault = {"fault": {"message": message}} if message else {}
        return answer(200, {"server": {"status": status, **fault}})

    def post(self, path: str, json: Any, microversion: str) -> requests.Response:
        self.bodies[path] = json
        kind = path.strip("/").removesuffix("s")
        kept = self.flavor_ids if kind == "flavor" else self.server_ids
        kept[f"{kind}-new"] = json[kind]["name"]
        return answer(202, {kind: {"id": f"{kind}-new"}})

    def delete_server(self, server_id: str, ignore_missing: bool) -> None:
        del self.server_ids[server_id]

    def delete_flavor(self, flavor_id: str, ignore_missing: bool) -> None:
        del self.flavor_ids[flavor_id]


def answer(status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    return response


def listed(names: dict[str, str]) -> list[dict[str, str]]:
    return [{"id": key, "name": name} for key, name in names.items()]


def ask(compute: Compute, *images: Any) -> dict[str, Any]:
    image = SimpleNamespace(get=lambda path, **_: answer(200, {"images": list(images)}))
    return scheduler_round_trip(SimpleNamespace(compute=compute, image=image), NAME)  # type: ignore[arg-type]


IMAGE = {"id": "i1", "min_ram": 512}


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_probe.time, "sleep", lambda seconds: None)


def test_the_schedulers_word_is_the_proof_and_nothing_is_left() -> None:
    compute = Compute(("BUILD", None), ("ERROR", NO_HOST))
    found = ask(compute, IMAGE)
    assert (found["asked"], found["answer"]) == (True, NO_HOST)
    assert compute.server_ids == {"s-other": "web-1"}
    assert compute.flavor_ids == {"f-other": "m1.small"}


def test_what_is_asked_for_fits_nowhere_and_needs_no_network() -> None:
    compute = Compute(("ERROR", NO_HOST))
    ask(compute, IMAGE)
    flavor, server = compute.bodies["/flavors"]["flavor"], compute.bodies["/servers"]["server"]
    assert flavor["disk"] == 2_000_000_000 < 2**31
    assert (flavor["ram"], flavor["vcpus"]) == (512, 1)
    assert flavor["os-flavor-access:is_public"] is False
    assert (server["networks"], server["imageRef"]) == ("none", "i1")


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([("ERROR", "Timed out waiting for a reply to message ID 1")], "became ERROR: Timed out"),
        ([("ERROR", None)], "the instance became ERROR: no reason given"),
        ([("ACTIVE", None)], "the instance became ACTIVE"),
    ],
)
def test_any_other_end_is_no_proof_and_nothing_is_left_either(faults: list[Any], said: str) -> None:
    compute = Compute(*faults)
    with pytest.raises(CloudError, match=said):
        ask(compute, IMAGE)
    assert compute.server_ids == {"s-other": "web-1"}
    assert compute.flavor_ids == {"f-other": "m1.small"}


def test_no_answer_in_time_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_probe, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(CloudError, match="no scheduler answered within 0 s"):
        ask(Compute(("BUILD", None)), IMAGE)


def test_without_an_image_it_is_said_that_nothing_was_asked() -> None:
    compute = Compute(("BUILD", None))
    found = ask(compute)
    assert found == {
        "asked": False,
        "reason": "the cloud has no image, which the test request needs",
    }
    assert compute.bodies == {}
