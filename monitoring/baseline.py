"""What the cells of a model's counts mean, read from the baseline that the trainer wrote.

The score (or the predicted class) is one more feature, under the name PREDICTION: it moves when the inputs
that matter move.
"""

import json
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from monitoring.counts import Counts
from retraining.modelspec import ModelSpec
from retraining.quarters import PAIR_CELLS, pair_name, quarters
from retraining.reports import Baseline, FeatureBaseline
from retraining.series import series

PREDICTION = "(prediction)"  # no column may be called so

_ROUNDING = 1.2e-7  # the trainer reads 32-bit numbers, the log has 64 bits: relative room at edges and ends
_WORDS = {"1": "true", "1.0": "true", "0": "false", "0.0": "false"}


@dataclass(frozen=True)
class Definition:
    """One feature: into which cells its values fall, and how the training rows fell."""

    name: str
    kind: Literal["numeric", "categorical", "pair"]
    training: Counts
    edges: tuple[float, ...] = ()  # numeric: cell i holds edges[i-1] <= x < edges[i]
    categories: tuple[str, ...] = ()  # categorical: cell i holds categories[i], the last cell all others
    values: tuple[float, ...] = ()  # numeric with few distinct values: all of them
    low: float | None = None
    high: float | None = None
    importance: float = 1.0
    of: tuple[str, str] | None = None  # pair: its members
    quarters: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())  # pair: each member's cell → its quarter, 0..3

    @property
    def cells(self) -> int:
        """How many cells its counts have. Cell 4a + b of a pair: quarter a of the first, quarter b of the other."""
        if self.kind == "pair":
            return PAIR_CELLS
        return len(self.edges) + 1 if self.kind == "numeric" else len(self.categories) + 1

    @property
    def complete(self) -> bool:
        """Whether the baseline lists every value its rows had, so that any other one is new."""
        if self.kind == "pair":
            return False
        return bool(self.values) if self.kind == "numeric" else self.training.cells[-1] == 0


@dataclass(frozen=True)
class Definitions:
    """All features of one model, and the run whose training rows they describe."""

    baseline_id: str
    features: dict[str, Definition]
    vocabularies: dict[str, tuple[str, ...]] = field(default_factory=dict)  # text feature → its known tokens

    def training(self) -> dict[str, Counts]:
        """The training rows as counts."""
        return {name: definition.training for name, definition in self.features.items()}


def definitions(spec: ModelSpec, baseline: Baseline) -> Definitions:
    """The cells of every series that the model file and the baseline share, of the prediction, and of pairs."""
    found = {
        one.name: define(
            one.name,
            baseline.features[one.name],
            feature.importance,
            boolean=feature.type == "boolean",
            exact=one.what != "value",
        )
        for name, feature in spec.features.items()
        for one in series(name, feature)
        if feature.monitor and one.name in baseline.features and baseline.features[one.name].kind == one.kind
    }
    found[PREDICTION] = define(PREDICTION, baseline.prediction)
    for first, second in pairs_of(baseline):
        if first in found and second in found:
            pair = define_pair(found[first], found[second], baseline.pairs[pair_name(first, second)])
            found[pair.name] = pair
    return Definitions(baseline.baseline_id, found, dict(baseline.vocabularies))


def pairs_of(baseline: Baseline) -> list[tuple[str, str]]:
    """The pairs that the trainer counted."""
    known = {pair_name(first, second): (first, second) for first, second in combinations(baseline.features, 2)}
    return [known[name] for name in baseline.pairs if name in known]


def define_pair(first: Definition, second: Definition, counts: tuple[int, ...]) -> Definition:
    """The sixteen cells of two inputs together. ``counts`` are the training rows that have both."""
    rows = first.training.n
    return Definition(
        name=pair_name(first.name, second.name),
        kind="pair",
        training=Counts(rows, rows - sum(counts), 0, 0, 0, 0, counts),
        importance=min(first.importance, second.importance),
        of=(first.name, second.name),
        quarters=(_quarters(first), _quarters(second)),
    )


def _quarters(one: Definition) -> tuple[int, ...]:
    return quarters(one.training.cells, ordered=one.kind == "numeric")


def define(
    name: str, found: FeatureBaseline, importance: float = 1.0, *, boolean: bool = False, exact: bool = False
) -> Definition:
    """The cells of one series. ``exact``: the trainer had its values in full."""
    below = (lambda value: value) if exact else _below
    categories = tuple(truth(value) if boolean else value for value in found.categories)
    return Definition(
        name=name,
        kind=found.kind,
        training=_training(found),
        edges=tuple(below(edge) for edge in found.edges),
        categories=categories,
        values=tuple(float(value) for value in found.values),
        low=None if found.low is None else below(found.low),
        high=None if found.high is None else -below(-found.high),
        importance=importance,
    )


def _below(value: float) -> float:
    """The value with room for rounding, so that a number logged in full stays on the same side of it."""
    return value - _ROUNDING * abs(value)


def truth(value: str) -> str:
    """A boolean as the log shows it: ``true`` or ``false``, however it was written."""
    return _WORDS.get(value.lower(), value.lower())


def _training(found: FeatureBaseline) -> Counts:
    """The baseline's rows as counts. A row counts as new when no *other* baseline row has its value or lies beyond
    it: that is how often a fresh row of the same kind will be new."""
    alone = 0
    if found.kind == "categorical" and found.counts and found.counts[-1] == 0:
        alone = sum(1 for count in found.counts if count == 1)
    ends = 1 if found.kind == "numeric" and found.n > found.n_null and not found.values else 0
    return Counts(
        n=found.n,
        n_null=found.n_null,
        n_unparseable=0,
        n_unseen=alone,
        n_low=ends,
        n_high=ends,
        cells=found.counts or (0,),
        sum=found.sum,
        sum_sq=found.sum_sq,
    )


def definitions_json(found: Definitions) -> str:
    """What the cells mean, and the training rows in each, as the JSON parameter of the defining statement."""
    return json.dumps(
        [
            {
                "name": one.name,
                "definition": {
                    "kind": one.kind,
                    "edges": one.edges,
                    "categories": one.categories,
                    "values": one.values,
                    "of": one.of or (),
                    "quarters": one.quarters if one.of else (),
                    "low": one.low,
                    "high": one.high,
                    "rows": one.training.n,
                    "nulls": one.training.n_null,
                    "counts": one.training.cells,
                },
            }
            for one in found.features.values()
        ]
    )
