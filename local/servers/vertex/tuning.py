"""A study: Optuna in the place of Vertex AI's own search.

TPE stands for the default Bayesian search, because on mixed spaces like ours it found as good points as a Gaussian
process at a hundredth of the time.
"""

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from google.cloud import aiplatform_v1

from local.servers.rpc import invalid
from local.servers.vertex import parameters
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.measurements import Measurement
from local.servers.vertex.rules import missing_field
from local.servers.vertex.stopping import Point, below_median

Spec = aiplatform_v1.StudySpec
_STARTUP_TRIALS = 6


@dataclass(frozen=True)
class Suggestion:
    """One point to try; ``handle`` is Optuna's trial."""

    values: dict[str, parameters.Outer]
    handle: Any


def check_study(spec: Any) -> None:
    """The rules for a StudySpec, and what this server does not have. Raises RpcError."""
    if not spec.metrics:
        raise missing_field("study_spec.metrics")
    if len(spec.metrics) > 1:
        raise unimplemented("a study with more than one metric")
    metric = spec.metrics[0]
    if not metric.metric_id:
        raise missing_field("study_spec.metrics[0].metric_id")
    if metric.goal == Spec.MetricSpec.GoalType.GOAL_TYPE_UNSPECIFIED:
        raise missing_field("study_spec.metrics[0].goal")
    stopping = spec.WhichOneof("automated_stopping_spec")
    if stopping not in (None, "median_automated_stopping_spec"):
        raise unimplemented(f"study_spec.{stopping}")
    if spec.HasField("study_stopping_config"):
        raise unimplemented("study_spec.study_stopping_config")
    if not spec.parameters:
        raise missing_field("study_spec.parameters")
    on_grid = spec.algorithm == Spec.Algorithm.GRID_SEARCH
    for number, parameter in enumerate(spec.parameters):
        parameters.check(parameter, on_grid, f"study_spec.parameters[{number}]")
    names = list(_names(spec.parameters))
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise invalid(f"study_spec.parameters: parameter_id must be unique, got {doubled} more than once.")


def _names(specs: Sequence[Any]) -> Iterator[str]:
    for spec in specs:
        yield spec.parameter_id
        yield from _names([child.parameter_spec for child in spec.conditional_parameter_specs])


class Study:
    """Suggests points and learns from their measurements. All methods may be called from any thread."""

    def __init__(self, spec: Any, random_seed: int | None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._spec = spec
        self._lock = threading.Lock()
        self._minimize = spec.metrics[0].goal == Spec.MetricSpec.GoalType.MINIMIZE
        self._stops_early = spec.WhichOneof("automated_stopping_spec") is not None
        self._finished: list[list[Point]] = []
        self._grid: Iterator[dict[str, parameters.Inner]] | None = None
        self._study = optuna.create_study(
            direction="minimize" if self._minimize else "maximize",
            sampler=self._sampler(random_seed),
        )
        if spec.algorithm == Spec.Algorithm.GRID_SEARCH:
            self._grid = parameters.grid(spec.parameters, random.Random(random_seed))
        elif (first := parameters.defaults(spec.parameters)) is not None:
            self._study.enqueue_trial(first)

    def _sampler(self, random_seed: int | None) -> Any:
        if self._spec.algorithm != Spec.Algorithm.ALGORITHM_UNSPECIFIED:
            return optuna.samplers.RandomSampler(seed=random_seed)
        return optuna.samplers.TPESampler(
            multivariate=True,
            constant_liar=True,
            n_startup_trials=_STARTUP_TRIALS,
            seed=random_seed,
        )

    def ask(self) -> Suggestion | None:
        """The next point; None when a grid is exhausted."""
        with self._lock:
            if self._grid is not None:
                point = next(self._grid, None)
                if point is None:
                    return None
                self._study.enqueue_trial(point)
            trial = self._study.ask()
            return Suggestion(parameters.suggest(self._spec.parameters, trial), trial)

    def should_stop(self, measurements: Sequence[Measurement]) -> bool:
        """Whether the trial that has measured this so far is to be stopped."""
        if not self._stops_early:
            return False
        with self._lock:
            return below_median(self._points(measurements), self._finished, self._minimize)

    def _points(self, measurements: Sequence[Measurement]) -> list[Point]:
        if self._spec.median_automated_stopping_spec.use_elapsed_duration:
            return [Point(item.at - measurements[0].at, item.value) for item in measurements]
        return [Point(item.step, item.value) for item in measurements]

    def tell(self, suggestion: Suggestion, measurements: Sequence[Measurement]) -> int | None:
        """Learn what a trial has measured; which measurement counts (an index). None and nothing: it failed."""
        with self._lock:
            if not measurements:
                self._study.tell(suggestion.handle, state=optuna.trial.TrialState.FAIL)
                return None
            final = self._final([item.value for item in measurements])
            self._finished.append(self._points(measurements))
            self._study.tell(suggestion.handle, measurements[final].value)
            return final

    def _final(self, values: Sequence[float]) -> int:
        """The best when the study says so, otherwise the last."""
        if self._spec.measurement_selection_type != Spec.MeasurementSelectionType.BEST_MEASUREMENT:
            return len(values) - 1
        best = min(values) if self._minimize else max(values)
        return list(values).index(best)
