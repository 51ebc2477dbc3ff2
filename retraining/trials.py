"""The best trial of a tuning job, and its parameters as the trainer's arguments."""

import math

from retraining.modelspec import ModelSpec, Tuning
from retraining.views import Trial


def best_trial(tuning: Tuning, trials: tuple[Trial, ...]) -> Trial | None:
    """The trial with the best finite final measurement; ties go to the earliest. None when no trial succeeded."""
    sign = 1.0 if tuning.goal == "minimize" else -1.0
    usable = [
        (sign * trial.metrics[tuning.metric], int(trial.id) if trial.id.isdigit() else 0, trial)
        for trial in trials
        if trial.state == "SUCCEEDED" and math.isfinite(trial.metrics.get(tuning.metric, math.nan))
    ]
    return min(usable, key=lambda item: item[:2])[2] if usable else None


def arguments(spec: ModelSpec, trial: Trial) -> dict[str, str]:
    """The trial's parameters in their declared types: Vertex AI gives every number back as a double."""
    return {name: _cast(spec, name, value) for name, value in sorted(trial.parameters.items())}


def _cast(spec: ModelSpec, name: str, value: float | str) -> str:
    known = spec.training.hyperparameters.get(name)
    whole = known is not None and (
        (known.tune is not None and known.tune.type == "integer") or isinstance(known.default, int)
    )
    if whole and isinstance(value, float):
        return str(round(value))
    return f"{value:.10g}" if isinstance(value, float) else value
