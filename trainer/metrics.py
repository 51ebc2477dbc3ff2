"""Metrics from predictions and labels, in numpy: the same functions for trainer and evaluator."""

import numpy as np

CLIP = 1e-7  # probabilities nearer to 0 or 1 count as this near


def row_losses(task: str, predicted: np.ndarray, label: np.ndarray, classes: list[str] | None = None) -> np.ndarray:
    """The loss of each row, float64 [n]: log-loss, or the squared error for regression.

    ``predicted`` is [n] for binary and regression, [n, classes] for multiclass. Rows whose class the model does not
    know get the clipped worst loss.
    """
    predicted = predicted.astype(np.float64)
    if task == "regression":
        return (predicted - label) ** 2
    if task == "binary":
        p = np.clip(predicted, CLIP, 1 - CLIP)
        return -(label * np.log(p) + (1 - label) * np.log1p(-p))
    return -np.log(np.clip(_of_class(predicted, label, classes or []), CLIP, 1))


def _of_class(predicted: np.ndarray, label: np.ndarray, classes: list[str]) -> np.ndarray:
    number = {name: i for i, name in enumerate(classes)}
    index = np.array([number.get(str(one), -1) for one in label])
    found = predicted[np.arange(len(index)), np.maximum(index, 0)]
    return np.where(index < 0, 0.0, found)


def scores(
    task: str, predicted: np.ndarray, label: np.ndarray, classes: list[str] | None = None
) -> dict[str, float]:
    """Every metric of the task, by name."""
    losses = row_losses(task, predicted, label, classes)
    if task == "regression":
        return {"rmse": float(np.sqrt(losses.mean())), "mae": float(np.abs(predicted - label).mean())}
    if task == "multiclass":
        best = np.array(classes or [], dtype=object)[predicted.argmax(axis=1)]
        return {"log_loss": float(losses.mean()), "accuracy": float((best == label).mean())}
    return {
        "log_loss": float(losses.mean()),
        "brier": float(((predicted - label) ** 2).mean()),
        "auc": auc(predicted, label),
        "accuracy": float(((predicted >= 0.5) == (label >= 0.5)).mean()),
    }


def auc(predicted: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties counted half; 0.5 when only one class is there."""
    positive = label >= 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if n_positive == 0 or n_negative == 0:
        return 0.5
    values, inverse, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    del values
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def invalid(task: str, predicted: np.ndarray) -> int:
    """How many rows have an output that is not finite or out of range."""
    flat = predicted.reshape(len(predicted), -1)
    bad = ~np.isfinite(flat)
    if task != "regression":
        bad |= (flat < 0) | (flat > 1)
    return int(bad.any(axis=1).sum())
