"""Which windows become ordinary, and which have no consequences."""

from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from monitoring.baseline import definitions
from monitoring.calendar import holiday
from monitoring.counts import Counts, add
from monitoring.log import Windows
from monitoring.looking import advance, is_ordinary, units
from monitoring.ordinary import KEEP, reference_for
from monitoring.records import Span, Watch
from monitoring.verdict import Judged
from retraining.modelspec import DriftTrigger, Holiday, ModelSpec
from tests.monitoring.days import Days, Shift
from tests.monitoring.traffic import MONDAY, baseline, spec

DAY = timedelta(days=1)
MADE = definitions(spec(), baseline())


def with_holidays(*days: Any) -> ModelSpec:
    """The small model with these holidays."""
    model = spec()
    trigger = DriftTrigger(holidays=tuple(Holiday.model_validate(day) for day in days))
    return model.model_copy(update={"triggers": model.triggers.model_copy(update={"drift": trigger})})


def live(model: ModelSpec, days: int, shifts: dict[int, Shift]) -> tuple[Watch, list[Judged]]:
    """So many days, some of them shifted."""
    draw = Days(MADE)
    windows: Windows = {MONDAY + n * DAY: draw.window(5000, shifts.get(n)) for n in range(days)}
    watch = Watch(model=model.name, run_id="run-1", deployed_id="1", since=MONDAY, judged_until=MONDAY)
    return advance(model, MADE, watch, windows, MONDAY + days * DAY, muted=False)


def test_without_holidays_a_severe_move_opens_an_incident() -> None:
    watch, _ = live(spec(), 22, {20: {"delay": 0.9}, 21: {"delay": 0.9}})

    assert watch.incident is not None


def test_on_a_holiday_it_opens_none_and_is_shown_with_its_name() -> None:
    days = {"name": "spring break", "first": "2026-03-22", "last": "2026-03-23"}
    watch, judged = live(with_holidays(days), 22, {20: {"delay": 0.9}, 21: {"delay": 0.9}})

    assert watch.incident is None
    assert [(one.holiday, bool(one.flagged)) for one in judged[-3:]] == [
        ("", False),
        ("spring break", True),
        ("spring break", True),
    ]


def test_a_holiday_does_not_become_ordinary() -> None:
    """Eight days, the third a holiday on which nothing was unusual."""
    watch, judged = live(with_holidays("2026-03-04"), 8, {})

    assert len(judged) == 8
    assert [span.start for span in watch.spans] == [MONDAY + n * DAY for n in range(8) if n != 2]
    assert watch.judged_until == MONDAY + 8 * DAY


def test_a_holiday_does_not_count_among_the_quiet_windows() -> None:
    """The incident of days 20 and 21 closes after three ordinary windows; the first of them is a holiday."""
    shifts = {20: {"delay": 0.9}, 21: {"delay": 0.9}}
    plain, _ = live(spec(), 25, shifts)
    later, _ = live(with_holidays("2026-03-24"), 25, shifts)

    assert plain.incident is not None
    assert plain.incident.closed is not None
    assert later.incident is not None
    assert later.incident.closed is None


def test_a_window_that_touches_a_holiday_is_one() -> None:
    days = [Holiday(first=date(2026, 3, 4), last=date(2026, 3, 5), name="feast")]
    midnight = MONDAY + 2 * DAY

    assert holiday(days, midnight - DAY, midnight) == ""
    assert holiday(days, midnight - DAY, midnight + timedelta(hours=1)) == "feast"
    assert holiday(days, midnight + DAY, midnight + 2 * DAY) == "feast"
    assert holiday(days, midnight + 2 * DAY, midnight + 3 * DAY) == ""


def test_a_holiday_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected last on or after first, 2026-03-04"):
        Holiday(first=date(2026, 3, 4), last=date(2026, 3, 3))


def test_without_holidays_the_model_file_says_what_it_said() -> None:
    """Its digest is made of this."""
    assert "holidays" not in DriftTrigger().model_dump()
    assert "holidays" in DriftTrigger(holidays=(Holiday(first=date(2026, 3, 4)),)).model_dump()


def test_the_reference_of_a_feature_is_frozen_while_its_incident_is_open() -> None:
    """From day 30 the delay has moved for good; the days since then are ordinary for the other features only."""
    watch, _ = live(spec(), 40, {key: {"delay": 0.9} for key in range(30, 40)})

    assert {span.start for span in watch.spans if "delay" not in span.moved} == {
        MONDAY + n * DAY for n in range(30)
    }
    assert sum("hour" not in span.moved for span in watch.spans) >= 39


def test_what_was_ordinary_is_remembered_however_long_an_incident_lasts() -> None:
    """The delay was 0.3 off from training when it was ordinary, and moves for good from day 40. A hundred days
    later it is still compared with those forty days, while other features have forgotten them."""
    shifts: dict[int, Shift] = {key: {"delay": 0.3 if key < 40 else 1.2} for key in range(140)}
    draw = Days(MADE)
    windows: Windows = {MONDAY + n * DAY: draw.window(5000, shifts[n]) for n in range(140)}
    watch = Watch(model="demo", run_id="run-1", deployed_id="1", since=MONDAY, judged_until=MONDAY)
    watch, verdicts = advance(spec(), MADE, watch, windows, MONDAY + 140 * DAY, muted=False)
    known = units(watch.spans, windows, DAY)
    against = reference_for(MADE, known, None, 7)
    late, early = (
        next(finding.effect for finding in verdicts[day].findings if finding.feature == "delay")
        for day in (139, 45)
    )

    assert against.training == frozenset()
    assert against.counts["delay"] == add(windows[MONDAY + n * DAY]["delay"] for n in range(40))
    assert against.counts["hour"] == add(windows[MONDAY + n * DAY]["hour"] for n in range(80, 140))
    assert late == pytest.approx(early, abs=0.1)


def test_windows_that_no_feature_looks_back_on_are_forgotten() -> None:
    """After an ordinary year there are no more of them than one looks back on, and the newest."""
    watch, _ = live(spec(), 100, {})

    assert [span.start for span in watch.spans] == [MONDAY + n * DAY for n in range(100 - len(watch.spans), 100)]
    assert len(watch.spans) == KEEP[7] + 1


def test_a_pair_of_a_feature_that_moved_is_not_ordinary() -> None:
    assert is_ordinary("a × b", {"c"})
    assert not is_ordinary("a × b", {"b"})
    assert is_ordinary("a", {"a × b"})


def test_ordinary_units_leave_out_what_moved() -> None:
    one = Counts(10, 0, 0, 0, 0, 0, (10,))
    span = Span(start=MONDAY, end=MONDAY + DAY, phase=0, moved=("a",))
    windows: Windows = {MONDAY: {"a": one, "b": one, "a × b": one}}

    assert [unit.counts for unit in units([span], windows, DAY)] == [{"b": one}]
