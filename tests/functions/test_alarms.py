"""An alarm of Vertex AI's own monitor meets what ours has judged, from records alone."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.entries import ON_DRIFT
from functions.message import receive
from monitoring.records import keep
from retraining import names
from retraining.rollouts import Rollout, Serving
from tests.functions.events import Place, event, published
from tests.messages.samples import sample
from tests.messages.test_witness import verdict

DEPLOYED, RUN = "1645828169292316672", "flights-run-1"
HOUR = timedelta(hours=1)
START = datetime(2022, 2, 3, 18, tzinfo=UTC)  # of the sample's span


def place(rows: int = 5000, run: str = RUN, **moved: float) -> Place:
    """An installation whose monitor has judged the very hour that the sample is about."""
    found = Place()
    serving = Serving(run_id=RUN, deployed_id=DEPLOYED)
    record = Rollout(endpoint="flights", model="flights", champion=serving)
    found.store.create(names.rollout_path("flights"), record.to_json())
    judged = verdict(0, rows, **moved).but(start=START, end=START + HOUR, baseline_id=run)
    keep(found.store, "flights", "hour", [judged])
    return found


def test_an_alarm_that_our_monitor_shares_is_a_trigger_with_its_rows() -> None:
    here = place(age=0.4)
    receive(event(published(sample("anomaly_v1"))), ON_DRIFT, here.world)

    [parked] = here.records("inbox/")
    assert parked["trigger"]["details"]["rows"] == "5000"
    assert "our own judgement agrees: age location 0.40" in parked["trigger"]["reason"]


@pytest.mark.parametrize(
    ("rows", "said"), [(5000, "our own judgement of them finds nothing"), (200, "on 200 rows; to see 0.1")]
)
def test_an_alarm_without_ground_is_recorded_and_asks_for_nothing(rows: int, said: str) -> None:
    here = place(rows)
    receive(event(published(sample("anomaly_v1"))), ON_DRIFT, here.world)

    [told] = here.records("events/")
    assert here.records("inbox/") == []
    assert (told["what"], told["model"]) == ("alarm set aside", "flights")
    assert said in told["details"]["reason"]


def test_verdicts_on_another_models_rows_are_no_witness() -> None:
    """They were judged for the run before; the alarm counts, its size unknown."""
    here = place(run="flights-run-0")
    receive(event(published(sample("anomaly_v1"))), ON_DRIFT, here.world)

    [parked] = here.records("inbox/")
    assert "on an unknown number of rows" in parked["trigger"]["reason"]


def test_verdicts_that_cannot_be_read_are_no_reason_to_lose_an_alarm() -> None:
    """It counts as if nothing had been judged."""
    here = place()
    [path] = here.store.list("monitor/flights/")
    here.store.delete(path)
    here.store.create(path, "{")
    receive(event(published(sample("anomaly_v1"))), ON_DRIFT, here.world)

    assert len(here.records("inbox/")) == 1
