"""The cases of a rollout: what its record may say, and what the world may show at the same moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

from retraining.modelspec import ModelSpec
from retraining.rollout_machine import MAX_DEPLOYS, RolloutView, desired_split
from retraining.rollouts import Ask, Look, Phase, Rollout, Serving, Verdict
from retraining.views import EndpointView, OperationView
from tests.unit.build import FLIGHTS, NOW

OLD = Serving(run_id="flights-0", deployed_id="1000000000", version="m@1")
NEW = Serving(run_id="flights-1", deployed_id="2000000000", version="m@2")
RETIRED, STRANGER = "3000000000", "4000000000"
MOVING = (Phase.STEP, Phase.FULL, Phase.CLEANUP, Phase.ROLLING_BACK)
SECOND = timedelta(seconds=1)
ASKS = tuple(
    Ask.model_validate({"action": action, "by": "ann", "reason": "complaints", "at": NOW})
    for action in ("roll_back", "resume")
)
OPERATIONS: dict[str, tuple[str, OperationView | None]] = {
    "none": ("", None),
    "running": ("op", OperationView(done=False)),
    "done": ("op", OperationView(done=True)),
    "failed": ("op", OperationView(done=True, error="no capacity")),
}

Split = dict[str, int]


@dataclass(frozen=True)
class Case:
    """One question to the machine."""

    record: Rollout
    spec: ModelSpec
    view: RolloutView


def _spec(**changes: Any) -> ModelSpec:
    return FLIGHTS.model_copy(update={"rollout": FLIGHTS.rollout.model_copy(update=changes)})


SPECS = (
    _spec(),
    _spec(steps=(10, 100), undecided="hold"),
    _spec(steps=(100,), soak=timedelta()),
)


def grid(deep: bool) -> Iterator[Case]:
    """Records × endpoints × operations × asks × moments × looks, on a grid of splits around every boundary.

    Quick, the second and third model file take part only where steps and soak matter.
    """
    for at, spec in enumerate(SPECS):
        for phase in Phase:
            if at and not deep and phase not in (Phase.STEP, Phase.FULL):
                continue
            for record in _records(phase, spec, deep):
                yield from _views(record, spec, deep)


def all_splits(deep: bool) -> Iterator[Case]:
    """Every integer split of an endpoint with three models, at both ends of every phase's time."""
    spec = SPECS[0]
    for phase in Phase:
        for record in _plain_records(phase, spec):
            moments = _moments(record, spec)
            for third in (RETIRED, STRANGER) if deep else (RETIRED,):
                deployed = {OLD.deployed_id: "m@1", NEW.deployed_id: "m@2", third: "m@0"}
                for split in _three(third):
                    for now in moments if deep else moments[-1:]:
                        yield from _looks(record, spec, RolloutView(now, _endpoint(deployed, split)), deep)


def silent(deep: bool) -> Iterator[Case]:
    """Any record with any endpoint, at its last moment."""
    for spec in SPECS if deep else SPECS[:1]:
        for phase in Phase:
            for record in _records(phase, spec, deep):
                if record.ask is None:
                    for deployed, split in _endpoints(record, spec):
                        for seen in _operation_views(record, deep):
                            yield Case(
                                record,
                                spec,
                                RolloutView(_moments(record, spec)[-1], _endpoint(deployed, split), seen),
                            )


# Records ---------------------------------------------------------------------------------


def _plain_records(phase: Phase, spec: ModelSpec) -> Iterator[Rollout]:
    """One record per phase and step, its traffic confirmed and about to be moved."""
    for step in _steps(phase, spec):
        base = _record(phase, step, OLD, False)
        wanted, before = desired_split(base, spec), _before(base, spec)
        for confirmed in (wanted, before) if phase in MOVING else (_alone(base),):
            yield base.but(confirmed=confirmed, intended=wanted)


def _records(phase: Phase, spec: ModelSpec, deep: bool) -> Iterator[Rollout]:
    restorings = (False, True) if phase not in (Phase.HELD, Phase.STEP) else (False,)
    for step, champion, restoring in product(_steps(phase, spec), (OLD, None), restorings):
        base = _record(phase, step, champion, restoring)
        for confirmed, intended in _known(base, spec, deep):
            for ask, operation, attempts in product((None, *ASKS), _operations(phase), _attempts(phase)):
                for held_from in _held_from(phase):
                    yield base.but(
                        confirmed=confirmed,
                        intended=intended,
                        ask=ask,
                        operation=operation,
                        attempts=attempts,
                        held_from=held_from,
                    )


def _record(phase: Phase, step: int, champion: Serving | None, restoring: bool) -> Rollout:
    return Rollout(
        endpoint="flights",
        model="flights",
        phase=phase,
        sequence=2,
        champion=champion,
        challenger=None if phase is Phase.IDLE else NEW,
        previous=Serving(run_id="flights-9", deployed_id=RETIRED, version="m@0"),
        restoring=restoring,
        step=step,
        entered=NOW,
        retired=(OLD.deployed_id, NEW.deployed_id, RETIRED),
        reason="because",
    )


def _steps(phase: Phase, spec: ModelSpec) -> range:
    """Indexes of the steps; one beyond the last, since the model file may have become shorter."""
    return range(len(spec.rollout.steps) + 1) if phase is Phase.STEP else range(1)


def _known(record: Rollout, spec: ModelSpec, deep: bool) -> list[tuple[Split, Split]]:
    """What the record may know of the split: confirmed, and intended."""
    wanted, before, alone = desired_split(record, spec), _before(record, spec), _alone(record)
    if record.phase not in MOVING:
        return [(alone, {}), (before, wanted)] if deep else [(alone, {})]
    everything = [{NEW.deployed_id: 100}] if record.phase is Phase.ROLLING_BACK else []
    confirmed = _distinct([wanted, before, alone, *everything])
    intended = _distinct([{}, wanted, before])
    return list(product(confirmed, intended))


def _before(record: Rollout, spec: ModelSpec) -> Split:
    """The split of the step before; for the way back, of the last step."""
    if record.phase is Phase.STEP and not record.step:
        return _alone(record)
    step = record.step - 1 if record.phase is Phase.STEP else max(0, len(spec.rollout.steps) - 2)
    return desired_split(record.but(phase=Phase.STEP, step=step), spec)


def _alone(record: Rollout) -> Split:
    return {record.champion.deployed_id: 100} if record.champion else {}


def _operations(phase: Phase) -> tuple[str, ...]:
    return ("", "op") if phase in (Phase.REGISTERING, Phase.DEPLOYING, Phase.ROLLING_BACK) else ("",)


def _attempts(phase: Phase) -> range:
    return range(MAX_DEPLOYS + 1) if phase is Phase.DEPLOYING else range(1)


def _held_from(phase: Phase) -> tuple[Phase | None, ...]:
    return (None, *(p for p in Phase if p not in (Phase.IDLE, Phase.HELD))) if phase is Phase.HELD else (None,)


# Views -----------------------------------------------------------------------------------


def _views(record: Rollout, spec: ModelSpec, deep: bool) -> Iterator[Case]:
    versions = ("", "m@2") if record.phase is Phase.REGISTERING else ("",)
    candidates = (None, NEW) if record.phase is Phase.IDLE else (None,)
    for deployed, split in _endpoints(record, spec):
        endpoint = _endpoint(deployed, split)
        for seen, now in product(_operation_views(record, deep), _moments(record, spec)):
            for version, candidate in product(versions, candidates):
                view = RolloutView(now, endpoint, seen, version, None, candidate)
                yield from _looks(record, spec, view, deep)


def _endpoint(deployed: dict[str, str], split: Split) -> EndpointView:
    return EndpointView("endpoints/1", "e", deployed, split)


def _endpoints(record: Rollout, spec: ModelSpec) -> Iterator[tuple[dict[str, str], Split]]:
    """Sets of deployed models, each with the splits around the boundaries. A split names only what is deployed."""
    splits = _grid_splits(record, spec)
    ids = (OLD.deployed_id, NEW.deployed_id, RETIRED, STRANGER)
    for chosen in product((False, True), repeat=4):
        deployed = {key: "m@1" for key, there in zip(ids, chosen, strict=True) if there}
        for split in splits:
            if deployed.keys() >= split.keys():
                yield deployed, split


def _grid_splits(record: Rollout, spec: ModelSpec) -> list[Split]:
    wanted = desired_split(record, spec)
    near = [_two(share) for share in (0, 1, 99, 100)]
    around = [_two(wanted.get(NEW.deployed_id, 0) + by) for by in (-1, 1)]
    third = [{OLD.deployed_id: 98, NEW.deployed_id: 1, RETIRED: 1}, {RETIRED: 100}, {STRANGER: 100}]
    return _distinct([{}, wanted, _before(record, spec), *near, *around, *third])


def _two(share: int) -> Split:
    share = min(100, max(0, share))
    return {key: p for key, p in ((NEW.deployed_id, share), (OLD.deployed_id, 100 - share)) if p}


def _three(third: str) -> Iterator[Split]:
    for old in range(101):
        for new in range(101 - old):
            shares = ((OLD.deployed_id, old), (NEW.deployed_id, new), (third, 100 - old - new))
            yield {key: share for key, share in shares if share}


def _operation_views(record: Rollout, deep: bool) -> tuple[OperationView | None, ...]:
    if not record.operation:
        return (None,)
    return tuple(view for name, (_, view) in OPERATIONS.items() if deep or name != "none")


def _moments(record: Rollout, spec: ModelSpec) -> tuple[Any, ...]:
    """Both sides of every boundary in time, in order."""
    policy = spec.rollout
    deploys = policy.deploy_timeout * (1 + MAX_DEPLOYS)
    waits = {
        Phase.STEP: (
            policy.step_time - SECOND,
            policy.step_time,
            policy.step_deadline,
            policy.step_deadline + SECOND,
        ),
        Phase.FULL: (policy.soak - SECOND, policy.soak, policy.soak + policy.step_deadline + SECOND),
        Phase.IDLE: (timedelta(),),
        Phase.HELD: (timedelta(),),
    }.get(record.phase, (deploys, deploys + SECOND))
    return tuple(NOW + wait for wait in waits)


def _looks(record: Rollout, spec: ModelSpec, view: RolloutView, deep: bool) -> Iterator[Case]:
    """With every look, if there is one: the loop looks only once the phase's split was read back."""
    looks: list[Look | None] = [None]
    if (
        record.phase in (Phase.STEP, Phase.FULL)
        and record.confirmed == desired_split(record, spec) == view.endpoint.split
    ):
        few = (spec.rollout.min_requests - 1, spec.rollout.min_requests)
        looks = [_look(verdict, rows, view) for verdict, rows in product(Verdict, few)]
    for look in looks:
        yield Case(
            record, spec, RolloutView(view.now, view.endpoint, view.operation, view.version, look, view.candidate)
        )


def _look(verdict: Verdict, rows: int, view: RolloutView) -> Look:
    return Look(at=view.now, verdict=verdict, reason="because", challenger_rows=rows, champion_rows=rows)


def _distinct(splits: list[Split]) -> list[Split]:
    return [split for at, split in enumerate(splits) if split not in splits[:at]]
