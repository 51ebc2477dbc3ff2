"""The rules of other drift detectors, re-implemented at their defaults so that all see the same draws.

Each takes (reference, window, kind) and says whether it would flag the feature alone; the notes say where the
rule was read. NannyML's needs chunks of its reference as large as the window; with fewer than two, ten are
made, as it does itself.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from scipy import stats

Kind = Literal["num", "cat"]
Array = np.ndarray[Any, Any]
Rule = Callable[[Array, Array, Kind], bool]
CHUNKS = 10  # NannyML's where no size is given
MOST = 1000  # reference rows up to which Evidently tests instead of measuring


def vertex(reference: Array, window: Array, kind: Kind) -> bool:
    """Vertex AI Model Monitoring: Jensen-Shannon divergence of ten equal-width buckets, or L-infinity, over 0.3."""
    if kind == "cat":
        p, q = _levels(reference, window)
        return bool(np.abs(p - q).max() > 0.3)
    a, b = _present(reference), _present(window)
    both = np.concatenate([a, b])
    return _divergence(*_histograms(a, b, np.linspace(both.min(), both.max(), 11))) > 0.3


def stability(reference: Array, window: Array, kind: Kind) -> bool:
    """The population stability index of ten quantile bins over 0.2, the textbook's rule."""
    if kind == "cat":
        shares = _levels(reference, window)
    else:
        a, b = _present(reference), _present(window)
        inner = np.unique(np.quantile(a, np.linspace(0, 1, 11)[1:-1]))
        shares = _histograms(a, b, np.concatenate([[-np.inf], inner, [np.inf]]))
    p, q = (np.maximum(share, 1e-4) for share in shares)
    return bool(np.sum((p - q) * np.log(p / q)) > 0.2)


def tests(reference: Array, window: Array, kind: Kind) -> bool:
    """Kolmogorov-Smirnov or chi-squared at 5 %, what many tools and most notebooks do."""
    return p_value(reference, window, kind) < 0.05


def alibi(features: int) -> Rule:
    """Alibi Detect's TabularDrift: the same tests at 5 % shared by all features (Bonferroni)."""
    return lambda reference, window, kind: p_value(reference, window, kind) < 0.05 / features


def evidently(reference: Array, window: Array, kind: Kind) -> bool:
    """Evidently: p < 5 % up to 1,000 reference rows; else the Wasserstein distance over the reference's standard
    deviation, or the Jensen-Shannon distance, from 0.1 on."""
    if len(reference) <= MOST:
        return p_value(reference, window, kind) < 0.05
    if kind == "cat":
        p, q = _levels(reference, window)
        return bool(np.sqrt(_divergence(p, q) * np.log(2)) >= 0.1)
    a, b = _present(reference), _present(window)
    return bool(stats.wasserstein_distance(a, b) / max(np.std(a), 0.001) >= 0.1)


def nannyml(reference: Array, window: Array, kind: Kind) -> bool:
    """NannyML: the Jensen-Shannon distance over its mean plus three standard deviations among chunks of the
    reference."""
    if kind == "cat":

        def distance(part: Array) -> float:
            return float(np.sqrt(_divergence(*_levels(reference, part))))

    else:
        a = _present(reference)
        edges = np.histogram_bin_edges(a, bins="doane")
        ends = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])

        def distance(part: Array) -> float:
            return float(np.sqrt(_divergence(*_histograms(a, _present(part), ends))))

    number = len(reference) // len(window) if 2 * len(window) <= len(reference) else CHUNKS
    usual = [distance(part) for part in np.array_split(reference, number)]
    return bool(distance(window) > np.mean(usual) + 3 * np.std(usual))


def deepchecks(reference: Array, window: Array, kind: Kind) -> bool:
    """Deepchecks: the Kolmogorov-Smirnov statistic, or Cramér's V with categories under 1 % pooled, over 0.2."""
    if kind == "num":
        return bool(stats.ks_2samp(_present(reference), _present(window), method="asymp").statistic > 0.2)
    table = np.array([_numbers(part, reference, window) for part in (reference, window)])
    small = table.sum(0) < 0.01 * table.sum()
    pooled = np.column_stack([table[:, ~small], table[:, small].sum(1)])
    pooled = pooled[:, pooled.sum(0) > 0]
    if pooled.shape[1] < 2:
        return False
    n, k = pooled.sum(), min(pooled.shape) - 1
    free = (pooled.shape[0] - 1) * (pooled.shape[1] - 1) / (n - 1)
    phi = max(0.0, stats.chi2_contingency(pooled, correction=False).statistic / n - free)
    rows, columns = (size - (size - 1) ** 2 / (n - 1) for size in pooled.shape)
    return bool(k and np.sqrt(phi / max(min(rows, columns) - 1, 1e-9)) > 0.2)


def rules(features: int) -> Mapping[str, Rule]:
    """All of them, by the name in the tables."""
    return {
        "Vertex 0.3": vertex,
        "Evidently": evidently,
        "NannyML": nannyml,
        "p < .05": tests,
        "Alibi": alibi(features),
        "PSI 0.2": stability,
        "Deepchecks": deepchecks,
    }


def p_value(reference: Array, window: Array, kind: Kind) -> float:
    """Kolmogorov-Smirnov or chi-squared."""
    if kind == "num":
        return float(stats.ks_2samp(_present(reference), _present(window), method="asymp").pvalue)
    table = np.array([_numbers(part, reference, window) for part in (reference, window)])
    table = table[:, table.sum(0) > 0]
    return float(stats.chi2_contingency(table).pvalue) if table.shape[1] > 1 else 1.0


def _divergence(p: Array, q: Array) -> float:
    middle = (p + q) / 2
    return float((stats.entropy(p, middle, base=2) + stats.entropy(q, middle, base=2)) / 2)


def _levels(reference: Array, window: Array) -> tuple[Array, Array]:
    found = [_numbers(part, reference, window) for part in (reference, window)]
    return found[0] / found[0].sum(), found[1] / found[1].sum()


def _numbers(part: Array, reference: Array, window: Array) -> Array:
    """Rows of each category 0, 1, 2..."""
    return np.bincount(part, minlength=int(max(reference.max(), window.max())) + 1)


def _histograms(a: Array, b: Array, edges: Array) -> tuple[Array, Array]:
    inner = edges[1:-1]
    found = [np.bincount(np.searchsorted(inner, one, side="right"), minlength=len(inner) + 1) for one in (a, b)]
    return found[0] / max(1, len(a)), found[1] / max(1, len(b))


def _present(values: Array) -> Array:
    return values[~np.isnan(values)] if values.dtype.kind == "f" else values
