"""What the cells of a model's counts mean, read from the baseline that the trainer wrote.

The score (or the predicted class) is one more feature, under the name PREDICTION: it moves when the inputs
that matter move.
"""

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Literal

from monitoring.counts import Counts
from retraining.modelspec import ModelSpec
from retraining.quarters import PAIR_CELLS, pair_name, quarters
from retraining.reports import Baseline, FeatureBaseline
from retraining.series import series

PREDICTION = "(prediction)"  # no column may be called so

_ROUNDING = 1.2e-7  # the trainer reads 32-bit numbers, the log has 64 bits: relative room at edges and ends
_PART = 1 / 32  # of a cell, the most that the room at an edge may take of it
_OUTER = 1 / 4  # the same at the ends, where no rows are
_WORDS = {"1": "true", "1.0": "true", "0": "false", "0.0": "false"}


@dataclass(frozen=True)
class Definition:
    """One feature: into which cells its values fall, and how the training rows fell."""

    name: str
    kind: Literal["numeric", "categorical", "pair"]
    training: Counts
    edges: tuple[float, ...] = ()  # numeric: cell i holds edges[i-1] <= x < edges[i]
    categories: tuple[str, ...] = ()  # categorical: cell i holds categories[i], the last cell all others
    others: tuple[str, ...] = ()  # categorical: the values of the last cell, where the baseline lists them
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
        return bool(self.values) if self.kind == "numeric" else bool(self.others) or not self.pooled

    @property
    def pooled(self) -> bool:
        """Whether some training rows had a category without a cell of its own."""
        return self.kind == "categorical" and self.training.cells[-1] > 0


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
    values = tuple(float(value) for value in found.values)
    categories = tuple(truth(value) if boolean else value for value in found.categories)
    return Definition(
        name=name,
        kind=found.kind,
        training=_training(found),
        edges=found.edges if exact else _edges(found, values),
        categories=categories,
        others=found.others,
        values=values,
        low=found.low if exact else _end(found.low, found.edges[:1], -1),
        high=found.high if exact else _end(found.high, found.edges[-1:], 1),
        importance=importance,
    )


def _edges(found: FeatureBaseline, values: tuple[float, ...]) -> tuple[float, ...]:
    """The edges with room below for rounding, so that a number logged in full stays on the same side of each.

    The training rows were counted at the edges themselves, so the room must hold hardly any of them: where the
    values are listed, it ends halfway to the next lower one; elsewhere after a small part of the narrower cell.
    """
    if values:
        below = (_next_lower(found, values, place) for place in range(len(found.edges)))
        return tuple(_lowered(edge, (edge - next_) / 2) for edge, next_ in zip(found.edges, below, strict=True))
    ends = [one for one in (found.low, *found.edges, found.high) if one is not None]
    if len(ends) < len(found.edges) + 2:
        return found.edges
    widths = [high - low for low, high in pairwise(ends)]
    return tuple(_lowered(edge, _PART * min(two)) for edge, two in zip(found.edges, pairwise(widths), strict=True))


def _next_lower(found: FeatureBaseline, values: tuple[float, ...], place: int) -> float:
    """The listed value below an edge. Values that were cut to 15 digits may lie just below the edge they are at."""
    edge = found.edges[place]
    if len(values) == len(found.edges) + 1:  # an edge at each value
        return found.edges[place - 1] if place else values[0] if found.low is None else found.low
    at = bisect_left(values, edge)
    if at and edge not in values and values[at - 1] == float(f"{edge:.15g}"):
        at -= 1
    return values[at - 1] if at else edge


def _lowered(edge: float, most: float) -> float:
    lowered = edge - min(_ROUNDING * abs(edge), max(0.0, most))
    return lowered if edge - lowered <= most else edge  # where doubles are further apart than that


def _end(end: float | None, edge: tuple[float, ...], away: int) -> float | None:
    """The smallest or largest number with room for rounding, at most a part of the outermost cell."""
    if end is None:
        return None
    room = _ROUNDING * abs(end)
    return end + away * (min(room, _OUTER * abs(end - edge[0])) if edge else room)


def truth(value: str) -> str:
    """A boolean as the log shows it: ``true`` or ``false``, however it was written."""
    return _WORDS.get(value.lower(), value.lower())


def _training(found: FeatureBaseline) -> Counts:
    """The baseline's rows as counts. A row counts as new when no *other* baseline row has its value or lies beyond
    it: that is how often a fresh row of the same kind will be new."""
    alone = 0
    if found.kind == "categorical" and found.counts and (found.counts[-1] == 0 or found.others):
        alone = sum(count == 1 for count in found.counts[:-1]) + found.alone
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
