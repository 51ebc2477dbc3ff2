"""An alarm of another monitor is weighed by what our own knows of the same rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitoring.verdict import Judged
from retraining.incidents import Finding
from retraining.messages import anomaly
from retraining.messages.context import Ignored
from retraining.messages.witness import AUDIT, Alarm, rows_needed, weigh
from retraining.modelspec import DriftTrigger
from tests.messages.samples import context, sample

HOUR = timedelta(hours=1)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TRIGGER = DriftTrigger()


def verdict(hours: int, rows: int = 5000, length: timedelta = HOUR, **moved: float) -> Judged:
    """Our verdict on the window that starts so many hours after noon; features that moved are flagged."""
    findings = tuple(
        Finding(
            feature=name,
            effect=moved.get(name, 0.02),
            p_value=0.2,
            component="location",
            flagged=name in moved,
        )
        for name in ("age", "education", "note:length")
    )
    start = NOON + hours * HOUR
    return Judged(
        model="flights",
        start=start,
        end=start + length,
        rows=rows,
        baseline_id="run-1",
        findings=findings,
        minimum_detectable=0.1,
        kind="drift" if moved else "ordinary",
        calibrated=True,
    )


def alarm(hours: int = 0, *features: str, length: timedelta = HOUR) -> Alarm:
    start = NOON + hours * HOUR
    return Alarm("1", start, start + length, features or ("age",))


def test_without_verdicts_an_alarm_counts_and_says_that_its_size_is_unknown() -> None:
    found = weigh(alarm(), [], TRIGGER)

    assert (found.counts, found.rows) == (True, None)
    assert found.why.startswith("on an unknown number of rows")


def test_an_alarm_that_our_judgement_shares_counts_with_its_rows() -> None:
    found = weigh(alarm(), [verdict(-1), verdict(0, age=0.4)], TRIGGER)

    assert (found.counts, found.rows) == (True, 5000)
    assert found.why == "on 5,000 rows; our own judgement agrees: age location 0.40"


def test_an_alarm_on_rows_that_we_found_ordinary_asks_for_nothing() -> None:
    found = weigh(alarm(), [verdict(0)], TRIGGER)

    assert not found.counts
    assert found.why == "on 5,000 rows; our own judgement of them finds nothing, at most age location 0.02"


def test_another_feature_that_moved_does_not_confirm_the_alarm() -> None:
    assert not weigh(alarm(0, "age"), [verdict(0, education=0.4)], TRIGGER).counts


def test_too_few_rows_ask_for_nothing_whatever_was_found() -> None:
    found = weigh(alarm(), [verdict(0, rows=300, age=0.6)], TRIGGER)

    assert (found.counts, found.rows) == (False, 300)
    assert found.why == f"on 300 rows; to see 0.1 standard deviations takes {rows_needed(TRIGGER, 3):,} rows"


def test_an_hour_of_a_day_has_its_share_of_the_rows() -> None:
    """A monitor that judges days still knows about how many rows an hour has."""
    day = verdict(-12, rows=24_000, length=24 * HOUR, age=0.4)

    assert weigh(alarm(), [day], TRIGGER).rows == 1000


def test_rows_that_are_not_judged_yet_are_guessed_from_the_last_windows() -> None:
    """Enough of them count; too few do not."""
    before = [verdict(number - 5, rows=4000) for number in range(5)]
    few = [one.but(rows=90) for one in before]

    assert weigh(alarm(), before, TRIGGER).why == "on about 4,000 rows, which our monitor has not judged yet"
    assert weigh(alarm(), before, TRIGGER).counts
    assert not weigh(alarm(), few, TRIGGER).counts


def test_a_window_judged_in_part_is_not_judged() -> None:
    found = weigh(alarm(length=2 * HOUR), [verdict(0)], TRIGGER)

    assert found.counts
    assert found.why == "on about 10,000 rows, which our monitor has not judged yet"


def test_a_broken_feed_is_no_drift() -> None:
    found = weigh(alarm(), [verdict(0, age=0.9).but(kind="data")], TRIGGER)

    assert not found.counts
    assert "the feed is broken" in found.why


def test_a_feature_that_we_do_not_watch_cannot_be_contradicted() -> None:
    found = weigh(alarm(0, "weekday"), [verdict(0)], TRIGGER)

    assert found.counts
    assert found.why.endswith("our monitor does not watch weekday")


def test_a_text_is_watched_by_what_is_derived_from_it() -> None:
    assert not weigh(alarm(0, "note"), [verdict(0)], TRIGGER).counts
    assert weigh(alarm(0, "note"), [verdict(0, **{"note:length": 0.3})], TRIGGER).counts


@pytest.mark.parametrize(("effect", "counts"), [(0.3, True), (0.05, False)])
def test_silence_means_little_before_ordinary_variation_is_known(effect: float, counts: bool) -> None:
    """A careful verdict that saw an effect, and could not count it, does not contradict."""
    seen = verdict(0)
    findings = (seen.findings[0].but(effect=effect), *seen.findings[1:])

    assert weigh(alarm(), [seen.but(findings=findings, calibrated=False)], TRIGGER).counts == counts


def test_fewer_rows_are_needed_where_only_large_effects_matter() -> None:
    """Four times as large, a sixteenth of the rows; more features, more rows."""
    large = DriftTrigger(min_effect=0.4)

    assert rows_needed(TRIGGER, 30) == pytest.approx(16 * rows_needed(large, 30), rel=0.01)
    assert rows_needed(TRIGGER, 30) > rows_needed(TRIGGER, 3) > 1000


def entry(found: list[Judged], **changes: Any) -> Any:
    """What a v1 entry over the hour after noon becomes."""
    payload = sample("anomaly_v1")
    payload["jsonPayload"] |= {"startTime": NOON.isoformat(), "endTime": (NOON + HOUR).isoformat()} | changes
    return anomaly.parse(payload, {"model": "flights"}, context(judged=lambda spec, deployed: found))


def test_an_entry_is_recorded_with_the_reason_when_it_asks_for_nothing() -> None:
    told = entry([verdict(0)])

    assert isinstance(told, Ignored)
    assert (told.audit, told.model) == (AUDIT, "flights")
    assert told.reason.startswith("RAW_FEATURE_SKEW in age, education asks for nothing: on 5,000 rows; our own")


def test_an_entry_that_counts_carries_its_sample_size() -> None:
    [trigger] = entry([verdict(0, education=0.7)])

    assert trigger.details["rows"] == "5000"
    assert trigger.reason.endswith("on 5,000 rows; our own judgement agrees: education location 0.70")


def test_an_alert_of_version_2_is_weighed_by_the_hour_before_it() -> None:
    payload = sample("anomaly_v2_alert") | {"statsName": "age", "alertTime": (NOON + HOUR).isoformat()}
    told = anomaly.parse(payload, {}, context(judged=lambda spec, deployed: [verdict(0)]))

    assert isinstance(told, Ignored)
    assert "on 5,000 rows" in told.reason


def test_a_span_that_ends_before_it_starts_is_still_weighed() -> None:
    told = entry([verdict(0, age=0.4)], startTime="2030-01-01T00:00:00Z")

    assert [one.key for one in told]
