"""What a program says on stderr is never taken for a part of its answer.

Every script of adapters/remote: where stdout and stderr may go into one text, it is a message.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from openstack_maintenance.domain.host.answers import parse_answers
from openstack_maintenance.domain.host.reboot_reasons import needs_restarting

FIXTURES = Path(__file__).parents[1] / "fixtures"
REMOTE = Path(__file__).parents[2] / "plugins/openstack_maintenance/adapters/remote"
# One text of both: only where it is kept as the words of an error, or shown as they are.
BOTH = re.compile(r"2>&1")
FOR_PEOPLE = re.compile(r"error=|>/dev/null 2>&1|journalctl --no-pager|logs --tail")


@pytest.mark.parametrize("script", sorted(REMOTE.glob("*.sh")), ids=lambda path: path.stem)
def test_both_streams_in_one_text_are_words_for_a_person(script: Path) -> None:
    mixed = [line for line in script.read_text().splitlines() if BOTH.search(line)]
    assert [line for line in mixed if not FOR_PEOPLE.search(line)] == []


def run(
    script: str, name: str, fixtures: str, folder: Path, *arguments: str
) -> dict[str, list[str]]:
    programs = f"{folder / 'bin'}:{FIXTURES / fixtures / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", script, name, *arguments],
        env={"PATH": programs, "FAKE_HOST": str(folder), "FAKE": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    answers = parse_answers(done.stdout)
    assert answers is not None, done
    return {key: list(values) for key, values in answers.items()}


def program(folder: Path, name: str, text: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_warning_of_needs_restarting_tears_no_line_of_its_answer(tmp_path: Path) -> None:
    """A warning without a line's end used to be one line with what came next."""
    program(tmp_path, "needs-restarting", "printf 'warning: ' >&2\necho Reboot is required; exit 1")
    common = (REMOTE / "common.sh").read_text()
    script = f"{common}\n{_part('facts', 'if command -v needs-restarting', 'fi')}\nsay end ok\n"
    found = run(script, "facts", "host", tmp_path)
    reason, unread = needs_restarting(found["needs_restarting"][0], found["needs_restarting_line"])
    assert (reason, unread) == ("needs-restarting wants a reboot", None)


def test_a_memcached_is_alive_whatever_the_shell_says_beside_its_answer(tmp_path: Path) -> None:
    program(tmp_path, "bash", "echo 'bash: warning: here-document' >&2; echo VERSION 1.6.18")
    cache = f"{_part('controller', 'tell()', '}')}\n{_part('controller', 'cache()', '}')}\ncache"
    script = f"{(REMOTE / 'common.sh').read_text()}\n{cache}\nsay end ok\n"
    found = run(script, "controller", "controller", tmp_path)
    assert found["cache.exit"] == ["0"]
    assert found["cache.out"] == ["VERSION 1.6.18"]


def _part(script: str, begins: str, ends: str) -> str:
    """The lines of a script from one to another: the rest of it needs a whole host."""
    text = (REMOTE / f"{script}.sh").read_text()
    found = re.search(
        rf"^{re.escape(begins)}.*?^{re.escape(ends)}$", text, re.MULTILINE | re.DOTALL
    )
    assert found is not None, f"{script}.sh has no {begins}"
    return found[0]
