"""What the container's jobs write and the decisions read: training report, evaluation, manifest, baseline.

The files lie under ``<artifacts>/runs/<run_id>/``: ``model/`` (SavedModel), ``report/training.json``,
``report/manifest.json``, ``report/baseline.json`` from the trainer, ``evaluations/<run>.json`` from the evaluator.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from retraining import migrations
from retraining.record import Record


class Manifest(Record):
    """Which bytes came out of which inputs."""

    format = migrations.MANIFEST

    run_id: str
    files: dict[str, str]  # path below model/ → sha256 hex
    digest: str  # sha256 over the sorted (path, sha256) pairs
    spec_digest: str  # of the model file
    data_digest: str  # of the snapshot, as the run record has it
    code_digest: str  # sha256 over the trainer's own source files
    parameters: dict[str, str]
    versions: dict[str, str]  # library → version
    seed: int


class TrainingReport(Record):
    """How a training ended. Its metrics inform; only the evaluator's decide."""

    format = migrations.TRAINING_REPORT

    run_id: str
    rows: int  # training rows
    examples: int  # examples seen, over all virtual epochs
    seconds: float  # of fitting
    metrics: dict[str, float]  # on validation rows, names start with val_; on test rows, with test_
    parameters: dict[str, str]
    resumed_from_epoch: int = 0


class Paired(Record):
    """Candidate minus champion, row by row, on the same rows; positive means the candidate is worse."""

    rows: int
    clusters: int  # days; rows of one day are not independent
    mean: float  # difference of the per-row loss
    standard_error: float  # clustered by day


class Slice(Record):
    """The comparison within one group of rows."""

    column: str
    value: str
    rows: int
    candidate: dict[str, float]
    champion: dict[str, float] | None = None
    difference: Paired | None = None


class Evaluation(Record):
    """Candidate and champion on the same fresh labelled rows, by the evaluator's own account.

    The per-row loss is log-loss for classification and the squared error for regression.
    """

    format = migrations.EVALUATION

    run_id: str
    nonce: str
    rows: int
    first: datetime | None = None  # timestamps of the oldest and newest row compared
    last: datetime | None = None
    candidate: dict[str, float]  # metric → value
    champion: dict[str, float] | None = None
    difference: Paired | None = None
    slices: tuple[Slice, ...] = ()
    invalid_outputs: int = 0  # of the candidate: NaN, infinite, or outside the range of the task
    latency_p99_ms: float = 0.0  # one row through the serving signature
    golden_mismatches: int = 0  # rows whose answer differs from what the trainer recorded
    candidate_digest: str = ""
    candidate_objects: dict[str, str] = {}  # path below model/ → generation of the object that was read and checked
    champion_digest: str = ""


class FeatureBaseline(Record):
    """The distribution of one input (or of the prediction) in the training rows, as counts.

    numeric: ``edges`` are k rising interior edges, ``counts`` has k + 1 cells, cell i holds
    edges[i-1] <= x < edges[i]. categorical: ``categories`` are the most frequent values, ``counts`` has one more
    cell, for all others. ``others`` lists those, where all values together are few enough, and ``alone`` says how
    many of them one row had; older baselines have neither.
    ``values`` lists the distinct values of a numeric feature that has at most 50, as text; empty otherwise.
    """

    kind: Literal["numeric", "categorical"]
    n: int  # rows, nulls included
    n_null: int
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    sum: float = 0.0
    sum_sq: float = 0.0
    others: Annotated[tuple[str, ...], Field(exclude_if=lambda found: not found)] = ()
    alone: Annotated[int, Field(exclude_if=lambda found: not found)] = 0


class Baseline(Record):
    """What the training rows looked like; the reference of drift detection after a promotion."""

    format = migrations.BASELINE

    baseline_id: str  # the run that made it
    model: str
    features: dict[str, FeatureBaseline]  # by series: a feature's name, or <feature>:<what is counted of it>
    prediction: FeatureBaseline  # of the score on validation rows; multiclass: the predicted class
    # A text's feature → its most frequent tokens; the others are unknown.
    vocabularies: Annotated[dict[str, tuple[str, ...]], Field(exclude_if=lambda found: not found)] = {}
    # "a × b" → 16 counts of training rows, by the quarters of both inputs; rows that miss either are left out
    pairs: Annotated[dict[str, tuple[int, ...]], Field(exclude_if=lambda pairs: not pairs)] = {}
