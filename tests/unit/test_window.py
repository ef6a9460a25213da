"""When hosts may be changed: zones, midnight, excluded nights, and the clocks' own tricks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from openstack_maintenance.domain.window import Window

BERLIN, LONDON = "Europe/Berlin", "Europe/London"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# The span of the night that begins on a date, in UTC; None: there is no window that night.
NIGHTS: list[tuple[Any, ...]] = [
    ("UTC", Window("01:00", "02:00"), "2026-03-10", "2026-03-10T01:00", "2026-03-10T02:00"),
    (
        "Berlin in winter",
        Window("01:00", "02:00", BERLIN),
        *("2026-01-10", "2026-01-10T00:00", "2026-01-10T01:00"),
    ),
    (
        "Berlin in summer",
        Window("01:00", "02:00", BERLIN),
        *("2026-07-10", "2026-07-09T23:00", "2026-07-10T00:00"),
    ),
    (
        "Kathmandu, 45 minutes off",
        Window("01:00", "02:00", "Asia/Kathmandu"),
        *("2026-01-10", "2026-01-09T19:15", "2026-01-09T20:15"),
    ),
    (
        "over midnight",
        Window("23:00", "01:30"),
        *("2026-03-10", "2026-03-10T23:00", "2026-03-11T01:30"),
    ),
    (
        "equal start and end are a whole day",
        Window("06:00", "06:00"),
        *("2026-03-10", "2026-03-10T06:00", "2026-03-11T06:00"),
    ),
    # Berlin, 2026-03-29: 02:00 becomes 03:00. 2026-10-25: 03:00 becomes 02:00.
    ("Berlin loses the hour", Window("02:00", "03:00", BERLIN), "2026-03-29", None, None),
    ("Berlin loses the middle", Window("02:15", "02:45", BERLIN), "2026-03-29", None, None),
    (
        "Berlin loses the start",
        Window("02:30", "04:00", BERLIN),
        *("2026-03-29", "2026-03-29T01:00", "2026-03-29T02:00"),
    ),
    (
        "Berlin loses the end",
        Window("01:00", "02:30", BERLIN),
        *("2026-03-29", "2026-03-29T00:00", "2026-03-29T01:00"),
    ),
    (
        "Berlin loses an hour between",
        Window("01:00", "04:00", BERLIN),
        *("2026-03-29", "2026-03-29T00:00", "2026-03-29T02:00"),
    ),
    (
        "Berlin doubles the hour",
        Window("02:00", "03:00", BERLIN),
        *("2026-10-25", "2026-10-25T00:00", "2026-10-25T02:00"),
    ),
    (
        "Berlin doubles the end",
        Window("01:00", "02:30", BERLIN),
        *("2026-10-25", "2026-10-24T23:00", "2026-10-25T01:30"),
    ),
    (
        "Berlin, a whole day of 23 hours",
        Window("00:00", "00:00", BERLIN),
        *("2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"),
    ),
    (
        "Berlin, a whole day of 25 hours",
        Window("00:00", "00:00", BERLIN),
        *("2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"),
    ),
    # London, 2026-03-29: 01:00 becomes 02:00. 2026-10-25: 02:00 becomes 01:00.
    ("London loses the hour", Window("01:00", "02:00", LONDON), "2026-03-29", None, None),
    (
        "London doubles the hour",
        Window("01:00", "02:00", LONDON),
        *("2026-10-25", "2026-10-25T00:00", "2026-10-25T02:00"),
    ),
    (
        "over midnight into the lost hour",
        Window("23:00", "01:30", LONDON),
        *("2026-03-28", "2026-03-28T23:00", "2026-03-29T01:00"),
    ),
    (
        "excluded",
        Window("01:00", "02:00", exclude=("2026-12-24", "2026-03-10")),
        *("2026-03-10", None, None),
    ),
    (
        "the night after an excluded one",
        Window("01:00", "02:00", exclude=("2026-03-10",)),
        *("2026-03-11", "2026-03-11T01:00", "2026-03-11T02:00"),
    ),
]


@pytest.mark.parametrize(
    ("window", "day", "opens", "closes"), [pytest.param(*row[1:], id=row[0]) for row in NIGHTS]
)
def test_the_window_of_a_night(
    window: Window, day: str, opens: str | None, closes: str | None
) -> None:
    expected = (utc(opens), utc(closes)) if opens and closes else None
    assert window.night(date.fromisoformat(day)) == expected


@pytest.mark.parametrize(
    ("window", "day", "opens", "closes"),
    [pytest.param(*row[1:], id=row[0]) for row in NIGHTS if row[3]],
)
def test_it_is_open_from_its_start_to_just_before_its_end(
    window: Window, day: str, opens: str, closes: str
) -> None:
    span = (utc(opens), utc(closes))
    assert window.current(span[0]) == span
    assert window.current(span[1] - timedelta(seconds=1)) == span
    if window.start != window.end:
        assert window.current(span[0] - timedelta(seconds=1)) is None
        assert window.current(span[1]) is None


def test_after_midnight_the_night_still_belongs_to_the_day_before() -> None:
    window = Window("23:00", "01:30", exclude=("2026-03-11",))
    assert window.current(utc("2026-03-11T00:30")) is not None
    assert window.current(utc("2026-03-11T23:30")) is None
    assert window.current(utc("2026-03-12T00:30")) is None


@pytest.mark.parametrize(
    ("window", "now", "opens"),
    [
        (Window("01:00", "02:00"), "2026-03-10T00:30", "2026-03-10T01:00"),
        (Window("01:00", "02:00"), "2026-03-10T01:30", "2026-03-10T01:30"),
        (Window("01:00", "02:00"), "2026-03-10T02:00", "2026-03-11T01:00"),
        (Window("01:00", "02:00", exclude=("2026-03-11",)), "2026-03-10T02:00", "2026-03-12T01:00"),
        (Window("23:00", "01:30"), "2026-03-10T01:30", "2026-03-10T23:00"),
        # The next night has no such hour; the one after has.
        (Window("02:00", "03:00", BERLIN), "2026-03-28T12:00", "2026-03-30T00:00"),
        (Window("01:00", "02:00", LONDON), "2026-03-28T12:00", "2026-03-30T00:00"),
        (Window("01:00", "02:00", "Pacific/Kiritimati"), "2026-03-10T12:00", "2026-03-11T11:00"),
    ],
)
def test_the_next_opening(window: Window, now: str, opens: str) -> None:
    assert window.next_opening(utc(now)) == utc(opens)


def test_a_window_that_is_always_excluded_never_opens() -> None:
    days = tuple((date(2026, 3, 1) + timedelta(days=each)).isoformat() for each in range(400))
    assert Window(exclude=days).next_opening(utc("2026-03-10T12:00")) is None


def test_the_zone_of_the_asker_does_not_matter() -> None:
    window = Window("01:00", "02:00")
    now = datetime.fromisoformat("2026-03-10T10:30:00+09:00")
    assert window.current(now) == (utc("2026-03-10T01:00"), utc("2026-03-10T02:00"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "1 am"}, "start: '1 am' is not a time; write HH:MM"),
        ({"start": "25:00"}, "start: '25:00' is not a time"),
        ({"end": "24:00"}, "end: '24:00' is not a time"),
        ({"end": ""}, "end: '' is not a time"),
        ({"start": "01:00+02:00"}, "start: '01:00\\+02:00' is not a time"),
        ({"start": "01"}, "start: '01' is not a time"),
        ({"timezone": "Europe/Berlim"}, "timezone: 'Europe/Berlim' is unknown; write an IANA name"),
        ({"timezone": "Europe"}, "timezone: 'Europe' is unknown"),
        ({"timezone": "../../etc/passwd"}, "timezone: '../../etc/passwd' is unknown"),
        ({"timezone": ""}, "timezone: '' is unknown"),
        ({"exclude": ("24.12.2026",)}, "exclude: '24.12.2026' is not a date; write YYYY-MM-DD"),
        ({"exclude": ("2026-02-30",)}, "exclude: '2026-02-30' is not a date"),
        # Python reads these, but no night would ever equal them: an exclusion without effect.
        ({"exclude": ("20261224",)}, "exclude: '20261224' is not a date"),
        ({"exclude": ("2026-W52-4",)}, "exclude: '2026-W52-4' is not a date"),
    ],
)
def test_a_bad_window_is_refused_naming_the_field(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Window(**given)  # type: ignore[arg-type]  # wrong on purpose


def test_it_reads_as_people_write_it() -> None:
    assert str(Window("01:00", "02:00", BERLIN)) == "01:00-02:00 Europe/Berlin"


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
@pytest.mark.parametrize("end", ["02:00", "00:30"])
@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_at_the_ends_of_the_calendar_it_is_closed(zone: str, end: str, moment: datetime) -> None:
    window = Window("01:00", end, zone)
    span = window.current(moment.replace(tzinfo=UTC))
    assert span is None or span[0] <= moment.replace(tzinfo=UTC)
    window.next_opening(moment.replace(tzinfo=UTC))


@pytest.mark.parametrize("zone", ["", "../../etc/passwd", "a\0b", "\ud800", "x" * 5000, "Europe"])
def test_what_is_no_zone_is_refused_whatever_it_is(zone: str) -> None:
    with pytest.raises(ValueError, match=r"^timezone: .* is unknown; write an IANA name"):
        Window(timezone=zone)


@pytest.mark.parametrize(
    ("start", "zone", "most", "at", "hours"),
    [
        ("01:00", "UTC", 4, "01:00", 0),
        ("01:00", "Europe/Berlin", 4, "01:00", 0),
        ("02:30", "Europe/Berlin", 4, "01:30", 1),
        ("02:00", "Europe/Berlin", 4, "01:00", 1),
        ("03:00", "Europe/Berlin", 4, "03:00", 0),
        ("01:00", "Europe/London", 4, "00:00", 1),
        ("00:30", "America/Havana", 4, "23:30", 1),
        ("02:15", "Australia/Lord_Howe", 4, "01:15", 1),
        ("02:30", "Asia/Shanghai", 4, "02:30", 0),
        ("02:30", "Europe/Berlin", 0, "02:30", 0),
    ],
)
def test_the_schedule_rings_where_no_change_of_the_clocks_can_skip_or_double_it(
    start: str, zone: str, most: int, at: str, hours: int
) -> None:
    window = Window(start, "05:00", timezone=zone)
    rings, lead = window.bell(date(2026, 3, 1), timedelta(hours=most))
    assert (f"{rings:%H:%M}", lead) == (at, timedelta(hours=hours))


def test_a_night_without_a_window_says_why() -> None:
    window = Window("02:15", "02:45", timezone="Europe/Berlin", exclude=("2026-12-24",))
    assert window.why_none(date(2026, 12, 23)) is None
    assert window.why_none(date(2026, 12, 24)) == (
        "2026-12-24 is excluded by the policy (window.exclude)"
    )
    assert window.why_none(date(2026, 3, 29)) == (
        "daylight saving skips the window 02:15-02:45 Europe/Berlin on 2026-03-29"
    )
