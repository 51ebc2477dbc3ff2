"""The gate: may the candidate take traffic? Paired, on the same fresh rows, with every reason written down."""

import math
from collections.abc import Iterator
from statistics import NormalDist

from retraining.modelspec import Floor, ModelSpec
from retraining.records import GateResult
from retraining.reports import Evaluation, Paired, Slice

LEVEL = 0.05  # chance to pass a candidate that is worse by exactly the margin
_Z = NormalDist().inv_cdf(1 - LEVEL)


def judge(spec: ModelSpec, evaluation: Evaluation, *, forced: bool) -> GateResult:
    """Eligible or not, and why.

    ``forced`` overrides the comparison with the champion and nothing else: floors, valid outputs, latency and the
    number of rows still hold.
    """
    against = list(_unfit(spec, evaluation))
    if evaluation.champion is None or evaluation.difference is None:
        comparison: list[str] = []
        why = "there is no champion yet: the floors decide"
    else:
        comparison, why = _compare(spec, evaluation)
    if forced and comparison:
        why = f"forced by a person although {'; '.join(comparison)}"
        return GateResult(eligible=not against, reasons=(*against, why), forced=True)
    against += comparison
    return GateResult(eligible=not against, reasons=tuple(against) or (why,))


def _unfit(spec: ModelSpec, evaluation: Evaluation) -> Iterator[str]:
    """What disqualifies a candidate whoever the champion is."""
    gate = spec.gate
    if evaluation.rows < gate.min_rows:
        yield f"only {evaluation.rows} fresh labelled rows to compare on, {gate.min_rows} are needed"
    if evaluation.invalid_outputs:
        yield f"{evaluation.invalid_outputs} outputs are not finite or out of range"
    if evaluation.golden_mismatches:
        yield f"{evaluation.golden_mismatches} golden rows are answered differently than right after training"
    if evaluation.latency_p99_ms > gate.max_latency_ms:
        yield f"one row takes {evaluation.latency_p99_ms:.0f} ms (p99), more than {gate.max_latency_ms:.0f} ms"
    for floor in gate.floors:
        if (text := _below(floor, evaluation)) is not None:
            yield text


def _below(floor: Floor, evaluation: Evaluation) -> str | None:
    value = evaluation.candidate.get(floor.metric)
    if value is None or not math.isfinite(value):
        return f"{floor.metric} was not measured"
    if floor.min is not None and value < floor.min:
        return f"{floor.metric} {value:.4f} is below its floor {floor.min}"
    if floor.max is not None and value > floor.max:
        return f"{floor.metric} {value:.4f} is above its ceiling {floor.max}"
    return None


def _compare(spec: ModelSpec, evaluation: Evaluation) -> tuple[list[str], str]:
    """Reasons against the candidate from the paired comparison, and the sentence for it when there are none."""
    assert evaluation.difference is not None
    assert evaluation.champion is not None
    metric = spec.gate.metric
    margin = _margin(spec, evaluation.champion, 1)
    pair = evaluation.difference
    high = pair.mean + _Z * pair.standard_error
    low = pair.mean - _Z * pair.standard_error
    ours, theirs = evaluation.candidate[metric], evaluation.champion[metric]
    seen = f"{metric} {ours:.4f} against the champion's {theirs:.4f} on the same {pair.rows} rows"
    against = []
    if high >= margin:
        how = "worse" if low > 0 else "not shown to be no worse"
        against.append(f"{how}: {seen}; the loss may be higher by {high:.4f}, the margin is {margin:.4f}")
    against += _worse_slices(spec, evaluation)
    word = "better" if high < 0 else "not worse"
    return against, f"{word}: {seen}; the loss is higher by at most {high:.4f}, the margin is {margin:.4f}"


def _margin(spec: ModelSpec, champion: dict[str, float], factor: float) -> float:
    """The margin in units of the per-row loss. RMSE is a root: its margin is turned into squared error."""
    margin = spec.gate.margin * factor
    if spec.gate.metric == "rmse":
        base = champion["rmse"]
        return (base + margin) ** 2 - base**2
    return margin


def _worse_slices(spec: ModelSpec, evaluation: Evaluation) -> Iterator[str]:
    """Slices that are worse by more than twice the margin, by Holm's procedure over all that are large enough.

    Only columns that the model file names count: who looks at whatever stands out will find something."""
    wanted = spec.gate.slices
    fit = (s for s in evaluation.slices if s.column in wanted.by and s.rows >= wanted.min_rows)
    judged = [s for s in fit if s.difference and s.champion]
    ranked = sorted(((_p_harm(spec, s), s) for s in judged), key=lambda pair: pair[0])
    for rank, (p, piece) in enumerate(ranked):
        if p > LEVEL / (len(ranked) - rank):
            return
        assert piece.difference is not None
        yield (
            f"worse for {piece.column} = {piece.value}: the loss of {piece.rows} rows is higher by "
            f"{piece.difference.mean:.4f} (p = {p:.2g})"
        )


def _p_harm(spec: ModelSpec, piece: Slice) -> float:
    """One-sided p-value that the slice is worse by no more than twice the margin."""
    pair: Paired | None = piece.difference
    assert pair is not None
    assert piece.champion is not None
    excess = pair.mean - _margin(spec, piece.champion, 2)
    if not math.isfinite(excess) or not math.isfinite(pair.standard_error):
        return 0.0  # what was not measured speaks against the candidate, and must not disturb the order
    if pair.standard_error == 0:
        return 0.0 if excess > 0 else 1.0
    return 1 - NormalDist().cdf(excess / pair.standard_error)
