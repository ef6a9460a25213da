"""The project's promises about itself: what is committed, and how its parts depend."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import write_licenses

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = "openstack_maintenance"
DAG_FILE_LINES = 80
LOCKS = [
    "requirements.txt",
    "requirements-dev.txt",
    "include/compose/requirements.txt",
    "include/bench/clients.txt",
]


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    files = (PROJECT / name for name in listed.split("\0") if name)
    return [file for file in files if file.is_file()]


def text_of(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


def pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / lock).read_text(), re.MULTILINE)
    return dict(found)


def test_dependencies_point_down_and_the_domain_is_pure() -> None:
    """The contracts in pyproject.toml, checked by import-linter."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=PROJECT,
        env={"PYTHONPATH": "plugins", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Contracts: 5 kept, 0 broken" in done.stdout


def test_airflow_does_not_execute_the_package_module_by_module() -> None:
    """Without this line Airflow runs every module of the package as a plugin of its own."""
    ignored = (PROJECT / "plugins/.airflowignore").read_text().splitlines()
    assert f"{PACKAGE}/" in ignored


def test_nothing_committed_names_a_package_registry() -> None:
    # Put together here, so that this file does not name what it forbids.
    hosts = [".".join(parts) for parts in (["pypi", "org"], ["pythonhosted", "org"])]
    hosts += [".".join(parts) for parts in (["registry", "npmjs"], ["deb", "debian", "org"])]
    named = [
        f"{file.relative_to(PROJECT)}: {host}"
        for file in committed_files()
        for host in hosts
        if host in text_of(file)
    ]
    assert named == []


def test_the_locks_are_all_there_are_and_each_is_audited_and_compiled() -> None:
    hashed = {
        str(file.relative_to(PROJECT))
        for file in committed_files()
        if file.suffix == ".txt" and "--hash=sha256:" in text_of(file)
    }
    assert hashed == set(LOCKS)
    audited = re.search(r"^locks=\((.*)\)$", text_of(PROJECT / "include/airflow/audit"), re.M)
    compiled = re.search(
        r"^for name in (.*); do$", text_of(PROJECT / "include/airflow/compile-locks"), re.M
    )
    assert audited and audited[1].split() == LOCKS
    assert compiled and [f"{name}.txt" for name in compiled[1].split()] == LOCKS


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_is_pinned_with_hashes(lock: str) -> None:
    blocks = re.split(r"^(?=[a-zA-Z0-9])", (PROJECT / lock).read_text(), flags=re.MULTILINE)
    packages = [block for block in blocks if re.match(r"[\w.-]+", block)]
    assert packages
    unpinned = [b.splitlines()[0] for b in packages if "==" not in b or "--hash=sha256:" not in b]
    assert unpinned == []


def test_the_locks_say_the_same_about_the_packages_they_share() -> None:
    project, tests = pins("requirements.txt"), pins("requirements-dev.txt")
    differing = {
        n: (project[n], tests[n]) for n in project.keys() & tests if project[n] != tests[n]
    }
    assert differing == {}


@pytest.mark.parametrize("source", [lock.replace(".txt", ".in") for lock in LOCKS])
def test_the_lock_holds_what_its_source_asks_for(source: str) -> None:
    lock = pins(source.replace(".in", ".txt"))
    wanted = re.findall(r"^([\w.-]+)(?:==(\S+))?", (PROJECT / source).read_text(), re.MULTILINE)
    missing = [
        name
        for name, version in wanted
        if not name.startswith("-")
        and lock.get(name.lower()) not in ({version} if version else lock.values())
    ]
    assert missing == []


def test_the_page_of_licences_names_what_is_pinned_and_knows_every_licence() -> None:
    page = (PROJECT / "docs/licenses.md").read_text()
    rows = re.findall(r"^\| (\w[\w.-]*) \| (\d\S*) \| (.+) \|$", page, re.MULTILINE)
    assert {name: version for name, version, _ in rows} == pins("requirements.txt")
    assert [name for name, _, licence in rows if licence == write_licenses.UNKNOWN] == []
    assert page == write_licenses.page(), "run `make licenses`"


def test_dag_files_are_short_enough_to_read() -> None:
    long = {
        file.name: lines
        for file in (PROJECT / "dags").glob("*.py")
        if (lines := len(file.read_text().splitlines())) > DAG_FILE_LINES
    }
    assert long == {}


def test_ci_runs_the_command_the_readme_gives() -> None:
    assert (PROJECT / ".ci/run").read_text().rstrip().endswith("make test")
    assert "make test" in (PROJECT / "README.md").read_text()
