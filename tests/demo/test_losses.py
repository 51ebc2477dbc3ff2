"""What the rehearsal says about losses: the same rows for everybody, and an honest sentence."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from console.demo.losses import by_week, joined, log_loss, means, verdict
from local.rehearsal.traffic import Answer

MONDAY = datetime(2013, 3, 4, tzinfo=UTC)


def rows(days: int = 14, **scores: object) -> pd.DataFrame:
    """One row a day from a Monday on, every second on time; all ways answer 0.5 unless told otherwise."""
    frame = pd.DataFrame(
        {
            "flight_id": [f"f{number}" for number in range(days)],
            "departure": pd.to_datetime([MONDAY + timedelta(days=number, hours=20) for number in range(days)]),
            "ontime": [float(number % 2) for number in range(days)],
        }
    )
    return frame.assign(**({"never": 0.5, "ours": 0.5, "calendar": 0.5, "oracle": 0.5} | scores))


def test_log_loss_of_a_coin_is_the_logarithm_of_two() -> None:
    """Whatever the label."""
    losses = log_loss(pd.Series([0.0, 1.0]), pd.Series([0.5, 0.5]))

    assert losses.tolist() == pytest.approx([np.log(2)] * 2)


def test_a_certain_and_wrong_answer_costs_much_but_not_everything() -> None:
    """One row must not make a mean infinite."""
    (loss,) = log_loss(pd.Series([1.0]), pd.Series([0.0]))

    assert 10 < loss < 20


def test_weeks_begin_on_monday_and_count_their_rows() -> None:
    """Two weeks of a row a day, and a Monday."""
    weeks = by_week(rows(15))

    assert [(week["week"], week["rows"]) for week in weeks] == [
        ("2013-03-04", 7),
        ("2013-03-11", 7),
        ("2013-03-18", 1),
    ]


def test_a_week_has_the_mean_of_each_way() -> None:
    """Computed here by hand for two rows."""
    (week,) = by_week(rows(2, ours=[0.2, 0.9]))

    assert week["ours"] == pytest.approx(-(np.log(0.8) + np.log(0.9)) / 2, abs=1e-5)
    assert week["never"] == pytest.approx(np.log(2), abs=1e-5)


def test_a_way_without_answers_in_a_week_is_none() -> None:
    """JSON has no NaN."""
    first, second = by_week(rows(14, calendar=[None] * 7 + [0.5] * 7))

    assert first["calendar"] is None
    assert second["calendar"] == pytest.approx(np.log(2), abs=1e-5)


def test_means_are_over_rows_that_everybody_answered() -> None:
    """A way that says nothing where it is hard would win otherwise."""
    mean = means(rows(4, ours=[0.5, 0.5, 0.001, 0.001], calendar=[0.5, 0.5, None, None]))

    assert mean == pytest.approx(dict.fromkeys(("never", "ours", "calendar", "oracle"), np.log(2)))


def test_a_flight_counts_once_and_only_when_it_was_asked_about() -> None:
    """The first answer is the one that customers saw."""
    told = (("f0", 0.1), ("f0", 0.9), ("elsewhere", 0.5))
    answers = [Answer(key=key, at=MONDAY, score=score, deployed_id="1") for key, score in told]
    found = joined(rows(3).drop(columns="ours"), answers)

    assert found[["flight_id", "ours"]].to_numpy().tolist() == [["f0", 0.1]]


def test_the_verdict_names_every_loss_and_the_gap_closed() -> None:
    """Three quarters and half of it."""
    said = verdict({"never": 0.4, "ours": 0.25, "calendar": 0.3, "oracle": 0.2})

    assert "0.4000" in said
    assert "0.2500 and closed 75%" in said
    assert "0.3000 (50%)" in said
    assert "at least as good" not in said


@pytest.mark.parametrize("calendar", [0.22, 0.25])
def test_the_verdict_says_so_when_the_calendar_is_as_good(calendar: float) -> None:
    """Also when both are level."""
    said = verdict({"never": 0.4, "ours": 0.25, "calendar": calendar, "oracle": 0.2})

    assert "a calendar alone is at least as good" in said


def test_without_a_gap_the_losses_themselves_decide() -> None:
    """An oracle that is no better than never: no share can be told, but who lost less can."""
    ours = verdict({"never": 0.2, "ours": 0.25, "calendar": 0.3, "oracle": 0.2})
    calendars = verdict({"never": 0.2, "ours": 0.3, "calendar": 0.25, "oracle": 0.2})

    assert "at least as good" not in ours
    assert "at least as good" in calendars
    assert "nan" not in ours
