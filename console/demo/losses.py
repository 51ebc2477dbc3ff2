"""Loss by week: our answers beside those of never, a calendar and an oracle, on the same rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from local.rehearsal.traffic import Answer

CLIP = 1e-7
KINDS = ("never", "ours", "calendar", "oracle")


def joined(peers: pd.DataFrame, answers: Sequence[Answer]) -> pd.DataFrame:
    """Rows that were asked about, with every kind's answer."""
    ours = pd.DataFrame({"flight_id": [a.key for a in answers], "ours": [a.score for a in answers]})
    return peers.merge(ours.drop_duplicates("flight_id"), on="flight_id", how="inner")


def log_loss(label: pd.Series, score: pd.Series) -> pd.Series:
    """Per row; null where there is no answer."""
    p = score.clip(CLIP, 1 - CLIP)
    return -(label * np.log(p) + (1 - label) * np.log1p(-p))


def by_week(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean log-loss of each kind by week of departure."""
    losses = pd.DataFrame({kind: log_loss(rows["ontime"], rows[kind]) for kind in KINDS})
    week = rows["departure"].dt.tz_localize(None).dt.to_period("W").dt.start_time
    weeks = []
    for start, group in losses.groupby(week):
        values = {kind: None if group[kind].isna().all() else round(float(group[kind].mean()), 5) for kind in KINDS}
        weeks.append({"week": start.date().isoformat(), "rows": len(group), **values})
    return weeks


def means(rows: pd.DataFrame) -> dict[str, float]:
    """Mean log-loss of each kind over the rows that all of them answered."""
    common = rows.dropna(subset=list(KINDS))
    return {kind: float(log_loss(common["ontime"], common[kind]).mean()) for kind in KINDS}


def verdict(mean: dict[str, float]) -> str:
    """One honest sentence."""
    gap = mean["never"] - mean["oracle"]
    closed = {kind: (mean["never"] - mean[kind]) / gap if gap > 0 else 0.0 for kind in ("ours", "calendar")}
    said = (
        f"Never retraining would have cost a log-loss of {mean['never']:.4f}; this system cost {mean['ours']:.4f} "
        f"and closed {closed['ours']:.0%} of the gap to an oracle. A plain monthly calendar would have cost "
        f"{mean['calendar']:.4f} ({closed['calendar']:.0%})"
    )
    if mean["calendar"] <= mean["ours"]:
        return f"{said}: on slow seasonal drift a calendar alone is at least as good; what it lacks is the gate."
    return f"{said}."
