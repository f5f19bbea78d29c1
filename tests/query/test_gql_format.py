"""Values as text, by patterns."""

from __future__ import annotations

from datetime import date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.query.gql_format import formatter, plain_text

MOMENT = datetime(2008, 1, 5, 15, 4, 9, 120_000)


@pytest.mark.parametrize(
    ("pattern", "value", "text"),
    [
        ("#,##0.00", 1234567.891, "1,234,567.89"),
        ("#,##0.00", -0.004, "0.00"),
        ("#,##0.00", -1234.5, "-1,234.50"),
        ("#,##0", 999, "999"),
        ("#,##0", 2**70, "1,180,591,620,717,411,303,424"),
        pytest.param("0.0%", 10**1500, f"1{'0' * 1502}.0%", id="a number of 1500 digits"),
        ("0", 0.5, "0"),
        ("0", 1.5, "2"),
        ("000.0#", 7.25, "007.25"),
        ("0.##", 3, "3"),
        ("#.#", 0, "0"),
        ("#.00", 0.5, ".50"),
        ("0%", 0.256, "26%"),
        ("$0.00", -2.5, "-$2.50"),
        ("0.0 kg", 1e21, "1000000000000000000000.0 kg"),
        ("0.00", "many", "many"),
        ("0.00", True, "true"),
        ("0.00", None, ""),
        ("yyyy-MM-dd HH:mm:ss.SSS", MOMENT, "2008-01-05 15:04:09.120"),
        ("EEEE, d. MMMM yy", MOMENT, "Saturday, 5. January 08"),
        ("EEE MMM h:mm a", MOMENT, "Sat Jan 3:04 PM"),
        ("h 'o''clock' a", time(0, 30), "12 o'clock AM"),
        ("dd.MM.yyyy", date(2008, 2, 29), "29.02.2008"),
        ("dd.MM.yyyy", "2008-02-29T23:00:00-02:00", "01.03.2008"),
        ("dd.MM.yyyy", "soon", "soon"),
        ("dd.MM.yyyy", 7, "7"),
        ("yes:no", True, "yes"),
        ("yes:no", False, "no"),
        ("yes:no", 0, "0"),
    ],
)
def test_a_pattern_writes_a_value(pattern, value, text):
    assert formatter(pattern)(value) == text


@pytest.mark.parametrize("pattern", ["", "...", "qqq", "0.0.0", "0" * 101, "a:b:c"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="^"):
        formatter(pattern)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (1.5, "1.5"),
        (True, "true"),
        ({"a": [1]}, '{"a":[1]}'),
        (MOMENT, "2008-01-05 15:04:09.120000"),
        (date(2008, 1, 5), "2008-01-05"),
        (time(1, 2), "01:02:00"),
    ],
)
def test_without_a_pattern_values_are_written_plainly(value, text):
    assert plain_text(value) == text


@given(st.one_of(st.integers(-(10**18), 10**18), st.floats(-1e300, 1e300)))
def test_a_number_with_two_places_is_the_one_that_python_writes(value):
    expected = f"{abs(value):,.2f}" if isinstance(value, float) else f"{abs(value):,}.00"
    text = formatter("#,##0.00")(value)
    assert text.count(",") == expected.count(",")
    assert abs(float(text.replace(",", "")) - value) <= max(0.00501, abs(value) * 1e-15)
