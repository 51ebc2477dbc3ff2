"""Passengers' requests: every flight of the replay asked about through the endpoint, when it leaves the ground."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc
import pandas as pd
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.aiplatform_v1 import PredictionServiceClient
from google.protobuf import json_format, struct_pb2

from retraining.modelspec import ModelSpec

BATCH = 15  # flights that one screen asks about at once


@dataclass(frozen=True)
class Answer:
    """What one flight was told."""

    key: str
    at: datetime
    score: float
    deployed_id: str


class Requests:
    """Sends rows of a frame to an endpoint and keeps the answers."""

    def __init__(self, vertex_api: str, endpoint: str, spec: ModelSpec) -> None:
        transport = PredictionServiceClient.get_transport_class("grpc")
        self._channel = grpc.insecure_channel(vertex_api)
        self._client = PredictionServiceClient(transport=transport(channel=self._channel))
        self._endpoint, self._spec = endpoint, spec
        self.answers: list[Answer] = []
        self.failed = 0  # requests without an answer

    def send(self, rows: pd.DataFrame) -> None:
        """Ask about each row, in the frame's order, a screen at a time."""
        records = instances(self._spec, rows)
        times = [stamp.to_pydatetime() for stamp in rows[self._spec.source.timestamp]]
        for start in range(0, len(records), BATCH):
            self._ask(records[start : start + BATCH], times[start : start + BATCH])

    def _ask(self, batch: Sequence[dict[str, Any]], times: Sequence[datetime]) -> None:
        values = [json_format.ParseDict(record, struct_pb2.Value()) for record in batch]
        try:
            answer = self._client.predict(endpoint=self._endpoint, instances=values, timeout=20)
        except GoogleAPICallError:
            self.failed += 1
            return
        for record, at, prediction in zip(batch, times, answer.predictions, strict=True):
            score = float(dict(prediction)["score"])
            self.answers.append(Answer(record[self._spec.source.key], at, score, answer.deployed_model_id))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def instances(spec: ModelSpec, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as a client would send them: raw features and the key; a missing value is left out."""
    columns = [spec.source.key, *spec.features]
    return [dict(_present(zip(columns, row, strict=True))) for row in rows[columns].itertuples(index=False)]


def _present(pairs: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in pairs:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        yield name, value.item() if hasattr(value, "item") else value
