"""Verdicts can be read back long after, and the record of a model survives being written as JSON."""

from datetime import timedelta

from local.memory.store import MemoryStore
from monitoring.records import LIMIT, Watch, history, keep, to_learnt, to_spreads
from monitoring.variation import Spread
from monitoring.verdict import Judged
from retraining.incidents import Finding
from tests.monitoring.traffic import MONDAY


def _verdict(number: int, rows: int = 1000, step: timedelta = timedelta(days=1)) -> Judged:
    start = MONDAY + number * step
    finding = Finding(feature="delay", effect=0.25, p_value=1.25e-9, component="location", flagged=True)
    return Judged(
        model="m",
        start=start,
        end=start + step,
        rows=rows,
        baseline_id="run-1",
        findings=(finding,),
        minimum_detectable=0.2,
        kind="drift",
        calibrated=True,
    )


def test_what_was_kept_is_read_back() -> None:
    """Verdicts of two months come back whole and in order."""
    store, kept = MemoryStore(), [_verdict(number) for number in range(45)]
    keep(store, "m", "day", kept)

    assert history(store, "m") == kept
    assert history(store, "m", limit=3) == kept[-3:]


def test_a_verdict_of_the_same_window_is_replaced() -> None:
    """Keeping twice changes nothing, and a later judgement of a window takes the place of the first."""
    store = MemoryStore()
    keep(store, "m", "day", [_verdict(0), _verdict(1)])
    keep(store, "m", "day", [_verdict(1, rows=1200)])
    keep(store, "m", "day", [_verdict(1, rows=1200)])

    assert [verdict.rows for verdict in history(store, "m")] == [1000, 1200]


def test_models_do_not_mix() -> None:
    """A model whose name begins with another's has a history of its own."""
    store = MemoryStore()
    keep(store, "m", "day", [_verdict(0)])

    assert history(store, "m-two") == []


def test_old_hours_are_forgotten_and_the_limit_is_kept() -> None:
    """Forty days of hourly windows leave at least LIMIT verdicts, and not all."""
    store, hour = MemoryStore(), timedelta(hours=1)
    for number in range(40 * 24):
        if number % 24 == 0:
            keep(store, "m", "hour", [_verdict(number + n, step=hour) for n in range(24)])
    found = history(store, "m", limit=10_000)

    assert LIMIT <= len(found) < 20 * 24
    assert found[-1].start == MONDAY + (40 * 24 - 1) * hour


def test_variation_is_handed_on_with_the_widest_of_its_cells() -> None:
    """Cells of another model's categories mean other things; the widest of them is the careful choice."""
    cells = (Spread(0.01, 0.0001, 20), Spread(0.04, 0.0016, 20))
    learnt = to_learnt({"carrier": {"category": Spread(free=20, cells=cells)}})

    assert to_spreads(learnt) == {"carrier": {"category": Spread(0.04, 0.0016, 20)}}


def test_the_record_survives_json() -> None:
    """What is written is what is read."""
    watch = Watch(
        model="m",
        run_id="run-1",
        deployed_id="1",
        since=MONDAY,
        judged_until=MONDAY,
        recent=(_verdict(0),),
        inherited=to_learnt({"delay": {"location": Spread(0.01, 0.0001, 20)}}),
    )

    assert Watch.from_json(watch.to_json()) == watch
