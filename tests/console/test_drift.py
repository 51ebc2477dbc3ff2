"""``retrain drift``: incidents and what they ask for, and stored counts judged again."""

import itertools
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gcp.artifacts import GcsArtifacts
from gcp.bigquery import BigQuery, connect
from gcp.drift_log import DriftStatements
from gcp.storage import connect as storage
from gcp.tables import ensure_tables
from monitoring import archive, tables
from monitoring.baseline import definitions
from monitoring.counts import add
from monitoring.distances import jensen_shannon
from monitoring.feed import Arrival
from monitoring.incident import step
from monitoring.log import Windows
from monitoring.looking import advance
from monitoring.records import Watch, keep, watch_path
from retraining import names
from retraining.incidents import Incident
from retraining.modelfile import load_models
from retraining.reports import Baseline, FeatureBaseline
from tests.console.conftest import PROJECT, Desk
from tests.monitoring.days import Days
from tests.monitoring.test_incident import verdict

ROOT = Path(__file__).parents[2]
NUMBERS = ("n", "n_null", "n_unparseable", "n_unseen", "n_low", "n_high")
DAY = timedelta(days=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DATASETS = (f"drift_{number}" for number in itertools.count(1))
OLD, NEW = "flights-20260301-030000-0001", "flights-20260411-030000-0002"
SPEC = load_models(ROOT / "models")["flights"]


def numbers(low: float) -> FeatureBaseline:
    """Four cells of equal size."""
    return FeatureBaseline(
        kind="numeric", n=2000, n_null=40, counts=(490,) * 4, edges=(low, low + 5, low + 10), low=-99, high=99
    )


def baseline(run: str) -> Baseline:
    """Two inputs and the score."""
    score = FeatureBaseline(kind="numeric", n=500, n_null=0, counts=(250, 250), edges=(0.5,), low=0, high=1)
    found = {"dep_delay": numbers(0.0), "taxi_out": numbers(10.0)}
    return Baseline(baseline_id=run, model="flights", features=found, prediction=score)


def closed(number: int) -> Incident:
    """An incident that opened on the day of this number and closed three days later."""
    found, _ = step(None, [verdict(number, ("delay", 0.6)).but(model="flights")], 0.1)
    for later in range(number + 1, number + 4):
        found, _ = step(found, [verdict(later).but(model="flights")], 0.1)
    assert found is not None
    return found


@pytest.fixture
def told(desk: Desk) -> list[Incident]:
    """One closed incident and an open one, newest first."""
    old = closed(0)
    archive.keep(desk.store, old)
    now, _ = step(None, [verdict(20, ("carrier", 0.9), component="unseen").but(model="flights")], 0.1)
    assert now is not None
    desk.put(names.incident_path("flights"), now)
    return [now, old]


def test_incidents_are_listed_newest_first_with_what_to_do(desk: Desk, told: list[Incident]) -> None:
    """The open one and those that closed."""
    result = desk.type("drift", "incidents", "flights")
    listed = json.loads(desk.type("drift", "incidents", "flights", "--json").stdout)

    assert [one["incident"] for one in listed] == [one.incident_id for one in told]
    assert [one["do"] for one in listed] == ["look at the feed", "nothing"]
    assert "carrier 0.90" in result.output
    assert result.output.index(told[0].incident_id) < result.output.index(told[1].incident_id)


def test_no_incidents_is_said_in_words(desk: Desk) -> None:
    assert desk.type("drift", "incidents", "flights").output == "no incidents\n"


def test_an_incident_is_shown_with_reason_and_course(desk: Desk, told: list[Incident]) -> None:
    """By its id."""
    result = desk.type("drift", "show", told[1].incident_id)

    assert result.exit_code == 0
    assert "do: nothing: it is over: 3 ordinary windows in a row" in result.output
    assert "delay    0.60    1           values are higher or lower" in result.output
    assert result.output.count("1,000") == 4


def test_a_model_shows_its_newest_incident(desk: Desk, told: list[Incident]) -> None:
    shown = json.loads(desk.type("drift", "show", "flights", "--json").stdout)

    assert shown["incident_id"] == told[0].incident_id


def test_an_unknown_incident_is_named(desk: Desk) -> None:
    result = desk.type("drift", "show", "flights-1")

    assert result.exit_code == 1
    assert "'flights-1': expected the id of an incident" in result.stderr


@pytest.fixture(scope="session")
def counted() -> dict[str, Windows]:
    """Forty days under the old champion, of which ten drift; then ten ordinary ones under the new."""
    days = Days(definitions(SPEC, baseline(OLD)), jitter=0.03)
    old = {MONDAY + n * DAY: days.window(2000, {"dep_delay": 0.4 * (n >= 30)}) for n in range(40)}
    return {OLD: old, NEW: {MONDAY + n * DAY: days.window(2000) for n in range(40, 50)}}


@pytest.fixture
def judged(desk: Desk, bigquery: str, counted: dict[str, Windows]) -> Iterator[Desk]:
    """A desk whose counts are stored, and whose monitor has judged those of the old champion."""
    dataset = next(DATASETS)
    warehouse = BigQuery(connect(PROJECT, bigquery))
    ensure_tables(warehouse.client, dataset, [])
    tables.ensure(DriftStatements(warehouse, dataset), PROJECT, dataset)
    rows = [line for run, windows in counted.items() for line in stored(run, windows)]
    warehouse.client.load_table_from_json(rows, f"{PROJECT}.{dataset}.{tables.COUNTS}").result()
    client = storage(PROJECT, str(desk.environ["STORAGE_EMULATOR_HOST"]))
    artifacts = f"artifacts-{dataset.replace('_', '-')}"
    client.create_bucket(artifacts)
    for run in counted:
        GcsArtifacts(client).write(
            f"{names.artifact_uri(artifacts, run)}/report/baseline.json", baseline(run).to_json().encode()
        )
    watch = Watch(model="flights", run_id=OLD, deployed_id="1", since=MONDAY, judged_until=MONDAY)
    defined, end = definitions(SPEC, baseline(OLD)), MONDAY + 40 * DAY
    watch, verdicts = advance(SPEC, defined, watch, counted[OLD], end, muted=False)
    keep(desk.store, "flights", "day", verdicts)
    desk.put(watch_path("flights"), watch)
    desk.environ |= {
        "RETRAIN_DATASET": dataset,
        "RETRAIN_ARTIFACT_BUCKET": artifacts,
        "BIGQUERY_EMULATOR_HOST": bigquery,
    }
    yield desk
    warehouse.client.close()


def stored(run: str, windows: Windows) -> Iterator[dict[str, object]]:
    """The windows as rows of the table of counts."""
    for start, features in windows.items():
        for name, one in features.items():
            yield {
                "model": "flights",
                "deployed_model_id": run[-1],
                "baseline_id": run,
                "window_start": start.isoformat(),
                "window_end": (start + DAY).isoformat(),
                "feature": name,
                **{
                    key: getattr(one, key)
                    for key in ("n", "n_null", "n_unparseable", "n_unseen", "n_low", "n_high")
                },
                "counts": list(one.cells),
                "sum": one.sum,
                "sum_sq": one.sum_sq,
            }


def test_a_replay_with_the_same_settings_tells_what_was_told(judged: Desk) -> None:
    """Over two champions; the windows of the second were never judged."""
    result = judged.type("drift", "replay", "flights", "--from", "2026-03-02", "--to", "2026-04-21", "--json")
    data = json.loads(result.stdout)

    assert data["windows"] == 50
    assert data["never_judged"] == 10
    assert data["flagged"]["was"] == data["flagged"]["would"] >= 9
    assert all(line["was"] == line["would"] for line in data["lines"])
    [was], [would] = data["incidents"]["was"], data["incidents"]["would"]
    assert (was["incident"], was["closed"]) == (would["incident"], None)
    assert would["closed"].startswith("2026-04-11"), "the next champion ends it"


def test_a_replay_with_a_larger_least_effect_opens_nothing(judged: Desk) -> None:
    """And says so beside what was."""
    span = ("--from", "2026-03-20", "--to", "2026-04-11")
    result = judged.type("drift", "replay", "flights", *span, "--min-effect", "0.9")

    assert result.exit_code == 0, result.output
    assert "22 windows judged again with window day, min_rows 500, min_effect 0.9, alpha 0.01" in result.output
    assert "would have opened: none" in result.output
    assert "opened: drift from 2026-04-0" in result.output
    assert "0 would have been" in result.output


def test_a_replay_concludes_nothing_from_a_feed_that_was_broken(judged: Desk) -> None:
    """All ten days that drift had a broken feed at the time: they are flagged, and nothing would have opened."""
    kept = judged.store.read(watch_path("flights"))
    assert kept is not None
    faulty = tuple(
        Arrival(start=MONDAY + n * DAY, volume=2000, rows=2000, faults=("rows are repeated",))
        for n in range(30, 40)
    )
    watch = Watch.from_json(kept.body).but(arrivals=faulty)
    judged.store.replace(watch_path("flights"), watch.to_json(), kept.version)
    span = ("--from", "2026-03-02", "--to", "2026-04-21", "--json")
    data = json.loads(judged.type("drift", "replay", "flights", *span).stdout)

    assert data["flagged"]["would"] >= 9
    assert data["incidents"]["would"] == []


def test_a_replay_changes_nothing(judged: Desk) -> None:
    """Not one record."""
    before = {path: judged.body(path) for path in judged.store.list("")}
    judged.type("drift", "replay", "flights", "--from", "2026-03-02", "--alpha", "0.2")

    assert {path: judged.body(path) for path in judged.store.list("")} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "soon"), "--from: expected a day like 2026-01-31, got 'soon'"),
        (("--from", "2026-03-02", "--alpha", "2"), "--alpha: "),
        (("--from", "2026-03-02", "--window", "hour"), "--window: expected day, got hour"),
        (("--from", "2020-03-02", "--to", "2020-03-03"), "flights: no window was counted from 2020-03-02"),
    ],
)
def test_what_cannot_be_replayed_is_said(judged: Desk, words: tuple[str, ...], said: str) -> None:
    result = judged.type("drift", "replay", "flights", *words)

    assert result.exit_code in (1, 2)
    assert said in result.stderr


def test_the_newest_window_is_shown_in_other_tools_words(judged: Desk, counted: dict[str, Windows]) -> None:
    """The newest under the new champion, which nobody judged; it has ten ordinary windows before it."""
    clock = {"RETRAIN_CLOCK": f"2026-04-21T00:00:00Z*1@{time.time():.0f}"}
    result = judged.type("drift", "distances", "flights", **clock)
    data = json.loads(judged.type("drift", "distances", "flights", "--json", **clock).stdout)
    windows = counted[NEW]
    last = max(windows)
    before = add(one["taxi_out"] for at, one in windows.items() if at < last)
    line = next(one for one in data["features"] if one["feature"] == "taxi_out")

    assert result.exit_code == 0, result.output
    assert (data["start"][:10], line["effect"], line["against"]) == ("2026-04-20", None, "ordinary days")
    assert line["jensen_shannon"] == jensen_shannon(windows[last]["taxi_out"].cells, before.cells)
    assert not line["vertex_default_alarms"]
    assert f"{line['jensen_shannon']:.3f}" in result.output
    assert "the default threshold of Vertex AI, 0.3, would have said: nothing" in result.output


def test_the_report_is_one_file(judged: Desk, tmp_path: Path) -> None:
    """Made of what is stored; without labels it tells of the inputs alone."""
    out = tmp_path / "pages" / "flights.html"
    result = judged.type("drift", "report", "flights", "--out", str(out), "--days", "4000")
    page = out.read_text()

    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out)
    assert f'Serving now: <span class="id">{NEW}</span>' in page
    assert "An incident is open since 2026-04-0" in page
    assert "Was it right?" not in page


def test_the_page_of_an_incident_is_one_file(judged: Desk, tmp_path: Path) -> None:
    """With the distribution of its worst window, from what is stored."""
    out = tmp_path / "incident.html"
    clock = f"2026-04-21T00:00:00Z*1@{time.time():.0f}"
    result = judged.type("drift", "show", "flights", "--out", str(out), RETRAIN_CLOCK=clock)
    page = out.read_text()

    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out)
    assert 'aria-label="distribution of dep_delay now and before"' in page
    assert re.search(r"2,000 rows, beside (8|10),000 of ordinary days", page), "four or five of its weekday"


def test_a_report_of_nothing_is_refused(desk: Desk, bigquery: str, tmp_path: Path) -> None:
    """An empty page would look like a quiet model."""
    out = tmp_path / "x.html"
    environ = {"BIGQUERY_EMULATOR_HOST": bigquery, "RETRAIN_DATASET": "nowhere_yet"}
    result = desk.type("drift", "report", "flights", "--out", str(out), **environ)

    assert result.exit_code == 1
    assert not out.exists()
