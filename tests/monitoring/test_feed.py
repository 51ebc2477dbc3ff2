"""Broken feeds are told from a changed world, and each fault by its name."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from benchmarks.feeds import SCENARIOS, confusion, trial
from monitoring.baseline import definitions
from monitoring.counts import Counts
from monitoring.feed import Arrival, Feed, faults, label_faults
from tests.monitoring.days import Days, Shift
from tests.monitoring.traffic import MONDAY, baseline, spec

DAY = timedelta(days=1)
TRIALS = 8
SPEC = spec()
DEFINITIONS = definitions(SPEC, baseline())


def test_clear_faults_and_real_shifts_are_told_apart() -> None:
    """Of each side at least 95 of 100 windows, over random features, seasons and days."""
    right = {True: 0, False: 0}
    number = {True: 0, False: 0}
    for name, (told, _) in confusion(TRIALS, first=500_000).items():
        if SCENARIOS[name].is_clear:
            right[SCENARIOS[name].is_fault] += told
            number[SCENARIOS[name].is_fault] += TRIALS

    assert right[True] >= 0.95 * number[True]
    assert right[False] >= 0.95 * number[False]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("unit error, all rows × 100", "unit"),
        ("20 % of an input missing", "missing"),
        ("an input stuck, number", "constant"),
        ("a category renamed", "unseen"),
        ("20 % of rows repeated", "duplicates"),
        ("the day cut off", "freshness"),
        ("no rows at all", "volume"),
        ("another version of the schema", "schema"),
    ],
)
def test_faults_are_named(name: str, kind: str) -> None:
    """The kind of fault that was made is among those that are told."""
    assert kind in trial(SCENARIOS[name], seed=9)


def _feed(days: Days, number: int, rows: int = 2000, shift: Shift | None = None, **arrival: object) -> Feed:
    start = MONDAY + number * DAY
    values = {"start": start, "volume": rows, "rows": rows, "silence_s": 60} | arrival
    counts: Mapping[str, Counts] = days.window(rows, shift) if rows else {}
    return Feed(start, DAY, counts, Arrival.model_validate(values))


def test_without_history_the_training_rows_say_what_is_usual() -> None:
    """On the first day a stuck or vanished input is seen, and volume is not judged."""
    days = Days(DEFINITIONS)
    sound = faults(DEFINITIONS, _feed(days, 0, 300), [], list(SPEC.features))
    found = faults(DEFINITIONS, _feed(days, 0, shift={"missing:delay": 1.0}), [], list(SPEC.features))

    assert sound == ()
    assert [(one.of, one.kind) for one in found] == [("delay", "vanished")]


def test_a_vanished_input_is_told_with_the_new_name() -> None:
    """A payload with a name nobody knows explains it."""
    days = Days(DEFINITIONS)
    window = _feed(days, 0, shift={"missing:delay": 1.0}, unknown={"delay_minutes": 2000, "trace": 3})
    (found,) = faults(DEFINITIONS, window, [], list(SPEC.features))

    assert found.text == "delay: 100.0% of values are missing; new in the payloads: delay_minutes"


def test_quiet_sundays_are_ordinary() -> None:
    """A weekday is compared with its own kind: every Sunday has a fifth of the rows."""
    days = Days(DEFINITIONS)
    ordinary = [_feed(days, n, 400 if n % 7 == 6 else 2000) for n in range(27)]

    assert faults(DEFINITIONS, _feed(days, 27, 400), ordinary, list(SPEC.features)) == ()
    assert faults(DEFINITIONS, _feed(days, 28, 400), ordinary, list(SPEC.features)) != ()


def test_repeated_rows_that_are_usual_are_no_fault() -> None:
    """Clients that always ask twice do so today."""
    days = Days(DEFINITIONS)
    ordinary = [_feed(days, n, repeats=500) for n in range(7)]

    assert faults(DEFINITIONS, _feed(days, 7, repeats=520), ordinary, list(SPEC.features)) == ()


@pytest.mark.parametrize(
    ("labelled", "broken"),
    [
        ([(1000, 950)] * 5 + [(1000, 940)], False),
        ([(1000, 950)] * 5 + [(1000, 600)], True),
        ([(1000, 500)] * 5 + [(1000, 480)], False),  # they never were more
        ([(1000, 950)] * 5 + [(50, 0)], False),  # too few to tell
        ([(1000, 950), (1000, 0)], False),  # nobody knows what is usual
    ],
)
def test_labels_that_stop_coming_are_a_fault(labelled: list[tuple[int, int]], broken: bool) -> None:
    """Their share falls below three quarters of the usual."""
    assert bool(label_faults(labelled)) is broken
