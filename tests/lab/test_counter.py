"""What a counting guest's console says about the life of the guest."""

import pytest

from osm_lab.counter import assemble, make_counter_image, parse_sightings, summarise


def record(*sightings):
    return parse_sightings(f"{time} {host} {value:08X}" for time, host, value in sightings)


def test_a_guest_that_moved_without_a_gap():
    report = summarise(record((1.0, "c01", 7), (1.1, "c01", 8), (1.2, "c02", 9), (1.3, "c02", 10)))
    assert (report.ticks, report.resets, report.missing) == (4, 0, 0)
    assert report.hosts == ("c01", "c02")
    assert report.longest_pause_seconds == pytest.approx(0.1)


def test_a_number_that_never_came_is_missing():
    assert summarise(record((1.0, "c01", 7), (1.1, "c01", 10))).missing == 2


def test_a_guest_that_started_again_is_a_reset_and_not_a_loss():
    report = summarise(record((1.0, "c01", 500), (9.0, "c02", 1), (9.1, "c02", 2)))
    assert (report.resets, report.missing) == (1, 0)
    assert report.longest_pause_seconds == pytest.approx(8.0)
    assert report.longest_pause_at == pytest.approx(1.0)


def test_a_line_of_the_source_that_is_read_late_is_no_reset():
    report = summarise(record((1.0, "c01", 7), (1.1, "c02", 9), (1.2, "c01", 8), (1.3, "c02", 10)))
    assert (report.resets, report.missing) == (0, 0)
    assert report.longest_pause_seconds == pytest.approx(0.2)


def test_an_empty_record_is_a_report_of_nothing():
    assert summarise([]).ticks == 0


def test_the_guest_is_one_boot_sector_in_a_qcow2_disk():
    sector = assemble()
    image = make_counter_image()
    assert len(sector) == 512
    assert sector.endswith(b"\x55\xaa")
    assert image.startswith(b"QFI\xfb")
    assert sector in image
