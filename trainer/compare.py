"""Two models on the same rows: the mean difference of their losses, and how sure it is, over all and in groups."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from retraining.modelspec import ModelSpec, Task
from retraining.reports import Paired, Slice
from trainer.data import Rows
from trainer.metrics import row_losses, scores

MAX_SLICES = 40  # values of one column, the most frequent first


@dataclass(frozen=True)
class Answers:
    """A model's answers to n rows."""

    predicted: np.ndarray  # [n] or [n, classes]
    losses: np.ndarray  # [n]
    classes: list[str]

    @classmethod
    def of(cls, task: Task, predicted: np.ndarray, label: np.ndarray, classes: list[str]) -> "Answers":
        """With the losses that the labels make of them."""
        return cls(predicted, row_losses(task, predicted, label, classes), classes)

    def where(self, mask: np.ndarray) -> "Answers":
        """Those of some rows."""
        return Answers(self.predicted[mask], self.losses[mask], self.classes)


def compare(ours: Answers, theirs: Answers, clusters: np.ndarray) -> Paired:
    """Our losses minus theirs, row by row; rows of one cluster may depend on each other."""
    return paired(ours.losses - theirs.losses, clusters)


def paired(difference: np.ndarray, clusters: np.ndarray) -> Paired:
    """Mean of differences [n] and its standard error, clustered; with one cluster, as if rows were independent."""
    _, index = np.unique(clusters, return_inverse=True)
    mean, rows = float(difference.mean()), len(difference)
    sums = np.bincount(index, weights=difference - mean)
    count = len(sums)
    if count > 1:
        variance = float((sums**2).sum()) * count / (count - 1) / rows**2
    else:
        variance = float(difference.var(ddof=1)) / rows if rows > 1 else 0.0
    return Paired(rows=rows, clusters=count, mean=mean, standard_error=variance**0.5)


def slices(
    spec: ModelSpec, rows: Rows, ours: Answers, theirs: Answers | None, clusters: np.ndarray
) -> Iterator[Slice]:
    """Every large enough group of rows by the columns that the gate names, the largest first."""
    for column in spec.gate.slices.by:
        values, index, counts = np.unique(named(rows, column), return_inverse=True, return_counts=True)
        for which in np.argsort(-counts, kind="stable")[:MAX_SLICES]:
            if counts[which] >= spec.gate.slices.min_rows:
                yield _slice(spec, rows, ours, theirs, clusters, index == which, (column, str(values[which])))


def named(rows: Rows, column: str) -> np.ndarray:
    """Values of a feature as text [n]; missing is empty, a boolean is true or false."""
    found = rows.features[column]
    if found.dtype == object:
        return found.astype(str)
    kinds = set(np.unique(found[~np.isnan(found)]).tolist())
    if kinds <= {0.0, 1.0}:
        return np.where(np.isnan(found), "", np.where(found == 1, "true", "false"))
    return np.where(np.isnan(found), "", found.astype(str))


def _slice(
    spec: ModelSpec,
    rows: Rows,
    ours: Answers,
    theirs: Answers | None,
    clusters: np.ndarray,
    mask: np.ndarray,
    name: tuple[str, str],
) -> Slice:
    task, label = spec.training.task, rows.label[mask]
    mine, other = ours.where(mask), theirs.where(mask) if theirs else None
    return Slice(
        column=name[0],
        value=name[1],
        rows=int(mask.sum()),
        candidate=scores(task, mine.predicted, label, mine.classes),
        champion=scores(task, other.predicted, label, other.classes) if other else None,
        difference=compare(mine, other, clusters[mask]) if other else None,
    )
