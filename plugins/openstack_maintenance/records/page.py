"""A run's record as a page that a person reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError
from markupsafe import Markup

from openstack_maintenance.domain.foreign_text import storable
from openstack_maintenance.domain.moment import read_moment
from openstack_maintenance.domain.record_name import file_name

_PAGES = Path(__file__).with_name("pages")
# Which page shows the record of which DAG's run.
PAGES = {
    "compute_host_maintenance": "host",
    "nightly_compute_maintenance": "night",
    "controller_checks": "checks",
    "controller_maintenance": "controllers",
}
_PLAIN = "plain"
_ISO_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NOTHING = "-"
_MOST_SECONDS = 1e12
# What a record of another shape, such as an older release's, can raise in a template.
_NOT_ITS_SHAPE = (
    TemplateError,
    TypeError,
    ValueError,
    AttributeError,
    LookupError,
    ArithmeticError,
)


def page_of(record: Any, page: str | None = None) -> str:
    """One self-contained HTML page; every value is escaped, and no value can make it fail.

    ``page``: one of PAGES, by default what the record's ``dag_id`` says. A record of another shape
    is shown as it is.
    """
    record = storable(record)
    try:
        return _template(page or PAGES[record["dag_id"]]).render(record=record)
    except _NOT_ITS_SHAPE:
        return _template(_PLAIN).render(record=record)


@cache
def _template(page: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "when": _when,
        "seconds": _seconds,
        "shown": shown,
        "file_name": file_name,
    }
    return environment.from_string((_PAGES / f"{page}.html.j2").read_text(encoding="utf-8"))


def shown(value: Any) -> Markup:
    """Any plain JSON as a person reads it: yes and no, times in UTC, tables and lists."""
    return _shown(storable(value))


def _shown(value: Any) -> Markup:
    if isinstance(value, Mapping) and value:
        row = Markup("<tr><th>{}</th><td>{}</td></tr>")
        rows = Markup().join(row.format(key, _shown(each)) for key, each in value.items())
        return Markup('<table class="inner">{}</table>').format(rows)
    if isinstance(value, list) and value:
        return _listed(value)
    return Markup("{}").format(_scalar(value))


def _listed(values: list[Any]) -> Markup:
    """One after the other where each is a word or a time, else each on a line of its own."""
    if all(not isinstance(each, (Mapping, list)) and " " not in str(each) for each in values):
        return Markup(", ").join(map(_shown, values))
    lines = Markup().join(Markup("<li>{}</li>").format(_shown(each)) for each in values)
    return Markup("<ul>{}</ul>").format(lines)


def _scalar(value: Any) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, str) and _ISO_TIME.fullmatch(value):
        return _when(value)
    return str(value) if value or value == 0 else _NOTHING


def _when(moment: Any) -> str:
    """An ISO time in UTC as a person reads it, to the second; what is none, as it is."""
    if not moment:
        return "?"
    read = read_moment(moment)
    return f"{read:%Y-%m-%d %H:%M:%S} UTC" if read else str(moment)


def _seconds(length: Any) -> str:
    if length is None:
        return _NOTHING
    is_number = isinstance(length, (int, float)) and abs(length) < _MOST_SECONDS
    return f"{length:.1f}" if is_number else str(length)
