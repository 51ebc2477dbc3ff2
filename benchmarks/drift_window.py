"""``python -m benchmarks.drift_window REFERENCE.parquet CURRENT.parquet [--log]``: a window, file to verdict.

The reference becomes the baseline that the trainer would write, the current file one window of counts, and both go
through the code that runs in production. Prints one line of JSON. With ``--log`` the current file is a log: Parquet
with a column ``request_payload`` of JSON texts or lists of them, or newline-delimited JSON.
"""

import argparse
import json
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.window_counts import count_batches, numbers, word
from benchmarks.window_files import Kind, Source, batches, kinds, materialise, source
from benchmarks.window_values import as_categories
from monitoring.baseline import Definitions, define, define_pair
from monitoring.counts import Counts
from monitoring.judge import Rule, from_training, judge
from retraining.incidents import Finding
from retraining.quarters import PAIR_CELLS, pairs
from retraining.reports import FeatureBaseline
from trainer.baseline import categorical, numeric


class _Clock:
    """CPU seconds of this process by part."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._last = 0.0

    def done(self, part: str) -> None:
        """What was used since the last part belongs to this one."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = used.ru_utime + used.ru_stime
        self.parts[part] = round(now - self._last, 4)
        self._last = now


def describe(one: Source) -> Definitions:
    """The baseline of a file, as cells, with pairs of the first ten columns."""
    with tempfile.TemporaryDirectory(prefix="window-") as folder:
        wanted = kinds(one)
        typed = materialise(one, wanted, Path(folder) / "reference.parquet") if one.is_log else one
        found = {name: define(name, _column(typed, name, kind)) for name, kind in wanted.items()}
        chosen = pairs([(name, 1.0) for name in wanted])
        blank = {pair: define_pair(found[pair[0]], found[pair[1]], (0,) * PAIR_CELLS) for pair in chosen}
        members: dict[str, Kind] = {name: wanted[name] for pair in chosen for name in pair}
        alone = {name: found[name] for name in members} | {one.name: one for one in blank.values()}
        counted = count_batches(Definitions("reference", alone), batches(typed, members))
    for first, second in chosen:
        name = blank[first, second].name
        found[name] = define_pair(found[first], found[second], counted[name].cells)
    return Definitions("reference", found)


def _column(one: Source, name: str, kind: Kind) -> FeatureBaseline:
    """One column's baseline; only this column is read."""
    with pq.ParquetFile(one.path) as file:
        pieces = (b.column(0) for b in file.iter_batches(1 << 20, columns=[name], use_threads=False))
        if kind == "num":
            column = np.concatenate([numbers(piece) for piece in pieces] or [np.empty(0)])
            return numeric(np.where(np.isfinite(column), column, np.nan))
        held: Counter[str] = Counter()
        rows = 0
        for piece in pieces:
            rows += len(piece)
            counts = as_categories(piece).value_counts()
            values, times = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
            for value, n in zip(values, times, strict=True):
                if value is not None and value != "":
                    held[word(value)] += n
        return categorical(held, rows)


def look(definitions: Definitions, current: Source) -> dict[str, Counts]:
    """One scan of the current file. Raises ValueError for requests that name no feature at all."""
    wanted: dict[str, Kind] = {
        name: "num" if one.kind == "numeric" else "cat"
        for name, one in definitions.features.items()
        if one.kind != "pair"
    }
    found = count_batches(definitions, batches(current, wanted))
    if current.is_log and all(0 < found[name].n == found[name].n_null for name in wanted):
        came = ", ".join(kinds(current))
        raise ValueError(
            f"{current.path}: expected requests with {', '.join(wanted)}; got none of them, but {came}"
        )
    return found


def _told(definitions: Definitions, window: Mapping[str, Counts], findings: Sequence[Finding]) -> dict[str, Any]:
    rows = max((counts.n for counts in window.values()), default=0)
    reference_rows = max((one.training.n for one in definitions.features.values()), default=0)
    empty = [name for name, n in (("reference", reference_rows), ("window", rows)) if not n]
    if empty:
        note = f"nothing can be said: the {' and the '.join(empty)} has no rows"
        return {"features": {}, "pairs": {}, "rows": rows, "reference_rows": reference_rows, "note": note}
    by_name = {finding.feature: finding for finding in findings}
    told = {
        name: {
            "effect": finding.effect,
            "p_value": finding.p_value,
            "flag": finding.flagged,
            "component": finding.component,
        }
        for name in definitions.features
        if (finding := by_name.get(name)) is not None
    }
    return {
        "features": {name: one for name, one in told.items() if definitions.features[name].kind != "pair"},
        "pairs": {
            name: one for name, one in told.items() if definitions.features[name].kind == "pair" and one["flag"]
        },
        "rows": rows,
        "reference_rows": reference_rows,
    }


def main(words: Sequence[str] | None = None) -> int:
    """Judge and print."""
    top = argparse.ArgumentParser(prog="benchmarks.drift_window")
    top.add_argument("reference", type=Path)
    top.add_argument("current", type=Path)
    top.add_argument("--log", action="store_true", help="the current file is a log of requests in JSON")
    args = top.parse_args(words)
    pa.set_cpu_count(1)
    clock = _Clock()
    clock.done("imports")
    try:
        reference, current = source(args.reference, log=False), source(args.current, log=args.log)
        definitions = describe(reference)
        clock.done("reference")
        window = look(definitions, current)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    clock.done("window")
    findings = judge(definitions, window, from_training(definitions), Rule())
    clock.done("judging")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = _told(definitions, window, findings) | {"cpu_seconds": clock.parts, "peak_mib": round(peak, 1)}
    sys.stdout.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
