"""What a sentence of a red run tells an operator to do."""

from __future__ import annotations

import pytest

from simulator.reading import Way, commands_in, is_patience_asked, way_on

TASKS = ["check_host", "migrate_instance", "list_arrivals", "reboot", "wait_for_host"]


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("Fix the cause, then clear this task with Downstream.", Way("clear", "reboot")),
        (
            "when it is up again, clear wait_for_host with Downstream.",
            Way("clear", "wait_for_host"),
        ),
        (
            "clear list_arrivals with Downstream, or clear reboot: it goes on.",
            Way("clear", "list_arrivals"),
        ),
        ("Then clear the run's failed tasks.", Way("clear failed")),
        ("Or mark migrate_instance as success.", Way("vouch", "migrate_instance")),
        ("Wait for that run, or end it, then run again. Nothing was changed.", Way("again")),
        ("Run it again with on_blocked=stop.", Way("again", params={"on_blocked": "stop"})),
        ("ignore_window=true, trigger a new run", Way("again", params={"ignore_window": True})),
        ("The moon is in the wrong house.", None),
    ],
)
def test_a_sentence_tells_one_way_to_go_on(text: str, way: Way | None) -> None:
    assert way_on(text, TASKS, ["reboot"]) == way


def test_commands_are_read_once_and_without_the_clients_name() -> None:
    text = (
        "Type `openstack server start 7f`, then `openstack server start 7f` once more. "
        "See `journalctl -u x`."
    )

    assert commands_in(text) == ["server start 7f"]
    assert is_patience_asked("Wait for it.")
    assert not is_patience_asked("awaited")
