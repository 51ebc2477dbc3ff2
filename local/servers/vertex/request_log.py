"""The request-response log: sampled predictions, written to BigQuery by a thread of its own.

A prediction never waits for the log and never fails by it. Like Vertex AI's, the log loses rows when BigQuery
cannot take them: rows wait in a bounded queue, and what does not fit is dropped and counted.
"""

import json
import random
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

Row = dict[str, Any]

_CAPACITY = 50_000
_FLUSH_S = 0.5
_BATCH = 500
_REQUEST_ID_LIMIT = 10**18


class Sink(Protocol):
    """Where rows go."""

    def write(self, table: str, rows: Sequence[Row]) -> int:
        """Append ``rows`` to ``table`` (``PROJECT.DATASET.TABLE``), made when it is missing; the number refused.

        Raises OSError when the rows cannot be written now; the same rows are then offered again.
        """


class RequestLog:
    """Collects rows and writes them every half second. ``dropped`` counts the rows that were lost."""

    def __init__(self, sink: Sink, now: Callable[[], datetime], random_seed: int | None) -> None:
        self._sink = sink
        self._now = now
        self._random = random.Random(random_seed)
        self._rows: deque[tuple[str, Row]] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, daemon=True, name="request-log")
        self._thread.start()

    def add(self, endpoint: Any, deployed_model: str, instances: Sequence[Any], predictions: Sequence[Any]) -> None:
        """Log a prediction, when the endpoint's configuration and the draw of its sample say so."""
        if self._sampled(endpoint):
            requests = [json.dumps(instance) for instance in instances]
            self._put(endpoint, deployed_model, requests, [json.dumps(prediction) for prediction in predictions])

    def add_raw(self, endpoint: Any, deployed_model: str, request: bytes, response: bytes) -> None:
        """Log a raw prediction: each payload is one element, as it was sent."""
        if self._sampled(endpoint):
            texts = [data.decode("utf-8", errors="replace") for data in (request, response)]
            self._put(endpoint, deployed_model, texts[:1], texts[1:])

    def close(self) -> None:
        """Write what waits, once more, and end."""
        self._closing.set()
        self._thread.join(timeout=30)

    def _sampled(self, endpoint: Any) -> bool:
        config = endpoint.predict_request_response_logging_config
        if not config.enabled:
            return False
        with self._lock:
            return self._random.random() < float(config.sampling_rate)

    def _put(self, endpoint: Any, deployed_model: str, requests: list[str], responses: list[str]) -> None:
        table = endpoint.predict_request_response_logging_config.bigquery_destination.output_uri
        row = {
            "endpoint": endpoint.name,
            "deployed_model_id": deployed_model,
            "logging_time": self._now().isoformat(),
            "request_id": str(secrets.randbelow(_REQUEST_ID_LIMIT)),
            "request_payload": requests,
            "response_payload": responses,
        }
        with self._lock:
            if len(self._rows) >= _CAPACITY:
                self.dropped += 1
            else:
                self._rows.append((table.removeprefix("bq://"), row))

    def _write(self) -> None:
        while not self._closing.wait(_FLUSH_S):
            self._flush()
        self._flush()
        with self._lock:
            self.dropped += len(self._rows)
            self._rows.clear()

    def _flush(self) -> None:
        with self._lock:
            waiting = list(self._rows)
            self._rows.clear()
        kept: list[tuple[str, Row]] = []
        for table, group in groupby(sorted(waiting, key=lambda item: item[0]), key=lambda item: item[0]):
            rows = [row for _, row in group]
            for start in range(0, len(rows), _BATCH):
                batch = rows[start : start + _BATCH]
                try:
                    refused = self._sink.write(table, batch)
                except OSError:
                    kept.extend((table, row) for row in batch)
                else:
                    with self._lock:
                        self.dropped += refused
        with self._lock:
            self._rows.extendleft(reversed(kept))
