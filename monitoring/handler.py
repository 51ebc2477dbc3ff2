"""The monitor's tick: count the new windows, judge them, open or close the incident, tell about it.

Quality comes first: in a window with a broken feed nothing is concluded about the world. Then drift, then, once a
day, how the model does on the labels that have come.

Everything a tick concludes is written in one record by compare-and-swap, what is to be told included; only
then is it told. So a tick that dies anywhere is finished by the next one, and a tick that finds nothing new
reads one record.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from monitoring import archive
from monitoring.baseline import definitions
from monitoring.labels import Labels
from monitoring.log import Log
from monitoring.looking import cycle, rebase, units
from monitoring.ordinary import reference_for
from monitoring.passes import Pass, Subject, length, window_unit
from monitoring.performance import day_of
from monitoring.performing import look_at_losses
from monitoring.quality import judge_windows, unexplained
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
    labels: Labels | None = None  # None: losses are not looked at


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
    lines and tried again by the next tick; the others are not held up. Models of one log are counted together.
    """
    looks, lines = [], list[str]()
    for name in in_turn(sorted(world.models), world.now()):
        if world.models[name].triggers.drift is not None:
            with _named(name, lines):
                found = _prepared(world, world.models[name])
                if isinstance(found, _Look):
                    looks.append(found)
                else:
                    lines += [f"{name}: {line}" for line in found]
    failed = _count(world, looks)
    for look in looks:
        name = look.spec.name
        with _named(name, lines):
            if name in failed:
                raise failed[name]
            lines += [f"{name}: {line}" for line in _finished(world, look)]
    return lines


@contextmanager
def _named(name: str, lines: list[str]) -> Iterator[None]:
    """Turn a model's failure into a line."""
    try:
        yield
    except Conflict as error:
        lines.append(f"{name}: another tick was faster ({error})")
    except RetrainingError as error:
        lines.append(f"{name}: failed, {type(error).__name__}: {error}")


def in_turn(found: list[str], now: datetime) -> list[str]:
    """``found``, beginning elsewhere every hour.

    A tick that has more to do than a function's time allows is cut off. If each began with the same model, those at
    the end would never have their turn; steps of the golden ratio spread the beginnings evenly for any number.
    """
    hour = int(now.timestamp()) // 3600
    first = int(hour * _GOLDEN % 1 * len(found))
    return found[first:] + found[:first]


@dataclass(frozen=True)
class _Look:
    """What one model's tick has to do once its windows are counted."""

    subject: Subject
    watch: Watch
    version: str
    end: datetime  # of the last window to judge
    is_new: bool
    muted: bool

    @property
    def spec(self) -> ModelSpec:
        return self.subject.spec

    @property
    def windows(self) -> Pass | None:
        """What is new, and the window before it again, whose last rows may have come late."""
        if self.end <= self.watch.judged_until:
            return None
        return Pass(self.subject, max(self.watch.since, self.watch.judged_until - length(self.spec)), self.end)


def _prepared(world: MonitorWorld, spec: ModelSpec) -> "_Look | list[str]":
    """What there is to do for this model; lines where that is nothing."""
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
    end = min(now, watch.judged_until + WINDOWS_PER_TICK * length(spec))
    return _Look(subject, watch, version, end, is_new, endpoint.is_moving)


def _count(world: MonitorWorld, looks: Sequence[_Look]) -> dict[str, RetrainingError]:
    """Count what is new, together; why some models could not be counted."""
    return world.log.count_all([one.windows for one in looks if one.windows])


def _finished(world: MonitorWorld, look: _Look) -> list[str]:
    """Judge what was counted, keep it, and tell."""
    spec = look.spec
    watch, verdicts, unread = _judged(world, look)
    watch, failure = _performed(world, look, watch)
    failure = [*unread, *failure]
    if watch == look.watch and not look.is_new:
        return failure
    keep(world.store, spec.name, window_unit(spec), verdicts)
    version = _save(world, watch, look.version)
    if watch.notices:
        _tell(world, watch, version)
    return [*([_line(one) for one in verdicts] or (["watched from now on"] if look.is_new else [])), *failure]


def _judged(world: MonitorWorld, look: _Look) -> tuple[Watch, list[Judged], list[str]]:
    """Quality, then drift; and what could not be read. Names that nobody knows only explain a fault, so the log is
    asked for them when there is one, and a fault stands without them."""
    watch, spec = look.watch, look.spec
    if look.windows is None:
        return watch, [], []
    oldest = min((span.start for span in watch.spans), default=watch.judged_until)
    kept = world.log.read(look.subject, oldest, look.end)
    after, verdicts = judge_windows(look.subject, watch, kept, look.end, muted=look.muted)
    if not (starts := unexplained(watch, after)):
        return after, verdicts, []
    try:
        found = {at: world.log.unknown_names(look.subject, at, at + length(spec)) for at in starts}
    except RetrainingError as error:
        return after, verdicts, [f"names in payloads: failed, {type(error).__name__}: {error}"]
    return *judge_windows(look.subject, watch, kept, look.end, muted=look.muted, names=found), []


def _performed(world: MonitorWorld, look: _Look, watch: Watch) -> tuple[Watch, list[str]]:
    """Losses, once a day. Labels that cannot be read hold up nothing else; the next tick asks again."""
    now = world.now()
    if world.labels is None or look.muted or (watch.performed and day_of(now) <= day_of(watch.performed[-1].at)):
        return watch, []
    try:
        return look_at_losses(world.labels, look.subject, watch, now), []
    except RetrainingError as error:
        return watch, [f"losses: failed, {type(error).__name__}: {error}"]


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
        arrivals=old.arrivals if old else (),
        notices=notices,
    )


def _inherited(world: MonitorWorld, spec: ModelSpec, old: Watch) -> dict[str, dict[str, Learnt]]:
    recent = old.spans
    subject = _subject(world, spec, old.run_id, old.deployed_id) if len(recent) >= 2 * cycle(spec) else None
    if subject is None:
        return old.inherited
    windows = world.log.read(subject, recent[0].start, recent[-1].end).windows
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
            continue
        if notice.body:
            archive.keep(world.store, Incident.from_json(notice.body), world.effect)
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
