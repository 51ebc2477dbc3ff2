"""What a served model's answers must look like, whatever the model: the last check before people depend on them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from retraining.modelspec import ModelSpec

TOLERANCE = 1e-3  # relative from 1 on; servers round differently
OUTPUT = {"binary": "score", "multiclass": "scores", "regression": "value"}


def problems(spec: ModelSpec, rows: int, answers: Sequence[object]) -> list[str]:
    """What is wrong with the answers to ``rows`` rows, one sentence each; none is good."""
    if len(answers) != rows:
        return [f"expected {rows} answers, one for each row; got {len(answers)}"]
    found = []
    for number, answer in enumerate(answers):
        if (wrong := _problem(spec.training.task, answer)) is not None:
            found.append(f"answer {number}: {wrong}")
    return found


def differences(spec: ModelSpec, answers: Sequence[object], expected: Sequence[object]) -> list[str]:
    """Where sound answers are others than right after training, one sentence each."""
    output = OUTPUT[spec.training.task]
    found = []
    for number, (answer, then) in enumerate(zip(answers, expected, strict=True)):
        assert isinstance(answer, Mapping)
        now = answer[output]
        if not _near(_numbers(now), _numbers(then)):
            found.append(f"answer {number}: expected {then}, as right after training; got {now}")
    return found


def _numbers(value: Any) -> list[float]:
    return [float(one) for one in (value if isinstance(value, list) else [value])]


def _near(now: list[float], then: list[float]) -> bool:
    return len(now) == len(then) and all(
        abs(a - b) <= TOLERANCE * max(1.0, abs(b)) for a, b in zip(now, then, strict=True)
    )


def _problem(task: str, answer: object) -> str | None:
    output = OUTPUT[task]
    if not isinstance(answer, Mapping) or output not in answer:
        return f"expected an object with {output}, as {task} models give; got {answer!r:.80}"
    value = answer[output]
    if task == "multiclass":
        return _classes_problem(value, answer.get("classes"))
    if not _finite(value):
        return f"{output}: expected a finite number, got {value!r:.40}"
    if task == "binary" and not 0 <= value <= 1:
        return f"{output}: expected a probability from 0 to 1, got {value}"
    return None


def _classes_problem(scores: object, classes: object) -> str | None:
    if not isinstance(scores, list) or not isinstance(classes, list) or len(scores) != len(classes) or not scores:
        return f"expected as many scores as classes, got {scores!r:.60} and {classes!r:.60}"
    if not all(_finite(score) and 0 <= score <= 1 for score in scores):
        return f"scores: expected probabilities from 0 to 1, got {scores!r:.80}"
    if abs(sum(scores) - 1) > 0.01:
        return f"scores: expected a sum of 1, got {sum(scores):.4f}"
    return None


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
