"""The life of an incident, window by window."""

from datetime import timedelta

import pytest

from local.memory.store import MemoryStore
from monitoring import archive
from monitoring.baseline import PREDICTION
from monitoring.incident import QUIET, kind_of, rebase, step
from retraining import names
from retraining.incidents import Finding, Incident, WindowVerdict
from retraining.views import Stored
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
    incident: Incident | None = None
    happened: list[str] = []
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


def test_features_are_ranked_by_effect_and_importance() -> None:
    weights = {"hour": 5.0, "delay": 1.0}
    incident, _ = step(None, [verdict(0, ("delay", 0.9), ("hour", 0.6))], 0.1, weights)

    assert incident is not None
    assert list(incident.features) == ["hour", "delay"]
    assert incident.ranked == [("hour", 0.6), ("delay", 0.9)]


def test_the_importance_of_a_feature_alone_decides_among_equal_effects() -> None:
    incident, _ = step(None, [verdict(0, ("delay", 0.6), ("hour", 0.6))], 0.1, {"hour": 2.0})

    assert incident is not None
    assert [name for name, _ in incident.ranked] == ["hour", "delay"]


def test_a_changed_world_asks_for_a_retraining_and_says_why() -> None:
    incident, _ = play(verdict(0, ("delay", 0.9)))

    assert incident is not None
    assert incident.do == "retrain"
    assert incident.why == (
        "delay: values are higher or lower (0.90 standard deviations): "
        "the traffic is no longer what the model was trained on"
    )


def test_a_broken_feed_asks_for_a_look_at_it() -> None:
    incident, _ = play(verdict(0, ("carrier", 0.9), component="unseen"))

    assert incident is not None
    assert incident.do == "look at the feed"
    assert incident.why.startswith("carrier: there are values that training never saw (0.90")
    assert "training would learn the fault" in incident.why


def test_what_hardly_weighs_asks_for_nothing() -> None:
    incident, _ = step(None, [verdict(0, ("delay", 0.9))], 0.1, {"delay": 0.1})

    assert incident is not None
    assert incident.do == "nothing"
    assert "weighs 0.09, no more than 0.1, and the predictions did not move" in incident.why


def test_moved_predictions_ask_for_a_retraining_whatever_their_inputs_weigh() -> None:
    first = verdict(0, ("delay", 0.9))
    score = Finding(feature=PREDICTION, effect=0.6, p_value=0, component="location", flagged=True)
    incident, _ = step(None, [first.but(findings=(*first.findings, score))], 0.1, {"delay": 0.1})

    assert incident is not None
    assert incident.do == "retrain"
    assert incident.why.endswith("and the predictions moved by 0.60 standard deviations")


def test_an_incident_that_fades_asks_for_nothing_until_it_comes_back() -> None:
    fading, _ = play(verdict(0, ("delay", 0.6)), verdict(1))
    back, _ = play(verdict(0, ("delay", 0.6)), verdict(1), verdict(2, ("delay", 0.2)))

    assert fading is not None
    assert back is not None
    assert (fading.do, fading.why) == ("nothing", "it goes back to normal: 1 of 3 ordinary windows that close it")
    assert back.do == "retrain"


def test_the_course_holds_every_window_from_opening_to_closing() -> None:
    quiet = [verdict(number, remainder=0.01) for number in range(2, 6)]
    incident, _ = play(verdict(0, ("delay", 0.6)), verdict(1, ("delay", 0.3)), *quiet)

    assert incident is not None
    assert [one.effects["delay"] for one in incident.course] == [0.6, 0.3, 0.01, 0.01, 0.01]
    assert [one.flagged for one in incident.course] == [("delay",), ("delay",), (), (), ()]
    assert incident.course[-1].end == incident.closed
    assert incident.why == "it is over: 3 ordinary windows in a row"
    assert (incident.asked, incident.because[:6]) == ("retrain", "delay:")


def test_each_event_shows_the_incident_as_it_then_was() -> None:
    incident, events = step(None, [verdict(0, ("delay", 0.6))], 0.1)
    closed, ended = rebase(incident, MONDAY + 2 * DAY, "run-2")

    assert [event.incident for event in (*events, *ended)] == [incident, closed]


def test_a_record_of_before_is_read_and_goes_on() -> None:
    """It says nothing of what to do until the next window."""
    old = Incident.from_json(
        '{"version":1,"incident_id":"m-20260303T0000","model":"m","kind":"drift","opened":"2026-03-03T00:00:00Z",'
        '"closed":null,"features":{"delay":0.59},"windows":["2026-03-03T00:00:00Z"],"baseline_id":"run-1","quiet":0}'
    )
    after, _ = step(old, [verdict(1, ("delay", 0.4))], 0.1)

    assert old.do is None
    assert after is not None
    assert (after.do, after.features, len(after.course)) == ("retrain", {"delay": 0.59}, 1)


class Late(MemoryStore):
    """A store in which another tick writes just after somebody looked."""

    def read(self, path: str) -> Stored | None:
        return None if path.startswith("incidents/m/") else super().read(path)


def test_an_incident_that_another_tick_kept_is_kept() -> None:
    """Both tell the same, so that neither has failed."""
    store = Late()
    closed, _ = play(verdict(0, ("delay", 0.6)), *(verdict(n) for n in range(1, 4)))
    assert closed is not None
    store.create(archive.closed_path("m", closed.incident_id), "what the other one wrote")

    archive.keep(store, closed)

    assert len(store.list("incidents/m/")) == 1


def test_closed_incidents_are_kept_beside_the_current_one() -> None:
    store = MemoryStore()
    first, _ = play(verdict(0, ("delay", 0.6)), *(verdict(n) for n in range(1, 4)))
    second, _ = play(verdict(9, ("hour", 0.9)))
    assert first is not None
    assert second is not None
    archive.keep(store, first)
    archive.keep(store, first)
    store.create(names.incident_path("m"), second.to_json())

    assert archive.incidents(store, "m") == [second, first]
    assert archive.incidents(store, "m", limit=1) == [second]
    assert archive.incidents(store, "mm") == []


def test_an_open_incident_is_not_put_into_the_archive() -> None:
    incident, _ = play(verdict(0, ("delay", 0.6)))

    assert incident is not None
    with pytest.raises(ValueError, match="expected a closed one"):
        archive.keep(MemoryStore(), incident)
