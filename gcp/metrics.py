"""Cloud Monitoring: how the deployed models of an endpoint answer.

Its metrics of online prediction are told apart by deployed model
(https://cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform). A filter names one metric, so a look takes
two calls. Both are added up by the server: one point for each series, whatever the window.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import requests

from gcp.errors import translated
from retraining.errors import Refused, Temporary
from retraining.operations import Health, Latencies
from retraining.settings import Settings

CALL_SECONDS = 10.0
HIDDEN = timedelta(minutes=4)  # points are seen so late; of two models, one must not be seen earlier
_SHORTEST = timedelta(minutes=1)  # of an alignment period
_PAGES = 3  # of 100,000 points each
_GOOGLE = "https://monitoring.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/monitoring.read"
_ONLINE = "aiplatform.googleapis.com/prediction/online"
_MODEL, _CODE = "deployed_model_id", "response_code"
_ENDPOINT = re.compile(r"projects/[^/]+/locations/(?P<location>[a-z0-9-]+)/endpoints/(?P<id>[A-Za-z0-9-]+)")


class CloudMetrics:
    """Metrics over Cloud Monitoring's REST API."""

    def __init__(self, settings: Settings) -> None:
        self._project, self._base = settings.project, settings.monitoring_api.rstrip("/")
        self._session: requests.Session | None = None

    def health(self, endpoint: str, since: datetime, until: datetime) -> dict[str, Health]:
        """See Metrics. What is younger than four minutes is left out."""
        where = _ENDPOINT.fullmatch(endpoint)
        if where is None:
            raise Refused(f"metrics: expected an endpoint's resource name, got {endpoint!r}")
        end = until - HIDDEN
        if end - since < _SHORTEST:
            return {}
        with translated(f"metrics of {endpoint}"):
            codes = list(self._series(where, "response_count", since, end, _CODE))
            timed = list(self._series(where, "prediction_latencies", since, end))
        try:
            return _health(codes, timed)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise Refused(f"metrics of {endpoint}: {type(error).__name__}: {error} in the answer") from error

    def _series(
        self, where: re.Match[str], metric: str, since: datetime, until: datetime, *labels: str
    ) -> Iterator[dict[str, Any]]:
        """One series per deployed model and value of ``labels``, with one point for the whole window."""
        words = [
            f'metric.type = "{_ONLINE}/{metric}"',
            'resource.type = "aiplatform.googleapis.com/Endpoint"',
            f'resource.labels.endpoint_id = "{where["id"]}"',
            f'resource.labels.location = "{where["location"]}"',
        ]
        if metric == "prediction_latencies":
            words.append('metric.labels.latency_type = "total"')
        params: dict[str, Any] = {
            "filter": " AND ".join(words),
            "interval.startTime": since.isoformat(),
            "interval.endTime": until.isoformat(),
            "aggregation.alignmentPeriod": f"{int((until - since).total_seconds())}s",
            "aggregation.perSeriesAligner": "ALIGN_DELTA",
            "aggregation.crossSeriesReducer": "REDUCE_SUM",
            "aggregation.groupByFields": [f"metric.labels.{label}" for label in (_MODEL, *labels)],
        }
        for _ in range(_PAGES):
            page = self._get(f"v3/projects/{self._project}/timeSeries", params)
            yield from page.get("timeSeries", [])
            if not (token := page.get("nextPageToken")):
                return
            params["pageToken"] = token
        raise Refused(f"{metric}: expected an end within {_PAGES} pages")

    def _get(self, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._session = requests.Session() if self._base else _authorized()
        answer = self._session.get(f"{self._base or _GOOGLE}/{path}", params=params, timeout=CALL_SECONDS)
        if not answer.ok:
            kind = Temporary if answer.status_code == 429 or answer.status_code >= 500 else Refused
            raise kind(f"Cloud Monitoring: {answer.status_code} {answer.text[:300]}")
        content = answer.json()
        if not isinstance(content, dict):
            raise Refused(f"Cloud Monitoring: expected an object, got {answer.text[:80]!r}")
        return content


def _authorized() -> requests.Session:
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[_SCOPE])
    # Its own renewals of a token are bounded by the time of the call.
    return AuthorizedSession(credentials, max_refresh_attempts=1)  # type: ignore[no-untyped-call]


def _health(codes: list[dict[str, Any]], timed: list[dict[str, Any]]) -> dict[str, Health]:
    requests_of: Counter[str] = Counter()
    errors_of: Counter[str] = Counter()
    for series in codes:
        labels = series["metric"]["labels"]
        count = sum(int(point["value"]["int64Value"]) for point in series["points"])
        requests_of[labels[_MODEL]] += count
        if not str(labels[_CODE]).startswith("2"):
            errors_of[labels[_MODEL]] += count
    found: defaultdict[str, list[Latencies]] = defaultdict(list)
    for series in timed:
        for point in series["points"]:
            found[series["metric"]["labels"][_MODEL]].append(_latencies(point["value"]["distributionValue"]))
    return {
        model: Health(count, errors_of[model], _added(found[model]))
        for model, count in requests_of.items()
        if count
    }


def _latencies(value: Mapping[str, Any]) -> Latencies:
    """A distribution as a histogram; counts at its end that are 0 may be missing."""
    counts = [int(count) for count in value.get("bucketCounts", [])]
    bounds = _bounds(value["bucketOptions"]) if counts else ()
    if len(counts) > len(bounds) + 1:
        raise ValueError(f"expected at most {len(bounds) + 1} buckets, got {len(counts)}")
    return Latencies(bounds, (*counts, *[0] * (len(bounds) + 1 - len(counts))) if counts else ())


def _bounds(options: Mapping[str, Any]) -> tuple[float, ...]:
    """The bounds between buckets, by Cloud Monitoring's three ways to say them."""
    if given := options.get("exponentialBuckets"):
        scale, growth = float(given["scale"]), float(given["growthFactor"])
        return tuple(scale * growth**i for i in range(int(given["numFiniteBuckets"]) + 1))
    if given := options.get("linearBuckets"):
        start, width = float(given.get("offset", 0)), float(given["width"])
        return tuple(start + width * i for i in range(int(given["numFiniteBuckets"]) + 1))
    return tuple(float(bound) for bound in options["explicitBuckets"]["bounds"])


def _added(parts: list[Latencies]) -> Latencies:
    """One histogram of several with the same bounds; of others, the one with most answers, since bounds that differ
    cannot be added."""
    largest = max(parts, key=lambda part: part.total, default=Latencies())
    same = [part.counts for part in parts if part.bounds == largest.bounds]
    return Latencies(largest.bounds, tuple(map(sum, zip(*same, strict=True))))
