"""The monitor's tick: what it writes, tells and leaves alone, over months of counted days."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from local.memory.artifacts import MemoryArtifacts
from local.memory.bus import MemoryBus
from local.memory.store import MemoryStore
from monitoring.baseline import definitions
from monitoring.handler import MonitorWorld, tick
from monitoring.records import Watch, history, watch_path
from retraining import names
from retraining.errors import Temporary
from retraining.incidents import Incident
from retraining.rollouts import Phase, Rollout, Serving
from retraining.settings import Settings
from tests.monitoring.days import CountedLog, Days, Shift
from tests.monitoring.traffic import MONDAY, baseline, spec

DAY = timedelta(days=1)
SPEC = spec()
SETTINGS = Settings("local", "us-central1", "state", "artifacts", "retraining")
ROWS = 2000


@dataclass
class Installation:
    """A world whose days are drawn one by one and whose clock stands where it is put."""

    jitter: float = 0.05
    store: MemoryStore = field(default_factory=MemoryStore)
    bus: MemoryBus = field(default_factory=lambda: MemoryBus("drift"))
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    log: CountedLog = field(default_factory=lambda: CountedLog({}))
    now: datetime = MONDAY

    def __post_init__(self) -> None:
        self.days = Days(definitions(SPEC, baseline()), self.jitter)
        self.serve("run-1")

    def serve(self, run: str, phase: Phase = Phase.IDLE) -> None:
        """Make this run's model the champion."""
        made = baseline(run)
        self.artifacts.write(f"gs://artifacts/runs/{run}/report/baseline.json", made.to_json().encode())
        record = Rollout(
            endpoint=SPEC.endpoint, model=SPEC.name, phase=phase, champion=Serving(run_id=run, deployed_id=run[-1])
        )
        path = names.rollout_path(SPEC.endpoint)
        stored = self.store.read(path)
        if stored is None:
            self.store.create(path, record.to_json())
        else:
            self.store.replace(path, record.to_json(), stored.version)

    def world(self) -> MonitorWorld:
        """What a tick gets."""
        return MonitorWorld(
            SETTINGS, {SPEC.name: SPEC}, self.store, self.bus, self.log, self.artifacts, lambda: self.now
        )

    def day(self, shift: Shift | None = None, rows: int = ROWS) -> list[str]:
        """Let a day pass, and tick after midnight."""
        self.log.windows[self.now.replace(minute=0)] = self.days.window(rows, shift)
        self.now = self.now.replace(minute=0) + DAY + timedelta(minutes=5)
        return tick(self.world())

    def ordinary(self, days: int) -> None:
        """Let so many ordinary days pass."""
        for _ in range(days):
            self.day()

    @property
    def incident(self) -> Incident | None:
        """What triggers and people see."""
        stored = self.store.read(names.incident_path(SPEC.name))
        return Incident.from_json(stored.body) if stored else None

    @property
    def watch(self) -> Watch:
        """What the monitor remembers."""
        stored = self.store.read(watch_path(SPEC.name))
        assert stored is not None
        return Watch.from_json(stored.body)

    @property
    def published(self) -> list[dict[str, object]]:
        """Bodies of the messages on the drift topic."""
        return [json.loads(message.body) for message in self.bus.messages("drift")]

    def audit(self) -> list[str]:
        """What was written into the audit, in order."""
        found = [self.store.read(path) for path in self.store.list("events/")]
        return [json.loads(one.body)["what"] for one in found if one]


def test_without_a_champion_nothing_is_watched() -> None:
    """A model that does not serve yet has no requests to judge."""
    one = Installation()
    one.store.delete(names.rollout_path(SPEC.endpoint))

    assert one.day() == []
    assert one.store.read(watch_path(SPEC.name)) is None


def test_a_missing_baseline_is_said() -> None:
    """A champion whose run left no baseline cannot be judged; the line names the run."""
    one = Installation()
    one.serve("run-9")
    one.artifacts = MemoryArtifacts()

    assert one.day() == ["punctual: run run-9 left no baseline"]


def test_ordinary_days_open_nothing() -> None:
    """Forty days with ordinary variation: all are judged, none opens an incident."""
    one = Installation()
    one.ordinary(40)

    assert (one.incident, one.published, one.audit()) == (None, [], [])
    assert len(history(one.store, SPEC.name)) == 40


def test_a_second_tick_changes_nothing_and_asks_nothing() -> None:
    """Between two windows a tick reads its record and stops."""
    one = Installation()
    one.ordinary(3)
    before, asked = one.watch, len(one.log.asked)
    lines = tick(one.world())

    assert (lines, one.watch, len(one.log.asked)) == ([], before, asked)


def test_each_tick_counts_once_and_reads_once_and_repeats_the_last_window() -> None:
    """The window before the new one is counted again, for rows that came late."""
    one = Installation()
    one.ordinary(3)
    one.log.asked.clear()
    one.day()

    assert [(what, start) for what, start, _ in one.log.asked] == [
        ("count", MONDAY + 2 * DAY),
        ("read", MONDAY),
    ]


def test_windows_missed_are_made_up_in_one_tick() -> None:
    """After ten days without a tick all ten windows are judged at once."""
    one = Installation()
    one.ordinary(1)
    for n in range(1, 11):
        one.log.windows[MONDAY + n * DAY] = one.days.window(ROWS)
    one.now = MONDAY + 11 * DAY

    assert len(tick(one.world())) == 10


def test_a_moderate_drift_opens_on_its_second_window() -> None:
    """Once ordinary variation is known, a shift of 0.4 standard deviations is believed when it persists."""
    one = Installation()
    one.ordinary(30)
    one.day({"delay": 0.4})
    after_one = one.incident
    one.day({"delay": 0.4})

    assert after_one is None
    assert one.incident is not None
    assert (one.incident.kind, list(one.incident.features)) == ("drift", ["delay"])
    assert one.incident.features["delay"] == pytest.approx(0.4, abs=0.15)


def test_drift_is_published_for_every_window_it_lasts() -> None:
    """Each message names the incident and its own window; a closed incident is silent."""
    one = Installation()
    one.ordinary(30)
    for _ in range(4):
        one.day({"delay": 0.4})

    assert [body["window_end"] for body in one.published] == [(MONDAY + n * DAY).isoformat() for n in (32, 33, 34)]
    assert {body["incident_kind"] for body in one.published} == {"drift"}
    assert {body["incident_id"] for body in one.published} == {one.incident.incident_id if one.incident else ""}


def test_an_incident_closes_once_after_three_quiet_windows() -> None:
    """Open, three ordinary days, closed; later ordinary days add nothing."""
    one = Installation(jitter=0.02)
    one.ordinary(30)
    one.day({"delay": 0.4})
    one.day({"delay": 0.4})
    one.ordinary(6)

    assert one.audit() == ["incident opened", "incident closed"]
    assert one.incident is not None
    assert one.incident.closed is not None


def test_drifted_days_are_no_ordinary_days() -> None:
    """While the incident is open its feature stays out of the reference, so that drift never becomes normal."""
    one = Installation()
    one.ordinary(30)
    for _ in range(20):
        one.day({"delay": 0.4})

    assert one.incident is not None
    assert one.incident.closed is None
    assert all("delay" in span.moved for span in one.watch.spans[-18:])


def test_missing_values_open_a_data_incident_and_ask_for_no_run() -> None:
    """A feed that stops sending a feature is a fault; it opens at once and nothing is published."""
    one = Installation()
    one.ordinary(2)
    one.day({"missing:delay": 1.0})

    assert one.incident is not None
    assert (one.incident.kind, one.published) == ("data", [])


def test_before_variation_is_known_only_severe_moves_count() -> None:
    """In the first two weeks 0.3 standard deviations may be the weekday; 0.8 are not."""
    one = Installation()
    one.ordinary(2)
    one.day({"delay": 0.3})
    one.day({"delay": 0.3})
    after_moderate = one.incident
    one.day({"delay": 0.8})

    assert after_moderate is None
    assert one.incident is not None
    assert [verdict.calibrated for verdict in history(one.store, SPEC.name)] == [False] * 5


def test_a_rollout_mutes_the_monitor() -> None:
    """While traffic moves between models nothing opens; verdicts are still kept."""
    one = Installation()
    one.ordinary(2)
    one.serve("run-1", Phase.STEP)
    one.day({"delay": 0.8})

    assert one.incident is None
    assert history(one.store, SPEC.name)[-1].kind == "drift"


def test_a_promotion_closes_the_incident_and_starts_from_the_new_rows() -> None:
    """The new champion is judged by its own training rows; the old incident ends with the old model."""
    one = Installation()
    one.ordinary(30)
    one.day({"delay": 0.8})
    one.serve("run-2")
    one.day()

    assert one.audit() == ["incident opened", "incident closed"]
    assert (one.watch.run_id, one.watch.deployed_id, len(one.watch.spans)) == ("run-2", "2", 0)


def test_ordinary_variation_outlives_a_promotion() -> None:
    """What was learnt about days judges the new champion's windows from the first one on."""
    one = Installation()
    one.ordinary(30)
    one.serve("run-2")
    one.day()
    one.day()
    one.day({"delay": 0.4})
    one.day({"delay": 0.4})

    assert one.watch.inherited["delay"]["location"].excess > 0
    assert one.incident is not None
    assert one.incident.baseline_id == "run-2"


def test_thin_traffic_is_added_up_before_it_is_judged() -> None:
    """The model asks for 500 rows; three days of 200 are judged as one."""
    one = Installation()
    lines = [one.day(rows=200) for _ in range(3)]

    assert [len(line) for line in lines[1:]] == [0, 1]
    assert [verdict.rows for verdict in history(one.store, SPEC.name)] == [600]


@pytest.mark.parametrize("effect", ["save watch", "publish drift", "show incident"])
@pytest.mark.parametrize("happened", [False, True])
def test_a_tick_that_dies_is_finished_by_the_next(effect: str, happened: bool) -> None:
    """Whether the effect took place before the tick died or not, the next tick leaves the same records and every
    message is sent at least once."""
    whole, broken = Installation(), Installation()
    for one in (whole, broken):
        one.ordinary(3)
    whole.day({"delay": 0.9})
    dead = _dies_at(effect, happened)
    broken.log.windows[broken.now.replace(minute=0)] = whole.log.windows[MONDAY + 3 * DAY]
    broken.now = broken.now.replace(minute=0) + DAY + timedelta(minutes=5)
    lines = tick(replace(broken.world(), effect=dead))
    tick(broken.world())

    assert "died" in lines[0]
    assert broken.watch == whole.watch
    assert broken.incident == whole.incident
    assert set(map(str, broken.published)) == set(map(str, whole.published))


def _dies_at(effect: str, happened: bool) -> Callable[[str, Callable[[], object]], object]:
    def act(name: str, perform: Callable[[], object]) -> object:
        if name != effect:
            return perform()
        if happened:
            perform()
        raise Temporary("died")

    return act


def test_one_model_that_fails_does_not_hold_up_the_others() -> None:
    """The failing model is named in the lines; the other one is judged."""
    one = Installation()
    other = spec("other")
    one.store.create(watch_path("other"), "not json")
    one.log.windows[MONDAY] = one.days.window(ROWS)
    one.now = MONDAY + DAY
    lines = tick(replace(one.world(), models={SPEC.name: SPEC, "other": other}))

    assert lines[0].startswith("other: failed, BadRecord")
    assert lines[1].startswith("punctual: 2026-03-02")
