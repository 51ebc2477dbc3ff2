"""What the training rows looked like, as counts: the reference of drift detection once this model serves."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from retraining.modelspec import ModelSpec
from retraining.quarters import PAIR_CELLS, QUARTERS, pair_name, pairs, quarters
from retraining.reports import Baseline, FeatureBaseline
from retraining.series import Series, series
from trainer.data import Rows, missing
from trainer.derived import derived, vocabulary

BINS = 20
TOP = 50  # categories counted one by one; the rest together
KNOWN = 2000  # up to so many categories are listed, so that another one is news
DISTINCT = 50  # a numeric column with at most so many values has a cell for each
LISTED = 400  # with at most so many it lists them, if hardly any row is alone with its value
ALONE = 0.001  # share of such rows


def baseline(spec: ModelSpec, run_id: str, train: Rows, predicted: np.ndarray, classes: list[str]) -> Baseline:
    """Counts of every series of ``train``, and of the predictions on validation rows."""
    vocabularies = {
        name: vocabulary(train.watched[name]) for name, f in spec.features.items() if f.type == "text" and f.monitor
    }
    features = {
        one.name: numeric(column) if one.kind == "numeric" else _categorical(_as_text(column))
        for one, column in _columns(spec, train, vocabularies)
    }
    if spec.training.task == "multiclass":
        of_prediction = _categorical(np.array(classes, dtype=object)[predicted.argmax(axis=1)])
    else:
        of_prediction = numeric(predicted)
    return Baseline(
        baseline_id=run_id,
        model=spec.name,
        features=features,
        prediction=of_prediction,
        vocabularies=vocabularies,
        pairs=_pairs(spec, train, features),
    )


def _columns(
    spec: ModelSpec, train: Rows, vocabularies: dict[str, tuple[str, ...]]
) -> Iterator[tuple[Series, np.ndarray]]:
    """Every series with its values of the training rows."""
    for name, feature in spec.features.items():
        for one in series(name, feature):
            if feature.is_input:
                yield one, train.features[name]
            elif feature.monitor:
                yield one, derived(one, train.watched[name], train.timestamp, vocabularies.get(name, ()))


def _pairs(spec: ModelSpec, train: Rows, found: dict[str, FeatureBaseline]) -> dict[str, tuple[int, ...]]:
    """Rows by the quarters of two inputs, for all pairs of the most important ones that are watched."""
    watched = [(name, f.importance) for name, f in spec.inputs.items() if f.monitor]
    wanted = pairs(watched)
    names = sorted({name for pair in wanted for name in pair})
    quarter = {name: _quarter(train.features[name], found[name]) for name in names}
    return {pair_name(a, b): _crossed(quarter[a], quarter[b]) for a, b in wanted}


def counted_pair(
    columns: tuple[np.ndarray, np.ndarray], found: tuple[FeatureBaseline, FeatureBaseline]
) -> tuple[int, ...]:
    """Rows by the quarters of two columns, in sixteen cells; rows that miss either are left out."""
    return _crossed(_quarter(columns[0], found[0]), _quarter(columns[1], found[1]))


def _crossed(first: np.ndarray, second: np.ndarray) -> tuple[int, ...]:
    both = (first >= 0) & (second >= 0)
    cells = first[both].astype(np.int64) * QUARTERS + second[both]
    return tuple(np.bincount(cells, minlength=PAIR_CELLS).tolist())


def _quarter(column: np.ndarray, found: FeatureBaseline) -> np.ndarray:
    """The quarter of every row, as int8; -1 where the value is missing."""
    place = np.array(quarters(found.counts, ordered=found.kind == "numeric"), dtype=np.int8)
    if found.kind == "numeric":
        cells = np.searchsorted(np.array(found.edges), column.astype(np.float64), side="right")
        return np.where(np.isnan(column), np.int8(-1), place[cells])
    cell = {value: index for index, value in enumerate(found.categories)}
    values, inverse = np.unique(_as_text(column).astype(str), return_inverse=True)
    of_value = [place[cell.get(value, -1)] if value else -1 for value in values.tolist()]
    return np.array(of_value, dtype=np.int8)[inverse]


def _as_text(column: np.ndarray) -> np.ndarray:
    """Booleans as a JSON log shows them."""
    if column.dtype == object:
        return column
    words = np.where(column > 0.5, "true", "false").astype(object)
    words[np.isnan(column)] = ""
    return words


def numeric(column: np.ndarray) -> FeatureBaseline:
    """Counts of a column of numbers; NaN is missing."""
    present = column[~np.isnan(column)].astype(np.float64)
    present.sort()  # once: values, quantiles and counts are then looked up
    distinct = present[np.concatenate([[True], present[1:] != present[:-1]])] if len(present) else present
    edges = _edges(present, distinct)
    below = np.searchsorted(present, edges, side="left")
    counts = np.diff(np.concatenate([[0], below, [len(present)]]))
    return FeatureBaseline(
        kind="numeric",
        n=len(column),
        n_null=len(column) - len(present),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        values=tuple(map(_text, distinct.tolist())) if _repeats(present, distinct) else (),
        low=float(present[0]) if len(present) else None,
        high=float(present[-1]) if len(present) else None,
        sum=float(present.sum()),
        sum_sq=float((present**2).sum()),
    )


def _text(value: float) -> str:
    """The number in so few digits that reading them gives it back."""
    short = f"{value:.15g}"
    return short if float(short) == value else repr(value)


def _repeats(present: np.ndarray, distinct: np.ndarray) -> bool:
    """Whether a value that is not listed would be news, as values in another unit are. ``present`` is sorted."""
    if len(distinct) <= DISTINCT:
        return True
    starts = np.searchsorted(present, distinct)
    alone = int((np.diff([*starts, len(present)]) == 1).sum()) if len(distinct) <= LISTED else len(present)
    return alone <= ALONE * len(present)


def _edges(present: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """One cell per value when there are few: quantiles would put a rare value into its neighbour's cell."""
    if len(distinct) <= DISTINCT:
        return distinct[1:]
    return np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))


def _categorical(column: np.ndarray) -> FeatureBaseline:
    return categorical(Counter(column[~missing(column)].astype(str).tolist()), len(column))


def categorical(found: Mapping[str, int], rows: int) -> FeatureBaseline:
    """Counts of a column of categories, from how often each value occurs; the other rows have none."""
    order = sorted(found, key=lambda value: (-found[value], value))
    top = order[:TOP]
    others = order[TOP:] if len(order) <= KNOWN else []
    return FeatureBaseline(
        kind="categorical",
        n=rows,
        n_null=rows - sum(found.values()),
        counts=(*(found[value] for value in top), sum(found[value] for value in order[TOP:])),
        categories=tuple(top),
        others=tuple(others),
        alone=sum(found[value] == 1 for value in others),
    )
