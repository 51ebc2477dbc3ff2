"""What the training rows looked like, as counts: the reference of drift detection once this model serves."""

import numpy as np

from retraining.modelspec import ModelSpec
from retraining.reports import Baseline, FeatureBaseline
from trainer.data import Rows, missing

BINS = 20
TOP = 50  # categories counted one by one; the rest together
DISTINCT = 50  # a numeric column with at most so many values lists them


def baseline(spec: ModelSpec, run_id: str, train: Rows, predicted: np.ndarray, classes: list[str]) -> Baseline:
    """Counts of every feature of ``train``, and of the predictions on validation rows."""
    features = {
        name: _numeric(train.features[name])
        if f.type == "numeric"
        else _categorical(_as_text(train.features[name]))
        for name, f in spec.features.items()
    }
    if spec.training.task == "multiclass":
        of_prediction = _categorical(np.array(classes, dtype=object)[predicted.argmax(axis=1)])
    else:
        of_prediction = _numeric(predicted)
    return Baseline(baseline_id=run_id, model=spec.name, features=features, prediction=of_prediction)


def _as_text(column: np.ndarray) -> np.ndarray:
    """Booleans as a JSON log shows them."""
    if column.dtype == object:
        return column
    words = np.where(column > 0.5, "true", "false").astype(object)
    words[np.isnan(column)] = ""
    return words


def _edges(present: np.ndarray, distinct: np.ndarray) -> np.ndarray:
    """One cell per value when there are few: quantiles would put a rare value into its neighbour's cell."""
    if len(distinct) <= DISTINCT:
        return distinct[1:]
    return np.unique(np.quantile(present, np.linspace(0, 1, BINS + 1)[1:-1]))


def _numeric(column: np.ndarray) -> FeatureBaseline:
    column = column.astype(np.float64)
    present = column[~np.isnan(column)]
    distinct = np.unique(present)
    edges = _edges(present, distinct)
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return FeatureBaseline(
        kind="numeric",
        n=len(column),
        n_null=len(column) - len(present),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        values=tuple(f"{value:.15g}" for value in distinct) if len(distinct) <= DISTINCT else (),
        low=float(present.min()) if len(present) else None,
        high=float(present.max()) if len(present) else None,
        sum=float(present.sum()),
        sum_sq=float((present**2).sum()),
    )


def _categorical(column: np.ndarray) -> FeatureBaseline:
    present = column[~missing(column)].astype(str)
    values, counts = np.unique(present, return_counts=True)
    order = np.lexsort((values, -counts))
    top = order[:TOP]
    return FeatureBaseline(
        kind="categorical",
        n=len(column),
        n_null=len(column) - len(present),
        counts=(*counts[top].tolist(), int(counts[order[TOP:]].sum())),
        categories=tuple(values[top].tolist()),
    )
