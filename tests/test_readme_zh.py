"""The Chinese README says what the English one says, section by section."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ENGLISH, CHINESE = PROJECT / "README.md", PROJECT / "README.zh-CN.md"
TO_CHINESE, TO_ENGLISH = "[中文](README.zh-CN.md)", "[English](README.md)"


@dataclass
class Section:
    """A heading and what stands under it, down to the next heading."""

    level: int
    title: str
    code: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)

    def rows(self) -> list[str]:
        return [line for line in self.prose if line.startswith("|")]


def sections_of(text: str) -> list[Section]:
    sections = [Section(0, "before the title")]
    fenced = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        if fence:
            fenced = not fenced
        if fence or fenced or line.startswith("    "):
            sections[-1].code.append(line)
        elif heading := re.match(r"(#+) (.+)", line):
            sections.append(Section(len(heading[1]), heading[2]))
        elif line not in (TO_CHINESE, TO_ENGLISH):
            sections[-1].prose.append(line)
    return sections


def commands_of(section: Section) -> list[str]:
    """The lines of code without their comments, which are translated."""
    return [re.sub(r"(^|\s)#\s.*", "", line).rstrip() for line in section.code]


def inline_code_of(section: Section) -> set[str]:
    return set(re.findall(r"`([^`]+)`", " ".join(section.prose)))


def targets_of(section: Section) -> list[str]:
    """Where links and images lead, in order; an image's begins with an exclamation mark."""
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", " ".join(section.prose))
    return [mark + target for mark, target in links]


def table_rows_of(section: Section) -> list[tuple[int, list[str]]]:
    """For each row how many cells it has, and the code in them."""
    return [(row.count("|") - 1, sorted(re.findall(r"`[^`]+`", row))) for row in section.rows()]


def list_items_of(section: Section) -> list[str]:
    return [item[1] for line in section.prose if (item := re.match(r"(\d+\.|[-*]) ", line))]


def numbers_of(section: Section) -> set[str]:
    lines = [section.title, *section.code, *section.prose]
    return set(re.findall(r"\d+(?:[.:]\d+)*", " ".join(lines)))


def differing(of: Callable[[Section], object]) -> dict[str, tuple[object, object]]:
    """By the English title: what stands in a section of the one file and not of the other."""
    pairs = zip_longest(
        sections_of(ENGLISH.read_text()),
        sections_of(CHINESE.read_text()),
        fillvalue=Section(0, "no such section"),
    )
    return {en.title: (of(en), of(zh)) for en, zh in pairs if of(en) != of(zh)}


@pytest.mark.parametrize("file, link", [(ENGLISH, TO_CHINESE), (CHINESE, TO_ENGLISH)])
def test_each_readme_leads_to_the_other_right_below_its_title(file: Path, link: str) -> None:
    title, empty, below = file.read_text().splitlines()[:3]
    assert (title[:2], empty, below) == ("# ", "", link)


def test_both_readmes_have_the_same_headings_in_the_same_order() -> None:
    levels = [section.level for section in sections_of(ENGLISH.read_text())]
    assert [section.level for section in sections_of(CHINESE.read_text())] == levels


def test_every_section_gives_the_same_commands() -> None:
    assert differing(commands_of) == {}


def test_every_section_names_the_same_files_tasks_and_fields() -> None:
    assert differing(inline_code_of) == {}


def test_every_section_has_the_same_links_and_images() -> None:
    assert differing(targets_of) == {}


def test_every_table_has_the_same_rows_in_the_same_order() -> None:
    assert differing(table_rows_of) == {}


def test_every_list_has_the_same_items() -> None:
    assert differing(list_items_of) == {}


def test_every_number_of_the_english_stands_in_the_chinese() -> None:
    """Defaults and sizes change. The Chinese has more of them: November is the month 11."""
    missing = {
        en.title: lost
        for en, zh in zip(
            sections_of(ENGLISH.read_text()), sections_of(CHINESE.read_text()), strict=True
        )
        if (lost := numbers_of(en) - numbers_of(zh))
    }
    assert missing == {}
