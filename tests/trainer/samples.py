"""Small made-up rows from which each kind of model can learn something."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRIC = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}
HYPERPARAMETERS = {
    "batch_size": 128,
    "learning_rate": 0.02,
    "hidden_units": "16,8",
    "num_epochs": 4,
    "num_buckets": 4,
}


def rows(task: str, count: int, seed: int = 1) -> pd.DataFrame:
    """Orders of twenty days: amount and shop decide, with noise. Some amounts and shops are missing."""
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 30.0, count)
    shop = random.choice(["north", "south", "west"], count, p=[0.5, 0.3, 0.2])
    signal = (amount - 60) / 40 + np.where(shop == "north", 1.0, -0.5) + random.normal(0, 0.4, count)
    label: Any = {
        "binary": (signal > 0).astype("int64"),
        "multiclass": np.array(["low", "mid", "top"])[np.digitize(signal, [-0.5, 0.7])],
        "regression": 50 + 10 * signal,
    }[task]
    frame = pd.DataFrame(
        {
            "order_id": [f"order-{seed}-{i}" for i in range(count)],
            "placed": pd.Timestamp("2024-03-01", tz="UTC")
            + pd.to_timedelta(random.integers(0, 28_800, count), "m"),
            "outcome": label,
            "amount": np.where(random.random(count) < 0.05, np.nan, amount),
            "items": random.integers(1, 6, count).astype("float64"),
            "express": random.random(count) < 0.3,
            "shop": pd.Series(shop, dtype="string").where(random.random(count) >= 0.05),
            "country": random.choice(["CH", "DE", "FR", "IT"], count),
        }
    )
    return frame.sort_values("placed").reset_index(drop=True)


def spec(task: str, **training: Any) -> dict[str, Any]:
    """The model file of these rows; ``training`` replaces hyperparameters' defaults."""
    defaults = HYPERPARAMETERS | training
    machine = {"type": "n1-standard-4", "price": 0.2}
    return {
        "name": "orders",
        "owner": "team",
        "source": {
            "table": "shop.orders",
            "timestamp": "placed",
            "key": "order_id",
            "label": "outcome",
            "label_delay": "1d",
        },
        "features": {
            "amount": {"type": "numeric", "max_null_share": 0.2},
            "items": {"type": "numeric"},
            "express": {"type": "boolean"},
            "shop": {"type": "categorical", "max_null_share": 0.2},
            "country": {"type": "categorical"},
        },
        "split": {"by": "day"},
        "training": {
            "trainer": "wide_and_deep",
            "task": task,
            "window": "30d",
            "evaluation_window": "10d",
            "hyperparameters": {name: {"default": value} for name, value in defaults.items()},
        },
        "policy": {"budget": {"per_run": 1, "per_month": 10}},
        "gate": {
            "metric": METRIC[task],
            "margin": 0.01,
            "min_rows": 100,
            "slices": {"by": ["shop", "express"], "min_rows": 50},
        },
        "rollout": {"tolerance": 0.1},
        "endpoint": "orders",
        "machines": dict.fromkeys(("training", "tuning", "evaluation", "serving"), machine),
    }


def write_spec(folder: Path, content: dict[str, Any]) -> Path:
    """The model file in ``folder``, written in the part of YAML that is JSON."""
    path = folder / "orders.yaml"
    path.write_text(json.dumps(content))
    return path


def write_rows(folder: Path, task: str, count: int = 1200) -> Path:
    """A folder with train, eval and test files."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate({"train": count, "eval": count // 2, "test": count // 2}.items(), 1):
        rows(task, size, seed).to_parquet(folder / f"{name}-000.parquet", index=False)
    return folder
