"""The small functions behind the page: scales, gaps, groups and the sentence about the calendar."""

import pytest

from console.report.frame import frame
from console.report.losses import loss_chart, pieces
from console.report.scale import dates, short_day, stamp, ticks
from console.report.tables import answered, conclusion, ways
from console.report.traffic import stays
from console.summary import Week
from tests.report.sample import summary

LOW, HIGH = stamp("2013-03-01"), stamp("2013-12-31")


def week(never: float, ours: float, calendar: float, oracle: float) -> Week:
    return Week(week="2013-03-04", rows=100, never=never, ours=ours, calendar=calendar, oracle=oracle)


def test_a_time_without_a_zone_is_utc() -> None:
    """Whatever the machine's own zone."""
    assert stamp("2013-07-09") == stamp("2013-07-09T00:00:00+00:00") == stamp("2013-07-08T20:00:00-04:00")


def test_months_are_named_and_january_carries_the_year() -> None:
    """Ten months, thinned where they do not fit."""
    every = [name for _, name in dates(LOW, HIGH, 20)]

    assert every == ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    assert [name for _, name in dates(LOW, HIGH, 5)] == ["Mar", "May", "Jul", "Sep", "Nov"]
    assert "2014" in [name for _, name in dates(LOW, stamp("2014-02-01"), 20)]


def test_a_short_range_shows_days() -> None:
    """A rehearsal of one week has no first of a month."""
    assert [name for _, name in dates(stamp("2013-07-09"), stamp("2013-07-11"), 9)] == ["9 Jul", "10 Jul", "11 Jul"]


@pytest.mark.parametrize(("low", "high"), [(0.28, 0.43), (0.0, 100.0), (-3.0, 7.0), (0.30001, 0.30002), (1e5, 9e5)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    """Two to five round numbers."""
    found = ticks(low, high)

    assert 2 <= len(found) <= 5
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)


def test_a_missing_point_cuts_the_line() -> None:
    """Two pieces, not a bridge."""
    assert pieces([(0, 1), (1, 1), None, (3, 1)]) == [[(0, 1), (1, 1)], [(3, 1)]]


def test_a_missing_week_is_a_gap_on_the_chart() -> None:
    """Ours misses one week and the oracle two in a row: two lines each, one for the others."""
    year = summary()
    chart = str(loss_chart(frame(year, 900, 90), year.weeks, (), "log_loss"))
    groups = {kind: chart.split(f'class="line {kind}"')[1].split("</g>")[0] for kind in ("ours", "oracle", "never")}

    assert {kind: text.count("<polyline") for kind, text in groups.items()} == {"ours": 2, "oracle": 2, "never": 1}


def test_the_share_of_the_gap_is_weighed_by_rows() -> None:
    """A week of 300 rows counts three times one of 100; a week that lacks one way does not count."""
    found = ways(
        (week(0.5, 0.3, 0.4, 0.1), week(0.9, 0.3, 0.4, 0.1).but(rows=300), week(9, 9, 9, 9).but(oracle=None))
    )
    by_kind = {way.kind: way for way in found}

    assert by_kind["never"].loss == pytest.approx(0.8)
    assert by_kind["ours"].closed == pytest.approx(0.5 / 0.7)
    assert by_kind["oracle"].closed == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (week(0.5, 0.2, 0.4, 0.1), "this system closed 75% of the gap against 25%"),
        (week(0.5, 0.4, 0.2, 0.1), "a plain calendar is better"),
        (week(0.5, 0.2, 0.201, 0.1), "a plain calendar is as good"),
        (week(0.1, 0.2, 0.2, 0.3), "no gap to close"),
    ],
)
def test_the_sentence_about_the_calendar_follows_the_numbers(one: Week, words: str) -> None:
    """Also when they do not flatter."""
    assert words in conclusion(ways((one,)))


def test_only_neighbours_with_the_same_code_are_put_together() -> None:
    """Groups keep every trigger, in order of time, and mix no codes."""
    groups = answered(summary())
    flat = [line.trigger.at for group in groups for line in group]

    assert len(flat) == 80
    assert flat == sorted(flat)
    assert all(len(group) == 1 or {line.state for line in group} == {"skipped"} for group in groups)
    assert all(len({line.code for line in group}) == 1 for group in groups)


def test_a_trigger_whose_run_is_missing_says_so() -> None:
    """No run, no guess."""
    year = summary()

    assert answered(year.but(runs=()))[0][0].why == "its run is not in the summary"


def test_a_stay_ends_where_another_model_takes_a_share() -> None:
    """The champion's two stays around a rolled-back challenger are two."""
    split = [step for step in summary().traffic if step.split]
    names = [(short_day(stay.begin), stay.run) for stay in stays(split, HIGH)]

    assert len(names) == 8
    assert names[5][1] == names[6][1]
