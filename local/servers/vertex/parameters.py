"""How a study's parameters look to Optuna, and how their values look to a trial.

Every parameter has an *inner* form that Optuna searches: a number on a linear or logarithmic scale, or a choice.
The *outer* form is what the trial is given: doubles in ``Trial.parameters``, and text in the command line, where
whole numbers have no fraction.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from google.cloud import aiplatform_v1

from local.servers.rpc import invalid
from local.servers.vertex.errors import unimplemented
from local.servers.vertex.rules import missing_field

Scale = aiplatform_v1.StudySpec.ParameterSpec.ScaleType
_LOGS = (Scale.UNIT_LOG_SCALE, Scale.UNIT_REVERSE_LOG_SCALE)
Inner = float | int | str
Outer = float | str


def check(spec: Any, grid: bool, path: str) -> None:
    """The rules for one ParameterSpec and those below it. Raises RpcError."""
    kind = spec.WhichOneof("parameter_value_spec")
    if not spec.parameter_id:
        raise missing_field(f"{path}.parameter_id")
    if kind is None:
        raise missing_field(
            f"{path}.double_value_spec, integer_value_spec, categorical_value_spec or discrete_value_spec"
        )
    if grid and (kind == "double_value_spec" or spec.conditional_parameter_specs):
        raise invalid(f"{path}: GRID_SEARCH takes integer, categorical and discrete parameters without conditions.")
    value = getattr(spec, kind)
    if kind in ("double_value_spec", "integer_value_spec"):
        _check_range(spec, value, path)
    elif not value.values:
        raise missing_field(f"{path}.{kind}.values")
    elif kind == "discrete_value_spec" and list(value.values) != sorted(set(value.values)):
        raise invalid(f"{path}.{kind}.values: expected increasing values, got {list(value.values)}.")
    for number, child in enumerate(spec.conditional_parameter_specs):
        if child.WhichOneof("parent_value_condition") is None:
            raise missing_field(f"{path}.conditional_parameter_specs[{number}].parent values")
        check(child.parameter_spec, grid, f"{path}.conditional_parameter_specs[{number}].parameter_spec")


def _check_range(spec: Any, value: Any, path: str) -> None:
    if value.min_value > value.max_value:
        raise invalid(f"{path}: min_value {value.min_value} is greater than max_value {value.max_value}.")
    if spec.scale_type in _LOGS and value.min_value <= 0:
        raise invalid(f"{path}: a logarithmic scale needs min_value > 0, got {value.min_value}.")


def suggest(specs: Sequence[Any], trial: Any) -> dict[str, Outer]:
    """Ask Optuna's ``trial`` for every parameter that applies; children follow their parent's value."""
    chosen: dict[str, Outer] = {}
    for spec in specs:
        value = _outer(spec, _suggest_inner(spec, trial))
        chosen[spec.parameter_id] = value
        children = [child.parameter_spec for child in spec.conditional_parameter_specs if _applies(child, value)]
        chosen.update(suggest(children, trial))
    return chosen


def _applies(child: Any, value: Outer) -> bool:
    condition = getattr(child, child.WhichOneof("parent_value_condition"))
    return value in list(condition.values)


def _suggest_inner(spec: Any, trial: Any) -> Inner:
    name, kind = spec.parameter_id, spec.WhichOneof("parameter_value_spec")
    value, log = getattr(spec, kind), spec.scale_type in _LOGS
    inner: Inner
    if kind == "double_value_spec":
        inner = trial.suggest_float(name, value.min_value, value.max_value, log=log)
    elif kind == "integer_value_spec":
        inner = trial.suggest_int(name, value.min_value, value.max_value, log=log)
    elif kind == "discrete_value_spec":
        inner = trial.suggest_int(name, 0, len(value.values) - 1)
    else:
        inner = trial.suggest_categorical(name, list(value.values))
    return inner


def _outer(spec: Any, inner: Inner) -> Outer:
    kind = spec.WhichOneof("parameter_value_spec")
    if kind == "discrete_value_spec":
        return float(spec.discrete_value_spec.values[int(inner)])
    if isinstance(inner, str):
        return inner
    return float(_mirrored(spec, inner))


def _mirrored(spec: Any, number: float) -> float:
    """A reverse logarithmic scale is a logarithmic one seen from the other end."""
    if spec.scale_type != Scale.UNIT_REVERSE_LOG_SCALE:
        return number
    value = getattr(spec, spec.WhichOneof("parameter_value_spec"))
    mirrored: float = value.min_value + value.max_value - number
    return mirrored


def defaults(specs: Sequence[Any]) -> dict[str, Inner] | None:
    """The inner values of a first trial made of the specs' defaults; None unless every parameter has one."""
    found: dict[str, Inner] = {}
    for spec in specs:
        kind = spec.WhichOneof("parameter_value_spec")
        value = getattr(spec, kind)
        if spec.conditional_parameter_specs or not value.HasField("default_value"):
            return None
        if kind == "discrete_value_spec":
            found[spec.parameter_id] = list(value.values).index(value.default_value)
        elif kind == "categorical_value_spec":
            found[spec.parameter_id] = value.default_value
        else:
            found[spec.parameter_id] = _mirrored(spec, value.default_value)
    return found


def grid(specs: Sequence[Any], order: random.Random) -> Iterator[dict[str, Inner]]:
    """Every point of the grid once, in a random order."""
    axes = [[(spec.parameter_id, inner) for inner in _axis(spec)] for spec in specs]
    points = [dict(point) for point in itertools.product(*axes)]
    order.shuffle(points)
    return iter(points)


def _axis(spec: Any) -> list[Inner]:
    match spec.WhichOneof("parameter_value_spec"):
        case "integer_value_spec":
            return list(range(spec.integer_value_spec.min_value, spec.integer_value_spec.max_value + 1))
        case "discrete_value_spec":
            return list(range(len(spec.discrete_value_spec.values)))
        case "categorical_value_spec":
            return list(spec.categorical_value_spec.values)
        case kind:
            raise unimplemented(f"a grid over {kind}")


def argument(name: str, value: Outer) -> str:
    """``--name=value`` as the trial's command line has it; whole numbers have no fraction."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return f"--{name}={text}"
