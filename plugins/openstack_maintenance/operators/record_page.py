"""A run's record as a page that a person reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

_TEMPLATE = Path(__file__).with_name("record_page.html.j2")
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NOTHING = "-"


def page_of(record: dict[str, Any], template: Path = _TEMPLATE) -> str:
    """One self-contained HTML page; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"when": _when, "seconds": _seconds, "shown": shown}
    return environment.from_string(template.read_text()).render(record=record)


def shown(value: Any) -> Markup:
    """Any plain JSON as a person reads it: yes and no, times in UTC, tables and lists."""
    if isinstance(value, Mapping) and value:
        row = Markup("<tr><th>{}</th><td>{}</td></tr>")
        rows = Markup().join(row.format(key, shown(each)) for key, each in value.items())
        return Markup('<table class="inner">{}</table>').format(rows)
    if isinstance(value, list) and value:
        return _listed(value)
    return Markup("{}").format(_scalar(value))


def _listed(values: list[Any]) -> Markup:
    """One after the other where each is a word or a time, else each on a line of its own."""
    if all(not isinstance(each, (Mapping, list)) and " " not in str(each) for each in values):
        return Markup(", ").join(map(shown, values))
    lines = Markup().join(Markup("<li>{}</li>").format(shown(each)) for each in values)
    return Markup("<ul>{}</ul>").format(lines)


def _scalar(value: Any) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, str) and _ISO_TIME.fullmatch(value):
        return _when(value)
    return str(value) if value or value == 0 else _NOTHING


def _when(moment: str | None) -> str:
    """An ISO time in UTC as a person reads it, to the second."""
    if not moment:
        return "?"
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _seconds(length: float | None) -> str:
    return _NOTHING if length is None else f"{length:.1f}"
