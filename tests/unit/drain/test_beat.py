"""How long until Nova is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from openstack_maintenance.domain.drain.beat import Pace, next_beat

NOW = datetime(2026, 3, 10, 1, 0, tzinfo=UTC)


def pace(
    *elapsed: float, took: tuple[float, ...] = (), unsettled: bool = False, queued: int = 0
) -> Pace:
    return Pace(
        running_since=[NOW - timedelta(seconds=each) for each in elapsed],
        took=[timedelta(seconds=each) for each in took],
        is_unsettled=unsettled,
        queued=queued,
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        pytest.param(pace(), 2.0, id="nothing is in flight"),
        pytest.param(pace(unsettled=True), 1.0, id="something was asked for and does not run yet"),
        pytest.param(pace(0), 1.0, id="the first one ever has just begun"),
        pytest.param(pace(20), 4.0, id="the first one ever takes its time"),
        pytest.param(pace(3600), 10.0, id="the first one ever takes an hour"),
        pytest.param(pace(4, queued=1), 3.8, id="the first one ever, and Nova refills by itself"),
        pytest.param(pace(2, took=(10,)), 7.7, id="shortly before the typical end"),
        pytest.param(pace(9.5, took=(10,)), 0.7, id="about to end"),
        pytest.param(pace(12, took=(10,)), 0.7, id="a little late"),
        pytest.param(pace(30, took=(10,)), 3.0, id="very late: Nova is not hammered"),
        pytest.param(pace(1, took=(600,)), 10.0, id="never longer than ten seconds"),
        pytest.param(pace(8, 2, took=(10,)), 1.7, id="the oldest one decides"),
        pytest.param(pace(9.5, took=(10,), queued=1), 3.5, id="Nova refills by itself"),
        pytest.param(pace(0, took=(10,), queued=1), 13.0, id="Nova refills: one look a migration"),
        pytest.param(pace(1, took=(600,), queued=1), 15.0, id="Nova refills, and has time"),
        pytest.param(pace(20, took=(10,), queued=1), 1.5, id="Nova refills, and is late"),
        pytest.param(
            pace(unsettled=True, queued=1, took=(10,)), 3.0, id="Nova starts the one it had queued"
        ),
        pytest.param(pace(9, 9, 9, took=(10,), queued=3), 4.0, id="Nova refills all slots"),
        pytest.param(pace(9, 8, 2, took=(10,), queued=1), 2.0, id="Nova refills one of two slots"),
        pytest.param(pace(0, took=(9, 11, 100)), 10.0, id="the median, not the mean"),
        pytest.param(pace(-5), 1.0, id="a clock that stepped back"),
    ],
)
def test_the_beat_is_short_while_something_is_about_to_end(given: Pace, seconds: float) -> None:
    assert next_beat(given, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize("elapsed", range(0, 4000, 37))
@pytest.mark.parametrize("took", [(), (0.1,), (10,), (5000,)])
@pytest.mark.parametrize("queued", [0, 1])
def test_nova_is_asked_neither_all_the_time_nor_hardly_ever(
    elapsed: int, took: tuple[float, ...], queued: int
) -> None:
    longest = 15.0 if queued else 10.0
    assert 0.7 <= next_beat(pace(elapsed, took=took, queued=queued), NOW) <= longest
