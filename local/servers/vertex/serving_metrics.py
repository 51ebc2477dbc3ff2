"""How the deployed models answered, in Cloud Monitoring's form: ``GET /v3/projects/PROJECT/timeSeries``.

Only what this system asks is understood: one of two metrics of one endpoint, added up over the whole window and
grouped by labels. Anything else is refused by name. The counts are per minute of the installation's clock, as Cloud
Monitoring's are, and forgotten after six weeks or when the server ends.
"""

import re
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from local.servers.rpc import RpcError, invalid
from local.servers.vertex.errors import unimplemented

ONLINE = "aiplatform.googleapis.com/prediction/online"
_SCALE, _GROWTH, _FINITE = 1.0, 1.25, 60  # buckets of latencies: 1 ms to 11 minutes
_BOUNDS = tuple(_SCALE * _GROWTH**i for i in range(_FINITE + 1))
_KEPT = timedelta(weeks=6)
_TERM = re.compile(r'([a-z_.]+)\s*=\s*"([^"]*)"')
_MODEL, _CODE, _KIND = (
    "metric.labels.deployed_model_id",
    "metric.labels.response_code",
    "metric.labels.latency_type",
)

_Key = tuple[str, str, int, int]  # endpoint, deployed model, HTTP code, bucket of the latency


class ServingMetrics:
    """Counts of answers. Safe between threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._minutes: dict[datetime, Counter[_Key]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def answer(self, endpoint: str, deployed_model: str) -> Iterator[None]:
        """Count what happens inside as one answer of a deployed model; an error counts by its HTTP status."""
        began, code = time.perf_counter(), 200
        try:
            yield
        except RpcError as error:
            code = error.http_status
            raise
        except Exception:
            code = 500
            raise
        finally:
            bucket = bisect_right(_BOUNDS, 1000 * (time.perf_counter() - began))
            self._count((endpoint, deployed_model, code, bucket))

    def time_series(self, project: str, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The answer to ``timeSeries.list``. Raises INVALID_ARGUMENT, and UNIMPLEMENTED for anything unknown."""
        terms = _terms(_one(query, "filter"))
        since, until = _moment(query, "interval.startTime"), _moment(query, "interval.endTime")
        shape = [_one(query, f"aggregation.{key}") for key in ("perSeriesAligner", "crossSeriesReducer")]
        if shape != ["ALIGN_DELTA", "REDUCE_SUM"]:
            raise unimplemented(f"timeSeries with {' and '.join(shape)}; expected ALIGN_DELTA and REDUCE_SUM")
        metric = terms.pop("metric.type", "").removeprefix(f"{ONLINE}/")
        known = {"response_count": {_MODEL, _CODE}, "prediction_latencies": {_MODEL}}
        if metric not in known or set(query.get("aggregation.groupByFields", ())) != known[metric]:
            raise unimplemented(f"timeSeries of {metric!r} by {query.get('aggregation.groupByFields')}")
        counts = self._between(since, until, _endpoint(project, terms))
        interval = {"startTime": since.isoformat(), "endTime": until.isoformat()}
        build = _codes if metric == "response_count" else _latencies
        series = [
            {
                "metric": {"type": f"{ONLINE}/{metric}", "labels": labels},
                "resource": {"type": "aiplatform.googleapis.com/Endpoint", "labels": {"project_id": project}},
                "metricKind": "DELTA",
                "valueType": "INT64" if "int64Value" in value else "DISTRIBUTION",
                "points": [{"interval": interval, "value": value}],
            }
            for labels, value in build(counts)
        ]
        return {"timeSeries": series} if series else {}

    def _count(self, key: _Key) -> None:
        now = self._now()
        minute = now.replace(second=0, microsecond=0)
        with self._lock:
            if minute not in self._minutes:
                for old in [at for at in self._minutes if at < now - _KEPT]:
                    del self._minutes[old]
            self._minutes.setdefault(minute, Counter())[key] += 1

    def _between(self, since: datetime, until: datetime, endpoint: re.Pattern[str]) -> Counter[_Key]:
        """Counts of the minutes that began in [since, until)."""
        total: Counter[_Key] = Counter()
        with self._lock:
            for minute, counts in self._minutes.items():
                if since <= minute < until:
                    total.update({key: n for key, n in counts.items() if endpoint.fullmatch(key[0])})
        return total


def _codes(counts: Counter[_Key]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    by_code: Counter[tuple[str, int]] = Counter()
    for (_, model, code, _), n in counts.items():
        by_code[model, code] += n
    for (model, code), n in sorted(by_code.items()):
        yield {"deployed_model_id": model, "response_code": str(code)}, {"int64Value": str(n)}


def _latencies(counts: Counter[_Key]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    for wanted in sorted({model for _, model, _, _ in counts}):
        buckets = [0] * (_FINITE + 2)
        for (_, model, _, bucket), n in counts.items():
            buckets[bucket] += n if model == wanted else 0
        while not buckets[-1]:
            buckets.pop()  # as Cloud Monitoring leaves them out
        exponential = {"numFiniteBuckets": _FINITE, "growthFactor": _GROWTH, "scale": _SCALE}
        value = {
            "count": str(sum(buckets)),
            "bucketOptions": {"exponentialBuckets": exponential},
            "bucketCounts": [str(n) for n in buckets],
        }
        yield {"deployed_model_id": wanted}, {"distributionValue": value}


def _terms(text: str) -> dict[str, str]:
    """A filter of equalities joined by AND. Raises INVALID_ARGUMENT."""
    found: dict[str, str] = {}
    for part in text.split(" AND "):
        match = _TERM.fullmatch(part.strip())
        if match is None:
            raise invalid(f'filter: expected FIELD = "VALUE" joined by AND, got {part!r}')
        found[match[1]] = match[2]
    return found


def _endpoint(project: str, terms: dict[str, str]) -> re.Pattern[str]:
    """The resource names that the rest of the filter means. Raises UNIMPLEMENTED."""
    place, number = terms.pop("resource.labels.location", None), terms.pop("resource.labels.endpoint_id", None)
    kind, timed = terms.pop("resource.type", None), terms.pop(_KIND, "total")
    if terms or timed != "total" or kind not in (None, "aiplatform.googleapis.com/Endpoint"):
        raise unimplemented(f"timeSeries with the filter {terms or kind or timed}")
    parts = (project, place, number)
    words = (re.escape(part) if part else "[^/]+" for part in parts)
    return re.compile("projects/{}/locations/{}/endpoints/{}".format(*words))


def _one(query: Mapping[str, Sequence[str]], name: str) -> str:
    values = query.get(name, ())
    if len(values) != 1:
        raise invalid(f"{name}: expected one value, got {len(values)}")
    return values[0]


def _moment(query: Mapping[str, Sequence[str]], name: str) -> datetime:
    text = _one(query, name)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError as error:
        raise invalid(f"{name}: expected an RFC 3339 time, got {text!r}") from error
