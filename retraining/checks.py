"""Is the feed broken? Broken data never trains; this is the judgement over counts, in one pure function."""

from collections.abc import Iterator
from datetime import datetime

from retraining.modelspec import ModelSpec
from retraining.views import ColumnCounts, DataCounts

MIN_HISTORY = 100.0  # ordinary rows below which nothing can be compared with the usual


def problems(spec: ModelSpec, counts: DataCounts, now: datetime) -> tuple[str, ...]:
    """Every reason why the new rows must not train, one sentence each; empty when the feed looks sound."""
    if counts.rows == 0:
        return ("no rows in the window",)
    found = [*_volume(spec, counts, now), *_labels(spec, counts)]
    by_name = {column.name: column for column in counts.columns}
    for name in spec.features:
        if name not in by_name:
            found.append(f"{name}: the table has no such column")
        else:
            found.extend(_column(spec, by_name[name], counts.rows))
    return tuple(found)


def _volume(spec: ModelSpec, counts: DataCounts, now: datetime) -> Iterator[str]:
    checks = spec.checks
    if counts.newest and now - counts.newest > checks.max_age:
        yield f"the newest row is of {counts.newest:%Y-%m-%d %H:%M}, older than {checks.max_age}"
    if counts.usual_rows >= MIN_HISTORY and counts.rows < checks.min_volume_share * counts.usual_rows:
        yield f"{counts.rows} rows where {counts.usual_rows:.0f} are usual"
    share = counts.duplicates / counts.rows
    if share > checks.max_duplicate_share:
        yield f"{share:.1%} of rows have a key that occurs twice, more than {checks.max_duplicate_share:.1%}"


def _labels(spec: ModelSpec, counts: DataCounts) -> Iterator[str]:
    checks = spec.checks
    if counts.mature_rows:
        share = counts.labelled_rows / counts.mature_rows
        if share < checks.min_label_share:
            yield f"{share:.1%} of rows past the label delay have a label, fewer than {checks.min_label_share:.0%}"
    if counts.label_mean is None or counts.usual_label_mean is None:
        return
    shift = abs(counts.label_mean - counts.usual_label_mean)
    if spec.training.task == "regression" and counts.usual_label_mean:
        shift /= abs(counts.usual_label_mean)
    if shift > checks.max_label_shift:
        yield (
            f"the mean label is {counts.label_mean:.3f} where {counts.usual_label_mean:.3f} is usual, a shift over "
            f"{checks.max_label_shift}"
        )


def _column(spec: ModelSpec, column: ColumnCounts, rows: int) -> Iterator[str]:
    feature = spec.features[column.name]
    nulls = column.nulls / rows
    if column.nulls == rows:
        yield f"{column.name}: every value is missing"
        return
    if nulls > feature.max_null_share:
        yield f"{column.name}: {nulls:.1%} of values are missing, more than {feature.max_null_share:.1%}"
    if column.distinct == 1 and rows >= MIN_HISTORY and feature.type != "boolean":
        yield f"{column.name}: every value is the same"
    if feature.type == "numeric" and column.mean_abs is not None and column.usual_mean_abs:
        factor = column.mean_abs / column.usual_mean_abs
        limit = spec.checks.max_unit_factor
        if factor > limit or factor < 1 / limit:
            yield f"{column.name}: values are {factor:.3g} times as large as usual, as after a change of unit"
