"""The life of an incident, window by window."""

from datetime import timedelta

import pytest

from monitoring.incident import QUIET, kind_of, rebase, step
from retraining.incidents import Finding, Incident, WindowVerdict
from tests.monitoring.traffic import MONDAY

DAY = timedelta(days=1)


def verdict(
    number: int, *moved: tuple[str, float], component: str = "location", remainder: float = 0.0
) -> WindowVerdict:
    """A window in which these features were flagged and all others kept a remainder that is no chance."""
    flagged = dict(moved)
    findings = tuple(
        Finding(
            feature=name,
            effect=flagged.get(name, remainder),
            p_value=1e-9 if name in flagged else 0.01,
            component=component,
            flagged=name in flagged,
        )
        for name in ("delay", "hour", "carrier")
    )
    start = MONDAY + number * DAY
    return WindowVerdict(
        model="m",
        start=start,
        end=start + DAY,
        rows=1000,
        baseline_id="run-1",
        findings=findings,
        minimum_detectable=0.1,
    )


def play(*verdicts: WindowVerdict) -> tuple[Incident | None, list[str]]:
    """The incident after these windows, and what happened on the way."""
    incident, happened = None, []
    for number in range(len(verdicts)):
        incident, events = step(incident, verdicts[max(0, number - 2) : number + 1], 0.1)
        happened += [event.what for event in events]
    return incident, happened


def test_one_flagged_window_is_not_enough() -> None:
    assert play(verdict(0, ("delay", 0.3)), verdict(1), verdict(2)) == (None, [])


def test_two_of_three_windows_open() -> None:
    incident, happened = play(verdict(0, ("delay", 0.3)), verdict(1), verdict(2, ("delay", 0.2)))

    assert happened == ["incident opened"]
    assert incident is not None
    assert (incident.opened, incident.features, incident.kind) == (MONDAY + 3 * DAY, {"delay": 0.2}, "drift")


def test_two_of_four_windows_do_not() -> None:
    assert play(verdict(0, ("delay", 0.3)), verdict(1), verdict(2), verdict(3, ("delay", 0.3)))[0] is None


def test_different_features_do_not_confirm_each_other() -> None:
    assert play(verdict(0, ("delay", 0.3)), verdict(1, ("hour", 0.3)))[0] is None


def test_a_severe_move_opens_at_once() -> None:
    incident, _ = play(verdict(0, ("delay", 0.51)))

    assert incident is not None
    assert incident.windows == (MONDAY + DAY,)


def test_an_incident_grows_by_features_that_last_and_keeps_the_largest_effect() -> None:
    incident, happened = play(
        verdict(0, ("delay", 0.6)),
        verdict(1, ("delay", 0.4), ("hour", 0.2)),
        verdict(2, ("delay", 0.7), ("hour", 0.3)),
    )

    assert happened == ["incident opened", "incident grew"]
    assert incident is not None
    assert incident.features == {"delay": 0.7, "hour": 0.3}
    assert len(incident.windows) == 3


def test_it_closes_once_after_three_quiet_windows() -> None:
    quiet = [verdict(number) for number in range(1, QUIET + 3)]
    incident, happened = play(verdict(0, ("delay", 0.6)), *quiet)

    assert happened == ["incident opened", "incident closed"]
    assert incident is not None
    assert incident.closed == MONDAY + 4 * DAY


@pytest.mark.parametrize(("remainder", "closes"), [(0.04, True), (0.06, False)])
def test_quiet_means_under_half_the_effect_that_matters(remainder: float, closes: bool) -> None:
    later = [verdict(number, remainder=remainder) for number in range(1, 5)]
    incident, _ = play(verdict(0, ("delay", 0.6)), *later)

    assert incident is not None
    assert (incident.closed is not None) == closes


def test_a_flagged_window_starts_the_quiet_count_again() -> None:
    incident, _ = play(
        verdict(0, ("delay", 0.6)), verdict(1), verdict(2), verdict(3, ("delay", 0.2)), verdict(4), verdict(5)
    )

    assert incident is not None
    assert (incident.quiet, incident.closed) == (2, None)


def test_after_closing_a_new_one_can_open() -> None:
    incident, happened = play(
        verdict(0, ("delay", 0.6)), *(verdict(n) for n in range(1, 4)), verdict(4, ("hour", 0.9))
    )

    assert happened == ["incident opened", "incident closed", "incident opened"]
    assert incident is not None
    assert incident.features == {"hour": 0.9}


@pytest.mark.parametrize("component", ["missing", "unseen", "unit"])
def test_faults_of_the_feed_make_a_data_incident(component: str) -> None:
    incident, _ = play(verdict(0, ("delay", 0.9), component=component))

    assert incident is not None
    assert incident.kind == "data"


def test_a_data_incident_becomes_drift_when_drift_lasts_beside_it() -> None:
    incident, happened = play(
        verdict(0, ("delay", 0.9), component="missing"),
        verdict(1, ("hour", 0.6), component="location"),
    )

    assert happened[-1] == "incident became drift"
    assert incident is not None
    assert incident.kind == "drift"


def test_importance_decides_what_an_incident_is_about() -> None:
    missing = Finding(feature="hour", effect=0.3, p_value=0, component="missing", flagged=True)
    moved = Finding(feature="delay", effect=0.2, p_value=0, component="location", flagged=True)

    assert kind_of((missing, moved), {}) == "data"
    assert kind_of((missing, moved), {"delay": 3.0}) == "drift"


def test_another_champion_ends_it() -> None:
    incident, _ = play(verdict(0, ("delay", 0.6)))
    closed, events = rebase(incident, MONDAY + 2 * DAY, "run-2")
    again = rebase(closed, MONDAY + 3 * DAY, "run-3")

    assert closed is not None
    assert closed.closed == MONDAY + 2 * DAY
    assert [event.what for event in events] == ["incident closed"]
    assert again == (closed, ())
