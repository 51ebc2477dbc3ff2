"""One rehearsal from start to end: stack, history, replay, and what was answered."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from gcp.bigquery import connect as connect_bigquery
from gcp.bus import PubsubBus
from gcp.endpoints import VertexEndpoints
from gcp.storage import connect as connect_storage
from gcp.store import GcsStore
from local.data import flights
from local.rehearsal.feed import Feed
from local.rehearsal.pace import JOBS, WAITING, Pacer, is_busy
from local.rehearsal.replay import Progress, Replay
from local.rehearsal.scenario import DAY, START, Stage, prepare
from local.rehearsal.traffic import Requests
from local.stack.options import Options
from local.stack.stack import Stack
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.ports import Store
from retraining.settings import Settings
from retraining.state import read_rollout, read_state

MODELS = Path(__file__).parent / "models"
# At replay speed a tick every five minutes would be hundreds a second: the rehearsal's own times.
CRONS = {"tick": "0 12 * * *", "monitor": "30 5 */4 * *", "watermark": "45 6 * * 5"}
NUDGES = {WAITING: 0.3, JOBS: 1.0}  # real seconds between extra ticks while the clock is slow


@dataclass
class Rehearsal:
    """A running rehearsal, and what a display may look at."""

    stack: Stack
    spec: ModelSpec
    store: Store
    settings: Settings
    frame: pd.DataFrame
    requests: Requests
    pacer: Pacer
    replay: Replay
    messages: list[str] = field(default_factory=list)

    def play(self, stopped: Callable[[], bool]) -> None:
        """Load the history, wait for the first model, then replay the year."""
        self.pacer.start()
        nudge = threading.Thread(target=self._nudge, args=[stopped], daemon=True)
        nudge.start()
        try:
            self.replay.load_history()
            self.pacer.limit = START + 30 * DAY
            while not self._serves() and not stopped():
                threading.Event().wait(0.2)
            self.replay.run()
            self._finish(stopped)
        finally:
            self.pacer.stop()
            self.requests.close()

    def _serves(self) -> bool:
        record, _ = read_rollout(self.store, self.spec.endpoint, self.spec.name)
        return record.champion is not None

    def _finish(self, stopped: Callable[[], bool]) -> None:
        """Let a job or deployment that is under way at the year's end come to its end."""
        for _ in range(300):
            if stopped() or not is_busy(self.store, self.spec):
                return
            self.pacer.limit = self.pacer.now() + DAY / 24
            threading.Event().wait(0.1)

    def _nudge(self, stopped: Callable[[], bool]) -> None:
        """Extra ticks while the clock is slow, as ``retrain trigger`` publishes one; a tick is always harmless."""
        while not stopped():
            pause = NUDGES.get(self.pacer.pace.speed)
            threading.Event().wait(pause or 0.1)
            if pause is not None:
                self.replay.stage.bus.publish(self.settings.ticks_topic, '{"kind": "tick"}', {})


@contextmanager
def rehearsal(
    state: Path, cache: Path, day_seconds: float, say: Callable[[str], None], stopped: Callable[[], bool]
) -> Iterator[Rehearsal]:
    """Start everything a rehearsal needs; everything is stopped at the end of the block."""
    spec = load_models(MODELS)["flights"]
    frame = prepare(flights.load(cache))
    options = Options(clock=f"{START.isoformat()}*0", models=str(MODELS), crons=CRONS)
    with Stack(state, options, fresh=True, report=say) as stack:
        os.environ.update(stack.env)  # Google's clients read their addresses there
        settings = stack.settings
        store = GcsStore(connect_storage(settings.project), settings.state_bucket)
        endpoint = VertexEndpoints(settings).view(spec.endpoint)
        assert endpoint is not None
        requests = Requests(settings.vertex_api, endpoint.name, spec)
        pacer = Pacer(Path(settings.clock.removeprefix("file:")), store, spec, day_seconds)
        messages: list[str] = []
        feed = Feed(connect_bigquery(settings.project), spec, frame)
        stage = Stage(feed, PubsubBus(settings.project), settings, messages.append)
        replay = Replay(
            spec,
            frame,
            stage,
            requests,
            pacer,
            Progress(),
            stopped,
            lambda: not read_state(store, spec.name)[0].active_run,
        )
        yield Rehearsal(stack, spec, store, settings, frame, requests, pacer, replay, messages)
