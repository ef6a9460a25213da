"""A run's record as a page that a person reads."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_TEMPLATE = Path(__file__).with_name("record_page.html.j2")


def _when(moment: str | None) -> str:
    """An ISO time in UTC as a person reads it, to the second."""
    if not moment:
        return "?"
    return datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def page_of(record: dict[str, Any], template: Path = _TEMPLATE) -> str:
    """One self-contained HTML page; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["when"] = _when
    return environment.from_string(template.read_text()).render(record=record)
