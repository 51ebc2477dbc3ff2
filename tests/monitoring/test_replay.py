"""Stored counts judged again say what the monitor said, and with other settings something else."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from monitoring.baseline import Definition, Definitions, definitions
from monitoring.components import components, vector
from monitoring.counts import Counts
from monitoring.log import Kept, Windows
from monitoring.looking import advance
from monitoring.passes import Subject
from monitoring.quality import judge_windows
from monitoring.records import Watch
from monitoring.replay import PAIR_ROOM, Replayed, by_days, distance, replay, with_settings
from monitoring.statistics import compare
from monitoring.variation import CHANCE
from monitoring.verdict import Judged
from retraining.incidents import Incident
from retraining.modelspec import Holiday, ModelSpec
from tests.monitoring.days import Days
from tests.monitoring.traffic import MONDAY, baseline, spec

DAY = timedelta(days=1)
SPEC = spec()
DEFINED = definitions(SPEC, baseline())


def eventful(rows: int) -> Windows:
    """Ten weeks: values missing in the sixth, and a shift from the ninth on."""
    days = Days(DEFINED, jitter=0.03)
    found: Windows = {}
    for number in range(70):
        shift = {"missing:delay": 0.3} if 35 <= number < 42 else {"delay": 0.8} if number >= 56 else {}
        found[MONDAY + number * DAY] = days.window(rows, shift)
    return found


def watched(
    model: ModelSpec, defined: Definitions, windows: Windows, end: datetime
) -> tuple[list[Judged], dict[str, Incident]]:
    """What the monitor concludes when it looks once a day."""
    watch = Watch(model=model.name, run_id="run-1", deployed_id="1", since=MONDAY, judged_until=MONDAY)
    verdicts: list[Judged] = []
    incidents: dict[str, Incident] = {}
    at = MONDAY
    while at < end:
        at += DAY
        watch, found = advance(model, defined, watch, windows, at, muted=False)
        verdicts += found
        if watch.incident:
            incidents[watch.incident.incident_id] = watch.incident
    return verdicts, incidents


def told(verdicts: list[Judged] | tuple[Judged, ...]) -> list[tuple[object, ...]]:
    """What counted in each window."""
    return [
        (
            one.start,
            one.end,
            one.rows,
            one.kind,
            [(f.feature, f.component, f.effect, f.p_value) for f in one.flagged],
        )
        for one in verdicts
    ]


@pytest.mark.parametrize("rows", [300, 1000, 20_000])
def test_the_same_settings_tell_the_same(rows: int) -> None:
    """Window for window and incident for incident, to the last digit; small windows are added up alike."""
    windows, end = eventful(rows), MONDAY + 70 * DAY
    verdicts, incidents = watched(SPEC, DEFINED, windows, end)
    again = replay(SPEC, DEFINED, windows, MONDAY, end)

    assert told(again.verdicts) == told(verdicts)
    assert [(one.incident_id, one.kind, one.features, one.closed, one.do) for one in again.incidents] == [
        (one.incident_id, one.kind, one.features, one.closed, one.do) for one in incidents.values()
    ]
    assert len(incidents) >= 2


def test_an_incident_that_lasts_is_told_the_same() -> None:
    """Longer than is looked back on: both remember what was ordinary before it."""
    days = Days(DEFINED, jitter=0.03)
    windows = {MONDAY + n * DAY: days.window(2000, {"delay": 0.3 if n < 30 else 1.2}) for n in range(130)}
    end = MONDAY + 130 * DAY
    verdicts, _ = watched(SPEC, DEFINED, windows, end)
    again = replay(SPEC, DEFINED, windows, MONDAY, end)

    assert told(again.verdicts) == told(verdicts)
    assert [one.closed for one in again.incidents] == [None]


def test_nothing_follows_from_a_holiday() -> None:
    """Neither an incident nor a lesson, as in the monitor; without the holidays there would be both."""
    days = Days(DEFINED, jitter=0.03)
    windows = {MONDAY + n * DAY: days.window(2000, {"delay": 0.9} if n in (40, 41) else {}) for n in range(60)}
    end = MONDAY + 60 * DAY
    feast = Holiday(first=(MONDAY + 40 * DAY).date(), last=(MONDAY + 41 * DAY).date(), name="feast")
    free = with_settings(SPEC, holidays=(feast,))
    verdicts, _ = watched(free, DEFINED, windows, end)
    again = replay(free, DEFINED, windows, MONDAY, end)

    assert told(again.verdicts) == told(verdicts)
    assert [one.holiday for one in again.verdicts if one.flagged] == ["feast", "feast"]
    assert again.incidents == ()
    assert len(replay(SPEC, DEFINED, windows, MONDAY, end).incidents) == 1


def test_nothing_follows_from_a_broken_feed() -> None:
    """Most rows of two days never came, the delay of the rest was odd. The monitor's own verdicts of all days."""
    days = Days(DEFINED, jitter=0.03)
    odd = {30, 31}
    windows = {
        MONDAY + n * DAY: days.window(400 if n in odd else 4000, {"delay": 0.9} if n in odd else {})
        for n in range(50)
    }
    end = MONDAY + 50 * DAY
    watch = Watch(model=SPEC.name, run_id="run-1", deployed_id="1", since=MONDAY, judged_until=MONDAY)
    watch, verdicts = judge_windows(Subject(SPEC, "1", DEFINED), watch, Kept(windows, {}), end, muted=False)
    broken = [one.start for one in watch.arrivals if one.faults]
    again = replay(SPEC, DEFINED, windows, MONDAY, end, broken=broken)

    assert broken == [MONDAY + n * DAY for n in sorted(odd)]
    assert told(again.verdicts) == told(verdicts)
    assert again.incidents == ()
    assert [one.kind for one in replay(SPEC, DEFINED, windows, MONDAY, end).incidents] == ["drift"]


def test_windows_before_the_first_one_teach_and_are_not_told() -> None:
    """A replay of the end knows ordinary variation from the beginning."""
    windows, end = eventful(1000), MONDAY + 70 * DAY
    all_, late = (replay(SPEC, DEFINED, windows, MONDAY + skip * DAY, end) for skip in (0, 50))

    assert told(late.verdicts) == told(all_.verdicts)[50:]
    assert [one.opened for one in late.incidents] == [MONDAY + 57 * DAY]


def test_a_larger_least_effect_finds_less() -> None:
    """And the model file's own settings are left as they are."""
    windows, end = eventful(1000), MONDAY + 70 * DAY
    kinds = {
        least: {
            one.kind
            for one in replay(with_settings(SPEC, min_effect=least), DEFINED, windows, MONDAY, end).incidents
        }
        for least in (None, 2.0)
    }

    assert kinds == {None: {"data", "drift"}, 2.0: set()}
    assert SPEC.triggers.drift is not None
    assert SPEC.triggers.drift.min_effect == 0.1


def test_a_value_that_the_model_file_would_refuse_is_refused() -> None:
    """By name."""
    with pytest.raises(ValueError, match="alpha"):
        with_settings(SPEC, alpha=0.9)


def test_variation_is_handed_on_to_the_next_model() -> None:
    """With it the first windows of the next model are judged in full; without, with caution."""
    windows, end = eventful(1000), MONDAY + 30 * DAY
    before = replay(SPEC, DEFINED, windows, MONDAY, end)
    week = {MONDAY + n * DAY: Days(DEFINED).window(5000, {"delay": 0.4}) for n in range(3)}

    def flagged(found: Replayed) -> list[str]:
        return [finding.feature for one in found.verdicts for finding in one.flagged]

    assert flagged(replay(SPEC, DEFINED, week, MONDAY, MONDAY + 3 * DAY)) == []
    assert flagged(replay(SPEC, DEFINED, week, MONDAY, MONDAY + 3 * DAY, before.learnt)) == ["delay"] * 3


def test_hours_add_up_to_days() -> None:
    """Every row once."""
    days, hours = Days(DEFINED), timedelta(hours=1)
    windows = {MONDAY + n * hours: days.window(50) for n in range(30)}
    found = by_days(windows)

    assert {at: one["delay"].n for at, one in found.items()} == {MONDAY: 24 * 50, MONDAY + DAY: 6 * 50}


def test_no_effect_exceeds_the_distance() -> None:
    """The bound that lets most features be passed over, on a thousand random pairs of windows."""
    random = np.random.default_rng(3)
    days = Days(DEFINED, jitter=0.2)
    for _ in range(60):
        ours = days.window(int(random.integers(100, 5000)), {"delay": float(random.normal()), "missing:hour": 0.1})
        theirs = days.window(int(random.integers(100, 50_000)))
        for name, one in DEFINED.features.items():
            for part in components(one):
                effect = compare(one, part, ours[name], theirs[name], CHANCE).effect
                bound = distance(vector(one, ours[name], part), vector(one, theirs[name], part))

                assert effect**2 <= bound + 1e-9, (name, part)


def test_no_association_exceeds_its_room() -> None:
    """The same of pairs, whose reference is first given the window's margins."""
    random = np.random.default_rng(4)
    for _ in range(300):
        ours, theirs = (_pair(random, int(random.integers(300, 20_000))) for _ in range(2))
        one = Definition("a × b", "pair", theirs, of=("a", "b"), quarters=((0, 1, 2, 3), (0, 1, 2, 3)))
        effect = compare(one, "association", ours, theirs, CHANCE).effect

        assert effect**2 <= PAIR_ROOM * distance(ours.cells, theirs.cells) + 1e-9


def _pair(random: np.random.Generator, rows: int) -> Counts:
    """Two features with margins and an association of their own."""
    margins = np.outer(random.dirichlet(np.full(4, 20.0)), random.dirichlet(np.full(4, 20.0)))
    tilt = np.exp(random.normal(0, 0.15) * np.outer([-1.3, -0.3, 0.3, 1.3], [-1.3, -0.3, 0.3, 1.3]))
    shares = (margins * tilt).ravel()
    return Counts(rows, 0, 0, 0, 0, 0, tuple(int(n) for n in random.multinomial(rows, shares / shares.sum())))
