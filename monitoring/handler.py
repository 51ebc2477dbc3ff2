"""The monitor's tick: count the new windows, judge them, open or close the incident, tell about it.

Everything a tick concludes is written in one record by compare-and-swap, what is to be told included; only
then is it told. So a tick that dies anywhere is finished by the next one, and a tick that finds nothing new
reads one record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from monitoring.baseline import definitions
from monitoring.log import Log, Subject, length, window_unit
from monitoring.looking import advance, cycle, rebase, units
from monitoring.ordinary import KEEP, reference_for
from monitoring.records import Learnt, Watch, keep, to_learnt, watch_path
from monitoring.verdict import Judged
from retraining import migrations, names
from retraining.audit import record_event
from retraining.errors import Conflict, RetrainingError
from retraining.incidents import Incident
from retraining.intake import Effect, direct
from retraining.modelspec import ModelSpec
from retraining.ports import Artifacts, Bus, Clock, Store
from retraining.record import Record
from retraining.reports import Baseline
from retraining.settings import Settings

_GOLDEN = (5**0.5 - 1) / 2
WINDOWS_PER_TICK = 40  # counted at once at most; the next tick goes on


@dataclass(frozen=True)
class MonitorWorld:
    """What the monitor's tick needs from outside."""

    settings: Settings
    models: Mapping[str, ModelSpec]
    store: Store
    bus: Bus
    log: Log
    artifacts: Artifacts
    now: Clock
    effect: Effect = direct


class _Champion(Record):
    run_id: str = ""
    deployed_id: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.run_id, self.deployed_id


class _Endpoint(Record):
    """As much of an endpoint's record as the monitor reads."""

    format = migrations.ROLLOUT

    phase: str = ""
    champion: _Champion | None = None

    @property
    def is_moving(self) -> bool:
        """Whether a rollout is under way, during which nothing is concluded."""
        return self.phase.lower() not in ("", "idle")


def tick(world: MonitorWorld) -> list[str]:
    """Look after every model that wants to hear of drift; one line per model that something happened to.

    Running it twice at the same time changes nothing the second time. A model whose look failed is named in the
    lines and tried again by the next tick; the others are not held up.
    """
    lines = []
    for name in in_turn(sorted(world.models), world.now()):
        if world.models[name].triggers.drift is not None:
            try:
                lines += [f"{name}: {line}" for line in _look_after(world, world.models[name])]
            except Conflict as error:
                lines.append(f"{name}: another tick was faster ({error})")
            except RetrainingError as error:
                lines.append(f"{name}: failed, {type(error).__name__}: {error}")
    return lines


def in_turn(found: list[str], now: datetime) -> list[str]:
    """``found``, beginning elsewhere every hour.

    A tick that has more to do than a function's time allows is cut off. If each began with the same model, those at
    the end would never have their turn; steps of the golden ratio spread the beginnings evenly for any number.
    """
    hour = int(now.timestamp()) // 3600
    first = int(hour * _GOLDEN % 1 * len(found))
    return found[first:] + found[:first]


def _look_after(world: MonitorWorld, spec: ModelSpec) -> list[str]:
    stored = world.store.read(watch_path(spec.name))
    watch = Watch.from_json(stored.body) if stored else None
    version = stored.version if stored else ""
    if watch is not None and watch.notices:
        watch, version = _tell(world, watch, version)
    endpoint = _endpoint(world.store, spec)
    if endpoint.champion is None or not endpoint.champion.run_id:
        return []
    now = floor(world.now(), spec)
    is_new = watch is None or (watch.run_id, watch.deployed_id) != endpoint.champion.key
    if watch is not None and not is_new and now <= watch.judged_until:
        return []
    subject = _subject(world, spec, endpoint.champion.run_id, endpoint.champion.deployed_id)
    if subject is None:
        return [f"run {endpoint.champion.run_id} left no baseline"]
    if watch is None or is_new:
        watch = _start(world, spec, watch, subject, now)
        world.log.define(subject)
    before = None if is_new else watch
    watch, verdicts = _look(world, subject, watch, now, muted=endpoint.is_moving)
    if watch == before:
        return []
    keep(world.store, spec.name, window_unit(spec), verdicts)
    version = _save(world, watch, version)
    if watch.notices:
        _tell(world, watch, version)
    return [_line(one) for one in verdicts] or (["watched from now on"] if is_new else [])


def _look(
    world: MonitorWorld, subject: Subject, watch: Watch, now: datetime, *, muted: bool
) -> tuple[Watch, list[Judged]]:
    """Count what is new, and the window before it again, whose last rows may have come late; then judge."""
    spec = subject.spec
    end = min(now, watch.judged_until + WINDOWS_PER_TICK * length(spec))
    if end <= watch.judged_until:
        return watch, []
    world.log.count(subject, max(watch.since, watch.judged_until - length(spec)), end)
    oldest = min((span.start for span in watch.spans[-KEEP[cycle(spec)] :]), default=watch.judged_until)
    windows = world.log.read(subject, oldest, end)
    return advance(spec, subject.definitions, watch, windows, end, muted=muted)


def _start(world: MonitorWorld, spec: ModelSpec, old: Watch | None, subject: Subject, now: datetime) -> Watch:
    """Begin with a new champion: its training rows are the reference, and how much ordinary windows differ is taken
    over from the windows of the model before."""
    since = now - length(spec) if old is None else max(now, old.judged_until)
    incident, notices = rebase(old, now, subject.definitions.baseline_id) if old else (None, ())
    return Watch(
        model=spec.name,
        run_id=subject.definitions.baseline_id,
        deployed_id=subject.deployed_id,
        since=since,
        judged_until=since,
        incident=incident,
        inherited=_inherited(world, spec, old) if old else {},
        notices=notices,
    )


def _inherited(world: MonitorWorld, spec: ModelSpec, old: Watch) -> dict[str, dict[str, Learnt]]:
    recent = old.spans[-KEEP[cycle(spec)] :]
    subject = _subject(world, spec, old.run_id, old.deployed_id) if len(recent) >= 2 * cycle(spec) else None
    if subject is None:
        return old.inherited
    windows = world.log.read(subject, recent[0].start, recent[-1].end)
    history = units(recent, windows, length(spec))
    return old.inherited | to_learnt(reference_for(subject.definitions, history, None, cycle(spec)).spreads)


def _subject(world: MonitorWorld, spec: ModelSpec, run_id: str, deployed_id: str) -> Subject | None:
    body = world.artifacts.read(
        f"{names.artifact_uri(world.settings.artifact_bucket, run_id)}/report/baseline.json"
    )
    if body is None:
        return None
    return Subject(spec, deployed_id, definitions(spec, Baseline.from_json(body).but(baseline_id=run_id)))


def _endpoint(store: Store, spec: ModelSpec) -> _Endpoint:
    stored = store.read(names.rollout_path(spec.endpoint))
    return _Endpoint.from_json(stored.body) if stored else _Endpoint()


def floor(at: datetime, spec: ModelSpec) -> datetime:
    """The start of the window that ``at`` lies in."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if window_unit(spec) == "hour" else hour.replace(hour=0)


def _save(world: MonitorWorld, watch: Watch, version: str) -> str:
    path, body = watch_path(watch.model), watch.to_json()
    if not version:
        return str(world.effect("create watch", lambda: world.store.create(path, body)))
    return str(world.effect("save watch", lambda: world.store.replace(path, body, version)))


def _tell(world: MonitorWorld, watch: Watch, version: str) -> tuple[Watch, str]:
    """Show the incident, audit and publish; then forget what was told."""
    if watch.incident is not None:
        _show(world, watch.incident)
    for notice in watch.notices:
        if notice.kind == "publish":
            topic = world.settings.drift_topic
            world.effect("publish drift", partial(world.bus.publish, topic, notice.body, {"model": watch.model}))
        else:
            record_event(world.store, world.now(), notice.what, watch.model, watch.run_id, **notice.details)
    told = watch.but(notices=())
    return told, _save(world, told, version)


def _show(world: MonitorWorld, incident: Incident) -> None:
    """Put the incident where triggers and people read it."""
    path, body = names.incident_path(incident.model), incident.to_json()
    stored = world.store.read(path)
    if stored is None:
        world.effect("show incident", lambda: world.store.create(path, body))
    elif stored.body != body:
        world.effect("show incident", lambda: world.store.replace(path, body, stored.version))


def _line(judged: Judged) -> str:
    moved = ", ".join(f"{one.feature} {one.component} {one.effect:.2f}" for one in judged.flagged[:5])
    return f"{judged.start:%Y-%m-%dT%H:%M} {judged.rows} rows: {moved or judged.kind}"
