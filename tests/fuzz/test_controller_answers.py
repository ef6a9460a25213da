"""What a controller answers: read and judged, or refused in one sentence."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_answers import FIXTURES, Loop, ToldShell, as_bytes, mutated, odd_json, odd_texts
from judged import assert_grows_linearly, judged
from openstack_maintenance.adapters.controller import (
    missing_rights,
    read_controller,
    read_history,
    restart_service,
)
from openstack_maintenance.adapters.deployment_files import load_deployment
from openstack_maintenance.domain.checks.cluster_rules import judge_cluster
from openstack_maintenance.domain.checks.controller_facts import SeenController, parse_broker
from openstack_maintenance.domain.checks.finding import Finding
from openstack_maintenance.domain.checks.history import History
from openstack_maintenance.domain.checks.past_night import judge_night
from openstack_maintenance.domain.checks.service_rules import (
    LastCheck,
    judge_services,
    last_check_of,
    plain_last_check,
    read_last_check,
)

LAB = load_deployment("lab", FIXTURES.parents[1] / "include/deployments")
NIGHT = (datetime(2026, 11, 22, 13, 30, tzinfo=UTC), datetime(2026, 11, 22, 13, 45, tzinfo=UTC))


def recorded(name: str) -> list[str]:
    lines = (FIXTURES / f"controller/{name}.txt").read_text().splitlines()
    return [line for line in lines if line and line != "end=ok"]


LOOKS = {name: recorded(name) for name in ("healthy", "broken", "no-sudo", "rabbitmq-3.6")}
HISTORY = recorded("history")
# Few enough lines that each of them is changed now and then.
SHORT = [line for line in LOOKS["healthy"] if not line.startswith(("s2", "s3", "s4", "s5", "s6"))]
NIGHTS = [
    *(line for line in HISTORY if line.startswith(("clock", "boot", "hostname", "User"))),
    *(line for line in HISTORY if line.startswith(("s0.", "s1."))),
    *(line for line in HISTORY if line.startswith("event=")),
][:60]

loop = Loop()


def shell(text: str) -> ToldShell:
    return ToldShell(as_bytes(text))


def plain(groups: dict[str, list[Finding]]) -> None:
    """Verdicts go into XCom, records and pages."""
    for findings in groups.values():
        for finding in findings:
            assert finding.verdict in ("ok", "bad", "absent", "unknown")
            said = f"{finding} {' '.join(finding.journal)}"
            said.encode("utf-8")
            assert "\0" not in said
            assert len(said) < 40_000


def seen(text: str) -> None:
    look: SeenController = loop.run(read_controller(shell(text), LAB))
    plain(judge_services(LAB, look, LastCheck()))
    plain(judge_services(LAB, look, read_last_check(plain_last_check(last_check_of(look)))))
    plain(judge_cluster({"ctl01": look, "ctl02": look}))


def then(text: str) -> None:
    history: History = loop.run(read_history(shell(text), LAB, NIGHT))
    plain(judge_night(LAB, history, NIGHT))


@pytest.mark.parametrize("name", LOOKS)
@given(data=st.data())
def test_any_look_at_a_controller(name: str, data: st.DataObject) -> None:
    judged(seen, data.draw(mutated(LOOKS[name])))


@given(text=mutated(SHORT))
def test_any_short_look_at_a_controller(text: str) -> None:
    judged(seen, text)


@given(text=mutated(NIGHTS))
def test_any_history_of_a_controller(text: str) -> None:
    judged(then, text)


FIELDS = ["MESSAGE_ID", "MESSAGE", "UNIT", "JOB_RESULT", "__REALTIME_TIMESTAMP", "_BOOT_ID"]
VALUES = st.one_of(
    odd_json(),
    st.sampled_from(
        [
            "39f53479d3a045ac8e11786248231fbf",
            "d9b373ed55a64feb8242e02dbe79a49c",
            "d93fb3c9c24d451a97cea615ce59c00b",
            "nova-api.service",
            "1795351816895578",
            "done",
            "main process exited",
        ]
    ),
)
BOOTS = st.lists(
    st.builds(
        "boot={} {} Sun {} UTC{}Sun {} UTC".format,
        st.sampled_from(["0", "-1", "²"]),
        st.sampled_from(["dded529c08f74626b7a3eb8f8caa5207", "a" * 32]),
        st.datetimes().map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
        st.sampled_from(["—", " ", "-" * 30]),
        st.sampled_from(["2026-11-22 13:41:00", "9999-12-31 23:59:59", "٢٠٢٦-11-22 13:41:00"]),
    ),
    max_size=4,
)


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES), max_size=6),
    boots=BOOTS,
    swap=st.booleans(),
)
def test_any_journal(rows: list[Any], boots: list[str], swap: bool) -> None:
    known = [
        line for line in NIGHTS if not line.startswith(("event", "boot=") if swap else "event")
    ]
    events = [f"event={json.dumps(row)[:8_000]}" for row in rows]
    judged(then, "\n".join([*known, *boots, *events, "end=ok"]))


BROKER = json.loads(
    "".join(line[11:] for line in LOOKS["healthy"] if line.startswith("broker.out="))
)
PARTS = ["alarms", "disk_nodes", "ram_nodes", "running_nodes", "partitions"]


@given(part=st.sampled_from(PARTS), value=odd_json(), ending=odd_texts(), cut=st.booleans())
def test_any_json_of_the_broker(part: str, value: Any, ending: str, cut: bool) -> None:
    text = json.dumps({**BROKER, part: value}) + (ending if cut else "")
    lines = [text[at : at + 1_000] for at in range(0, len(text), 1_000)]
    look = "\n".join([*SHORT[:9], "broker.exit=0", *(f"broker.out={each}" for each in lines)])
    judged(seen, f"{look}\nclock_end=2026-11-22T13:44:05+0000\nend=ok")


@pytest.mark.parametrize("deep", ['{"a":', "[", '{"alarms":[[', '{"partitions":{"a":['])
def test_a_deep_json_is_an_answer_that_cannot_be_read(deep: str) -> None:
    text = '{"running_nodes":["a"],"disk_nodes":["a"],"ram_nodes":[],"alarms":' + deep * 3_000
    broker = judged(parse_broker, {"broker.exit": ("0",), "broker.out": (text[:59_000],)})
    assert broker is not None
    assert broker.error.startswith("its answer cannot be read")


@given(text=mutated(["sudo_missing=systemctl reboot", "status=1", "message=no"]))
def test_any_answer_to_an_order(text: str) -> None:
    service = next(iter(LAB))
    judged(lambda: loop.run(missing_rights(shell(text), LAB, "reboot", [service])))
    judged(lambda: loop.run(restart_service(shell(text), LAB, service)))


@given(stored=odd_json(), part=st.sampled_from(["boot_id", "clock", "restarts"]))
def test_any_last_check(stored: Any, part: str) -> None:
    judged(read_last_check, stored)
    last = {"boot_id": "b", "clock": NIGHT[0].isoformat(), "restarts": {"nova-api": 1}}
    last[part] = stored
    look = loop.run(read_controller(shell("\n".join([*LOOKS["healthy"], "end=ok"])), LAB))
    found = judged(read_last_check, {**last, "boot_id": look.boot_id})
    assert found is not None
    judged(judge_services, LAB, look, found)


# Time grows with the length of an answer, not with its square.


def full(lines: list[str], unit: str) -> Callable[[int], str]:
    return lambda size: "\n".join(lines) + "\n" + unit * (size // len(unit)) + "\nend=ok"


EVENT = next(line for line in NIGHTS if "39f53479d3a045ac8e11786248231fbf" in line)
FAREWELL = EVENT.replace("39f53479d3a045ac8e11786248231fbf", "d93fb3c9c24d451a97cea615ce59c00b")
BOOT_LINE = next(line for line in NIGHTS if line.startswith("boot="))
UNITS = {
    "broker": f"broker.out={'a' * 900}\n",
    "erlang": f"broker.out={'{running_nodes,[' * 60}\n",
    "database": "database.out=" + "1\t" * 400 + "\n",
    "keys": "".join(f"s{number}.x=1\n" for number in range(50)),
    "journal": "s0.journal=x\n",
}


@pytest.mark.parametrize("unit", UNITS.values(), ids=list(UNITS))
def test_a_huge_look_is_read_in_a_time_that_grows_with_its_length(unit: str) -> None:
    assert_grows_linearly(seen, full(SHORT, unit))


@pytest.mark.parametrize(
    "unit",
    [f"{EVENT}\n", f"{BOOT_LINE}\n{FAREWELL}\n", f"{BOOT_LINE}\n", f"event={'[' * 900}\n"],
    ids=["events", "boots and farewells", "boots", "deep"],
)
def test_a_huge_history_is_read_in_a_time_that_grows_with_its_length(unit: str) -> None:
    # A million lists wake the garbage collector, which walks whatever else this process holds.
    gc.disable()
    try:
        assert_grows_linearly(then, full(NIGHTS, unit))
    finally:
        gc.enable()


ERLANG = ["{running_nodes,[", "{nodes,", "a@", "{a,[", "{partitions,[", "]}"]


@pytest.mark.parametrize("piece", ERLANG)
def test_a_long_answer_of_an_old_broker_is_read_in_a_time_that_grows_with_its_length(
    piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstack_maintenance.domain.checks.controller_facts._LONGEST_TEXT", 10**9)
    begin = "[{nodes,[{disc,[a@b]}]},{running_nodes,[a@b]},{partitions,[]},{alarms,["

    def read(text: str) -> None:
        middle = len(text) // 2
        for told in (begin + text[:middle], f"[{{nodes,{text[middle:]}{{running_nodes,[]}}"):
            parse_broker({"broker.exit": ("0",), "broker.out": (told,)})

    assert_grows_linearly(read, lambda size: piece * (size // len(piece)))
