"""What pages and replays are made of: all stored windows of a model, whoever served, by one statement."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitoring import tables
from monitoring.baseline import Definitions, definitions
from monitoring.counts import Counts
from monitoring.log import Windows
from retraining.errors import Refused
from retraining.modelspec import ModelSpec
from retraining.reports import Baseline


@dataclass(frozen=True)
class Reign:
    """The windows that were counted for one deployed model."""

    run_id: str
    deployed_id: str
    definitions: Definitions
    windows: Windows

    @property
    def start(self) -> datetime:
        """The start of its first window."""
        return min(self.windows)


def reigns(
    run: tables.Statements,
    place: tuple[str, str],
    spec: ModelSpec,
    span: tuple[datetime, datetime],
    baseline_of: Callable[[str], Baseline | None],
) -> list[Reign]:
    """The stored windows that start in [since, until), by who served, oldest first. ``place``: project and dataset.

    Raises Refused when a run whose windows are stored has no baseline any more: its cells mean nothing then.
    """
    text = tables.text("read_all").format(counts=tables.quoted(*place, tables.COUNTS))
    parameters: dict[str, tables.Value] = {"model": spec.name, "since": span[0], "until": span[1]}
    found: dict[tuple[str, str], Windows] = defaultdict(lambda: defaultdict(dict))
    for row in run.rows(text, parameters, "drift-read"):
        windows = found[row["baseline_id"], row["deployed_model_id"]]
        windows[row["window_start"]][row["feature"]] = _counts(row)
    ordered = sorted(found.items(), key=lambda one: min(one[1]))
    return [Reign(*whose, _defined(spec, whose[0], baseline_of), dict(windows)) for whose, windows in ordered]


def _defined(spec: ModelSpec, run_id: str, baseline_of: Callable[[str], Baseline | None]) -> Definitions:
    baseline = baseline_of(run_id)
    if baseline is None:
        raise Refused(f"baseline of {run_id}: expected report/baseline.json among its artefacts, found none")
    return definitions(spec, baseline.but(baseline_id=run_id))


def _counts(row: dict[str, Any]) -> Counts:
    return Counts(
        n=row["n"],
        n_null=row["n_null"],
        n_unparseable=row["n_unparseable"],
        n_unseen=row["n_unseen"],
        n_low=row["n_low"],
        n_high=row["n_high"],
        cells=tuple(row["counts"]),
        sum=row["total"],
        sum_sq=row["total_sq"],
        unlogged=row["unlogged"],
    )
