"""What one model file says: everything the system knows about one model before it starts.

The classes mirror the YAML one to one. Unknown fields are refused, values are frozen, and identifiers that end up
in SQL, paths or labels are restricted here, once, so that no later code has to quote or escape them.
"""

import hashlib
import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from retraining import names
from retraining.errors import BadRecord, NewerRecord
from retraining.migrations import MODEL_FILE

_DURATION = re.compile(r"(\d+)(m|h|d)")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _duration(value: object) -> object:
    """Read ``15m``, ``24h`` or ``7d``; leave anything else for the type's own error."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return int(match[1]) * _UNITS[match[2]]
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and value.startswith("P"):
        return value  # ISO 8601, as this class itself writes it
    raise ValueError("expected a number with m, h or d, for example 15m, 24h or 7d")


def _cron(value: str) -> str:
    if len(value.split()) != 5:
        raise ValueError("expected five cron fields, for example '0 3 * * 1'")
    return value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
Column = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
Table = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}$")]
Cron = Annotated[str, AfterValidator(_cron)]
# customer.address.country, tags[0] or, where an instance is a list, [3]
PayloadPath = Annotated[
    str, Field(max_length=200, pattern=r"^(([A-Za-z_]\w*|\[\d{1,4}\])(\.[A-Za-z_]\w*|\[\d{1,4}\])*)?$")
]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Share = Annotated[float, Field(gt=0, le=1)]
Task = Literal["binary", "multiclass", "regression"]
Metric = Literal["log_loss", "brier", "auc", "accuracy", "rmse", "mae"]
Direction = Literal["minimize", "maximize"]

GOAL: dict[str, Direction] = {
    "log_loss": "minimize",
    "brier": "minimize",
    "rmse": "minimize",
    "mae": "minimize",
    "auc": "maximize",
    "accuracy": "maximize",
}
METRICS: dict[Task, frozenset[str]] = {
    "binary": frozenset({"log_loss", "brier", "auc", "accuracy"}),
    "multiclass": frozenset({"log_loss", "accuracy"}),
    "regression": frozenset({"rmse", "mae"}),
}


class Part(BaseModel):
    """Base of every part of a model file: frozen, and unknown fields are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Source(Part):
    """Where labelled rows come from."""

    table: Table  # dataset.table in the project; one row per labelled fact
    timestamp: Column  # when the fact happened; partitions the table
    key: Column  # identifies a row; logged requests carry it, so that late labels find them
    label: Column
    label_delay: Duration  # how long after `timestamp` a label may still be missing


class Feature(Part):
    """One input of the model, or a value of its requests that is watched only: times and texts are no inputs."""

    type: Literal["numeric", "categorical", "boolean", "timestamp", "text"]
    max_null_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    importance: Annotated[float, Field(gt=0)] = 1.0  # weight in drift incidents
    monitor: bool = True  # false for what follows the calendar: a weekday moves every day and drifts never
    # Where the value lies in a logged instance; empty: under its own name. Left out of the digest when empty.
    path: Annotated[PayloadPath, Field(exclude_if=lambda path: not path)] = ""

    @property
    def is_input(self) -> bool:
        """Whether the model reads it."""
        return self.type not in ("timestamp", "text")


class Split(Part):
    """How rows become train, validate and test: a column that says it, or a hash of the day."""

    column: Column | None = None  # holds TRAIN, VALIDATE or TEST
    by: Literal["day"] | None = None  # hash of the day, so that rows of one day stay together
    train: Annotated[int, Field(ge=1, le=98)] = 60  # percent
    validate_: Annotated[int, Field(ge=1, le=98, alias="validate")] = 20

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is None) == (self.by is None):
            raise ValueError("expected exactly one of column and by")
        if self.by and self.train + self.validate_ > 99:
            raise ValueError("train + validate must leave at least 1 percent for test")
        return self


class Range(Part):
    """Where tuning may look for one hyperparameter."""

    type: Literal["integer", "double", "categorical", "discrete"]
    min: float | None = None
    max: float | None = None
    scale: Literal["linear", "log", "reverse_log"] = "linear"
    values: tuple[str | float, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type in ("integer", "double"):
            if self.min is None or self.max is None or self.min >= self.max or self.values:
                raise ValueError(f"expected min < max and no values for type {self.type}")
            if self.scale == "log" and self.min <= 0:
                raise ValueError("expected min > 0 with scale log")
        elif not self.values or self.min is not None or self.max is not None:
            raise ValueError(f"expected values and neither min nor max for type {self.type}")
        return self


class Hyperparameter(Part):
    """An argument of the trainer: its first guess, and where tuning may look."""

    default: int | float | str
    tune: Range | None = None


class Training(Part):
    """How a candidate is trained."""

    trainer: Literal["wide_and_deep"]
    task: Task
    window: Duration  # how far back training rows reach
    evaluation_window: Duration  # how far back the fresh rows reach on which both models are compared
    hyperparameters: dict[Column, Hyperparameter] = {}
    timeout: Duration = timedelta(hours=6)


class Tuning(Part):
    """How hyperparameters are searched: short trials, compared on the validation rows."""

    metric: Annotated[str, Field(pattern=r"^val_[a-z_]+$")]
    goal: Direction
    trials: Annotated[int, Field(ge=1, le=200)] = 12
    parallel: Annotated[int, Field(ge=1, le=20)] = 2
    num_examples: Annotated[int, Field(ge=1)] = 500_000  # rows a trial sees, in virtual epochs
    every_runs: Annotated[int, Field(ge=1)] = 10  # tune again after so many runs that only retrained
    timeout: Duration = timedelta(hours=12)


class ScheduleTrigger(Part):
    """Ask for a run at these times, whatever happened."""

    cron: Cron
    time_zone: str = "Etc/UTC"
    action: Literal["auto", "train", "tune"] = "auto"


class DataTrigger(Part):
    """Ask for a run when so many labelled rows are new."""

    min_new_rows: Annotated[int, Field(ge=1)]


class Holiday(Part):
    """Days on which traffic is like on no other. A date alone is one day."""

    name: Annotated[str, Field(min_length=1, max_length=60)] = "holiday"
    first: date
    last: date | None = None  # included; the first day alone when empty

    @property
    def until(self) -> date:
        """The last day."""
        return self.last or self.first

    @model_validator(mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        return {"first": value} if isinstance(value, str | date) else value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until < self.first:
            raise ValueError(f"holiday {self.name}: expected last on or after first, {self.first}, got {self.last}")
        return self


class DriftTrigger(Part):
    """Ask for a run when an incident of drift is open."""

    window: Literal["hour", "day"] = "day"
    min_rows: Annotated[int, Field(ge=50)] = 500  # windows are added up until they hold so many
    min_effect: Annotated[float, Field(gt=0)] = 0.1  # in standard deviations; smaller moves never count
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01  # chance of a false alarm per window, all features
    # Judged and shown, without consequences. Left out of the digest where there are none.
    holidays: Annotated[tuple[Holiday, ...], Field(exclude_if=lambda holidays: not holidays)] = ()


class Triggers(Part):
    """What may ask for a run. A manual message always may."""

    schedule: ScheduleTrigger | None = None
    data: DataTrigger | None = None
    drift: DriftTrigger | None = None


class Budget(Part):
    """Money, in the currency of the prices below."""

    per_run: Annotated[float, Field(gt=0)]
    per_month: Annotated[float, Field(gt=0)]


class Policy(Part):
    """When a trigger becomes a run."""

    debounce: Duration = timedelta(minutes=15)  # triggers that arrive meanwhile share one run
    cooldown: Duration = timedelta(hours=24)  # since the last launch; a manual trigger may override it
    min_new_rows: Annotated[int, Field(ge=0)] = 1000  # labelled rows since the champion's snapshot
    max_launches_per_day: Annotated[int, Field(ge=1)] = 2
    backoff_after: Annotated[int, Field(ge=1)] = 2  # rejected or failed runs in a row; then cooldown doubles
    budget: Budget


class DataChecks(Part):
    """What makes a feed broken. A broken feed never trains."""

    max_age: Duration = timedelta(days=2)  # of the newest row
    min_volume_share: Annotated[float, Field(ge=0, le=1)] = 0.4  # of the same weekday's usual rows
    max_duplicate_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    min_label_share: Annotated[float, Field(ge=0, le=1)] = 0.8  # labelled, among rows past label_delay
    max_label_shift: Annotated[float, Field(gt=0, le=1)] = 0.3  # change of the mean label; regression: relative
    max_unit_factor: Annotated[float, Field(gt=1)] = 5.0  # jump of a numeric feature's typical size


class Floor(Part):
    """A metric of the candidate alone that must hold, champion or not."""

    metric: Metric
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("expected min or max")
        return self


class Slices(Part):
    """Groups of rows in which the candidate must not be worse by more than twice the margin."""

    by: tuple[Column, ...] = ()
    min_rows: Annotated[int, Field(ge=1)] = 300


class Gate(Part):
    """What a candidate must show before it may take traffic.

    The comparison is paired, row by row, so ``metric`` is a mean over rows (or the root of one); others are floors.
    """

    metric: Literal["log_loss", "rmse"]
    margin: Annotated[float, Field(ge=0)]  # how much worse still counts as not worse, in units of the metric
    min_rows: Annotated[int, Field(ge=1)] = 1000
    floors: tuple[Floor, ...] = ()
    slices: Slices = Slices()
    max_latency_ms: Annotated[float, Field(gt=0)] = 200.0  # p99 of one row
    approval: bool = False  # a person must say yes


class Limits(Part):
    """What no model may do to live requests, whatever the champion does; None is no limit."""

    max_error_share: Annotated[float, Field(gt=0, lt=1)] | None = None  # of all answers
    max_latency_p99_ms: Annotated[float, Field(gt=0)] | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return self.max_error_share is not None or self.max_latency_p99_ms is not None


class Rollout(Part):
    """How traffic moves from champion to challenger."""

    steps: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (5, 25, 50, 100)
    step_time: Duration = timedelta(hours=6)  # at least so long at each step
    soak: Duration = timedelta(hours=24)  # at 100 percent, champion still deployed
    min_requests: Annotated[int, Field(ge=1)] = 200  # rows the challenger must have answered at a step
    step_deadline: Duration = timedelta(days=7)  # then an undecided step ends the rollout
    undecided: Literal["roll_back", "hold"] = "roll_back"
    tolerance: Annotated[float, Field(gt=0)]  # loss per row the challenger may add before it counts as harm
    deploy_timeout: Duration = timedelta(hours=1)
    look_every: Duration = timedelta(minutes=15)  # each look at the arms reads the request log, which costs
    # Left out where there are none: a file that sets no limit keeps the digest that it had before there were any.
    limits: Annotated[Limits, Field(exclude_if=lambda limits: not limits.any)] = Limits()

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)) or not self.steps or self.steps[-1] != 100:
            raise ValueError("expected rising steps that end at 100, for example [5, 25, 50, 100]")
        return self


class RequestLog(Part):
    """The table in which the endpoint's requests are logged."""

    table: Table | None = None  # dataset.table, shared or not; None: this system's own, named after the endpoint
    format: Literal["vertex", "ai_platform"] = "vertex"  # ai_platform: raw_data, raw_prediction, groundtruth
    sampling_rate: Share = 1.0  # of the requests that are logged; volumes are corrected for it
    max_gigabytes: Annotated[float, Field(gt=0)] = 200.0  # a pass over new rows that would bill more is refused


class Machine(Part):
    """What a job or a server runs on, and what an hour of it costs."""

    type: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] = "n1-standard-4"
    price: Annotated[float, Field(ge=0)]  # per hour, all replicas' accelerators included
    accelerator: str | None = None
    accelerator_count: Annotated[int, Field(ge=0)] = 0
    replicas: Annotated[int, Field(ge=1)] = 1


class Machines(Part):
    """Machines by use."""

    training: Machine
    tuning: Machine
    evaluation: Machine
    serving: Machine


class ModelSpec(Part):
    """One model to keep fresh."""

    name: Name
    owner: str
    description: str = ""
    source: Source
    features: Annotated[dict[Column, Feature], Field(min_length=1)]
    split: Split
    training: Training
    tuning: Tuning | None = None
    triggers: Triggers = Triggers()
    policy: Policy
    checks: DataChecks = DataChecks()
    gate: Gate
    rollout: Rollout
    endpoint: Name
    log: Annotated[RequestLog, Field(exclude_if=lambda log: log == RequestLog())] = RequestLog()
    machines: Machines
    # The first version is not written out: what it adds to says the same as before, under the same digest.
    version: Annotated[int, Field(exclude_if=lambda version: version == 1)] = MODEL_FILE.version

    @model_validator(mode="before")
    @classmethod
    def _today(cls, raw: Any) -> Any:
        """Bring a file of an earlier version to today's form."""
        if not isinstance(raw, dict):
            return raw
        try:
            return MODEL_FILE.upgrade(raw)
        except NewerRecord as error:
            text = f"expected at most {MODEL_FILE.version}, got {raw['version']}: upgrade the functions first"
            raise PydanticCustomError("version", "{text}", {"text": text}) from error
        except BadRecord as error:
            text = str(error).removeprefix(f"{MODEL_FILE.kind}: version: ")
            raise PydanticCustomError("version", "{text}", {"text": text}) from error

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        reserved = {self.source.label, self.source.timestamp, self.source.key}
        if clash := sorted(reserved & set(self.features)):
            raise ValueError(f"{clash[0]} is label, timestamp or key and cannot be a feature")
        if not self.inputs:
            raise ValueError("features: expected at least one that is numeric, categorical or boolean")
        if self.gate.metric not in METRICS[self.training.task]:
            raise ValueError(f"gate.metric {self.gate.metric} does not fit task {self.training.task}")
        for column in self.gate.slices.by:
            if column not in self.inputs:
                raise ValueError(f"gate.slices.by names {column}, which is not a feature that the model reads")
        tunable = [n for n, h in self.training.hyperparameters.items() if h.tune]
        if self.tuning and not tunable:
            raise ValueError("tuning needs at least one hyperparameter with a tune range")
        return self

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when anything in the file changes."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:12]

    def endpoint_log(self, dataset: str) -> str:
        """``dataset.table`` that Vertex AI logs the endpoint's requests to; ``dataset`` is this system's own."""
        named = self.log.table if self.log.format == "vertex" else None
        return named or f"{dataset}.{names.log_table(self.endpoint)}"

    def watched_log(self, dataset: str) -> str:
        """``dataset.table`` of the requests that are watched for drift: its log, or one in an older format."""
        return self.log.table or self.endpoint_log(dataset)

    @property
    def inputs(self) -> dict[str, Feature]:
        """The features that the model reads, in the file's order; the others are watched only."""
        return {name: f for name, f in self.features.items() if f.is_input}

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric inputs, in the file's order."""
        return tuple(name for name, f in self.inputs.items() if f.type == "numeric")

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical and boolean inputs, in the file's order."""
        return tuple(name for name, f in self.inputs.items() if f.type != "numeric")
