"""The page of one incident: whole, alone, and true to what was counted, concluded and done."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from console.drift_report.incident_page import render_incident
from console.drift_report.incident_view import incident_view, runs_of
from monitoring.baseline import PREDICTION
from retraining.records import Decision, Run, RunState
from retraining.triggers import Kind
from tests.console.conftest import Desk
from tests.console.drift_sample import BROKEN, DAYS, FIRST, SPEC, incident_page, lived
from tests.console.test_drift_report import Outline
from tests.unit.build import run, trigger

DAY = timedelta(days=1)
END = FIRST + DAYS * DAY
DRIFT, DATA = 0, 1  # the sample's incidents, newest first


def asked(number: int, incident: str) -> Run:
    """A run that the incident asked for on the day of this number."""
    at = FIRST + number * DAY
    cause = trigger(Kind.DRIFT, key=f"d-{number}", details={"incident": incident})
    return run(run_id=f"flights-{at:%Y%m%d}-030000-{number:04d}", opened=at, causes=(cause,))


@pytest.mark.parametrize("number", [DRIFT, DATA])
def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(number: int) -> None:
    """Every element closes; no address, no script."""
    page, outline = render_incident(incident_page(number)), Outline()
    outline.feed(page)

    assert (outline.stack, outline.wrong, outline.links) == ([], [], [])
    assert not {"script", "img", "iframe", "link"} & outline.tags
    assert not re.search(r"https?:|url\(|@import", page)


def test_an_open_incident_says_what_to_do_and_why() -> None:
    page = render_incident(incident_page(DRIFT))

    assert '<p class="verdict drift"><b>Retrain</b>: dep_delay: values are higher or lower' in page
    assert "No run names it" in page


def test_a_closed_one_says_when_and_why_and_what_it_had_asked_for() -> None:
    page = render_incident(incident_page(DATA))

    assert "<b>Nothing to do.</b> It closed on 2026-07-21: 3 ordinary windows in a row." in page
    assert "it asked to <b>look at the feed</b>: dep_lat: more or fewer values are missing" in page
    assert "None that others asked for was held back" in page


def test_each_feature_is_shown_with_the_days_before_and_after() -> None:
    """Three weeks before it opened, one after it closed; every window once."""
    view = incident_page(DATA)
    [series] = view.page.series
    opened, closed = view.incident.opened, view.incident.closed
    assert closed is not None

    assert [one.start for one in series.points] == [
        opened - 21 * DAY + n * DAY for n in range((closed - opened).days + 28)
    ]
    assert [(one.start - FIRST).days for one in series.points if one.flagged] == list(BROKEN)


def test_distributions_are_those_of_the_worst_window_and_of_ordinary_days_before() -> None:
    """Of the same weekday; days on which the feature had moved are not among them."""
    view = incident_page(DRIFT)
    reign, _, _ = lived()
    series = next(one for one in view.page.series if one.name == "dep_delay")
    assert view.worst is not None
    start = view.worst.end - DAY
    worst = reign.windows[start]["dep_delay"]

    assert view.worst.effects["dep_delay"] == max(one.effect for one in series.points)
    assert series.rows_now == worst.n
    assert [bar.now for bar in series.bars[:20]] == [cell / sum(worst.cells) for cell in worst.cells]
    calm = [at for at in sorted(reign.windows) if at < FIRST + 100 * DAY][-60:]
    assert series.rows_before == sum(
        reign.windows[at]["dep_delay"].n for at in calm if at.weekday() == start.weekday()
    )


def test_the_prediction_is_among_them() -> None:
    names = [one.name for one in incident_page(DRIFT).page.series]

    assert names == ["dep_delay", "taxi_out", PREDICTION]


def test_what_the_incident_remembers_is_shown_where_verdicts_and_counts_are_gone() -> None:
    """Years later its course is left, with what moved."""
    _, _, incidents = lived()
    view = incident_view(SPEC, incidents[DATA], [], [], incidents, [], END)
    [series] = view.page.series
    page = render_incident(view)

    assert [one.effect for one in series.points] == [seen.effects["dep_lat"] for seen in incidents[DATA].course]
    assert "no cells are kept of its worst window" in page
    assert "smallest to be seen 99" not in page


def test_what_is_no_feature_has_a_course_alone() -> None:
    """The whole feed, for one."""
    reign, verdicts, incidents = lived()
    seen = tuple(one.but(effects={"(feed)": 1.0}, flagged=("(feed)",)) for one in incidents[DATA].course)
    feed = incidents[DATA].but(features={"(feed)": 1.0}, parts={"(feed)": "volume"}, course=seen)
    page = render_incident(incident_view(SPEC, feed, [reign], verdicts, [feed], [], END))

    assert "more or fewer rows came than usual, 1.00" in page
    assert page.count('class="dot flagged"') == len(seen)


def test_runs_that_it_asked_for_or_held_back_are_found(desk: Desk) -> None:
    """By the triggers they name, or the decision; others are not."""
    incident = lived()[2][DRIFT]
    text = f"data incident {incident.incident_id} is open since yesterday"
    held = asked(110, "other").but(decision=Decision(action="skip", code="broken_feed", text=text, at=END))
    mine = asked(103, incident.incident_id).move(RunState.SKIPPED, "cooldown: 3 h are left", END)
    for one in (mine, asked(104, "another"), held):
        desk.put_run(one)
    found = runs_of(desk.store, incident, END)
    page = render_incident(replace(incident_page(DRIFT), runs=tuple(found)))

    assert [one.run_id for one in found] == [mine.run_id, held.run_id]
    assert f'Run <span class="id">{mine.run_id}</span>, opened 2026-09-12: <b>skipped</b>' in page
    assert "cooldown: 3 h are left" in page
