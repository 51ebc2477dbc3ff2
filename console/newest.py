"""The newest runs and audit entries of an installation, without listing the years behind them.

Ids of runs and paths of the audit carry their time, so that one month of one model, or one day, is one prefix. Only
who asks for more than the last ones pays for the whole list.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import batched

from retraining.audit import AuditEvent
from retraining.ports import Store
from retraining.records import Run
from retraining.state import read_run

MONTHS, DAYS = 3, 31  # looked through one by one before everything is listed
_READERS = 8
_TIME = re.compile(r"-(\d{8}-\d{6})-[^-]*$")


def newest_runs(
    store: Store, models: Iterable[str], now: datetime, last: int, keep: Callable[[Run], bool] = lambda run: True
) -> list[Run]:
    """The last runs of these models that ``keep`` says yes to, newest first."""
    wanted = set(models)

    def read(run_id: str) -> Run | None:
        found = read_run(store, run_id)
        return found[0] if found and found[0].model in wanted and keep(found[0]) else None

    found: list[Run] = []
    with ThreadPoolExecutor(_READERS) as readers:
        for ids in _run_ids(store, wanted, now, readers):
            for some in batched(ids, max(_READERS, last), strict=False):
                found += [run for run in readers.map(read, some) if run]
                if len(found) >= last:
                    return _in_order(found)[:last]
    return _in_order(found)


def _in_order(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.opened, reverse=True)


def _run_ids(store: Store, models: set[str], now: datetime, readers: ThreadPoolExecutor) -> Iterator[list[str]]:
    """Ids, newest first: month by month, then all that are left."""
    seen: set[str] = set()
    month = now
    for _ in range(MONTHS):
        prefixes = [f"runs/{model}-{month:%Y%m}" for model in sorted(models)]
        yield _fresh((path for paths in readers.map(store.list, prefixes) for path in paths), seen)
        month = month.replace(day=1) - timedelta(days=1)
    prefixes = [f"runs/{model}-" for model in sorted(models)]
    yield _fresh((path for paths in readers.map(store.list, prefixes) for path in paths), seen)


def _fresh(paths: Iterable[str], seen: set[str]) -> list[str]:
    ids = {path.removeprefix("runs/").removesuffix(".json") for path in paths} - seen
    seen |= ids
    return sorted(ids, key=_time, reverse=True)


def _time(run_id: str) -> str:
    match = _TIME.search(run_id)
    return match[1] if match else ""


def newest_events(store: Store, model: str, now: datetime, last: int) -> list[AuditEvent]:
    """The last audit entries of a model, or of all when it is empty, newest first."""

    def read(path: str) -> AuditEvent | None:
        stored = store.read(path)
        event = AuditEvent.from_json(stored.body) if stored else None
        return event if event and model in ("", event.model) else None

    found: list[AuditEvent] = []
    with ThreadPoolExecutor(_READERS) as readers:
        for paths in _event_paths(store, now):
            for some in batched(paths, max(_READERS, last), strict=False):
                found += [event for event in readers.map(read, some) if event]
                if len(found) >= last:
                    return found[:last]
    return found


def _event_paths(store: Store, now: datetime) -> Iterator[list[str]]:
    """Paths, newest first: day by day, then all that are left."""
    first = now + timedelta(days=1)  # another clock may be a little ahead
    seen = set()
    for back in range(DAYS):
        paths = store.list(f"events/{first - timedelta(days=back):%Y-%m-%d}/")
        seen.update(paths)
        yield sorted(paths, reverse=True)
    yield sorted(set(store.list("events/")) - seen, reverse=True)
