"""What the outside shows and takes, as plain values: the words in which ports speak."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from retraining.modelspec import Machine, Tuning
from retraining.record import Record


@dataclass(frozen=True)
class Stored:
    """An object as it was read."""

    body: str
    version: str  # compare for equality only


class Watermark(Record):
    """How far the labelled rows reach."""

    newest: datetime | None  # timestamp of the newest labelled row
    new_rows: int  # labelled rows after the asked-for moment


class ColumnCounts(Record):
    """Counts over one column. Numbers over text columns are None."""

    name: str
    type: str  # BigQuery type, upper case
    nulls: int
    distinct: int
    mean_abs: float | None = None  # mean of |x| over finite values: shows a jump of the unit
    usual_nulls_share: float | None = None  # the same over ordinary earlier rows
    usual_mean_abs: float | None = None


class DataCounts(Record):
    """What the rows of a window look like beside ordinary earlier rows."""

    rows: int
    usual_rows: float  # mean rows per window of this length, same weekdays, before it; 0 when there is no history
    newest: datetime | None
    duplicates: int  # rows whose key occurs more than once
    mature_rows: int  # rows past the label delay
    labelled_rows: int  # of those, with a label
    label_mean: float | None
    usual_label_mean: float | None
    columns: tuple[ColumnCounts, ...]
    bytes_estimate: int = 0  # of the statement, as BigQuery's dry run says; 0 when it does not say


class SnapshotView(Record):
    """The frozen rows of a run."""

    uri: str
    rows: dict[str, int]  # train, eval, test
    first: datetime | None
    last: datetime | None  # timestamp of the newest row: the watermark this run answers
    digest: str  # of the rows' fingerprints


class JobState(StrEnum):
    """How a job stands; Vertex AI's states in the words we need."""

    WAITING = "waiting"  # queued, pending, paused, or a state this version does not know
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"  # also expired

    @property
    def ended(self) -> bool:
        """Whether the job will not change any more."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Trial(Record):
    """One trial of a tuning job."""

    id: str
    state: str  # Vertex AI's word, for example SUCCEEDED or INFEASIBLE
    parameters: dict[str, float | str]
    metrics: dict[str, float]  # final measurement; empty when there is none


@dataclass(frozen=True)
class JobPlan:
    """A job to launch."""

    run_id: str
    kind: str  # train, tune or evaluate
    display_name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: dict[str, str]
    labels: dict[str, str]
    output_uri: str  # Vertex AI derives AIP_MODEL_DIR and its like from it
    machine: Machine
    timeout_s: int
    account: str
    tuning: Tuning | None = None
    ranges: dict[str, object] = field(default_factory=dict)  # argument → retraining.modelspec.Range


@dataclass(frozen=True)
class JobView:
    """A job as Vertex AI shows it."""

    name: str
    kind: str
    state: JobState
    labels: dict[str, str]
    created: datetime
    error: str = ""
    trials: tuple[Trial, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None


@dataclass(frozen=True)
class VersionPlan:
    """A model version to register."""

    model: str  # display name and id of the parent model
    alias: str
    artifact_uri: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    labels: dict[str, str]
    description: str


@dataclass(frozen=True)
class VersionView:
    """A registered model version."""

    name: str  # full name with @version
    labels: dict[str, str]
    artifact_uri: str


@dataclass(frozen=True)
class DeployPlan:
    """A model version to deploy."""

    endpoint: str  # display name
    deployed_id: str
    version: str  # full name with @version
    display_name: str
    machine: Machine
    account: str


@dataclass(frozen=True)
class EndpointView:
    """An endpoint as Vertex AI shows it."""

    name: str
    etag: str
    deployed: dict[str, str]  # deployed model id → full model version name
    split: dict[str, int]  # deployed model id → percent; sums to 100 or is empty


@dataclass(frozen=True)
class OperationView:
    """A long-running operation."""

    done: bool
    error: str = ""


class ArmCounts(Record):
    """Logged requests that one deployed model answered."""

    rows: int  # instances answered
    invalid: int  # answers that are NaN, infinite or out of range
    mean_score: float | None = None
    labelled: int = 0  # sound answers whose label was due and has come
    loss_sum: float = 0.0  # over labelled rows; log-loss, or squared error for regression
    loss_sq_sum: float = 0.0
    last_at: datetime | None = None  # logging time of the newest row
    requests: int = 0  # requests in the log, each with one instance or more, repeated ones too; 0: not counted
    due: int = 0  # sound answers whose label was due, whether or not it has come; 0: not counted
