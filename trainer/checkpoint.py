"""What a restarted job needs to go on: one file, replaced as a whole. A crash leaves the old one or the new one."""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer import storage

_ABOUT = "about"


@dataclass(frozen=True)
class Checkpoint:
    """State after ``epoch`` virtual epochs."""

    identity: str  # of the job's inputs; a checkpoint of other inputs is of no use
    epoch: int
    state: list[np.ndarray]  # of the learner
    best: list[np.ndarray]  # weights of the best virtual epoch
    best_metrics: dict[str, float]
    since_best: int


def save(uri: str, checkpoint: Checkpoint) -> None:
    """Write the checkpoint to ``uri``."""
    about = {
        "identity": checkpoint.identity,
        "epoch": checkpoint.epoch,
        "best_metrics": checkpoint.best_metrics,
        "since_best": checkpoint.since_best,
        "states": len(checkpoint.state),
    }
    arrays: dict[str, Any] = {_ABOUT: np.array(json.dumps(about))}
    arrays |= {f"{i:04d}": one for i, one in enumerate([*checkpoint.state, *checkpoint.best])}
    body = io.BytesIO()
    np.savez(body, **arrays)
    storage.write(uri, body.getvalue())


def load(uri: str, identity: str) -> Checkpoint | None:
    """The checkpoint at ``uri``, or None when there is none of these inputs that can be read."""
    body = storage.read(uri)
    if body is None:
        return None
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            about = json.loads(str(file[_ABOUT]))
            arrays = [file[name] for name in sorted(set(file.files) - {_ABOUT})]
        if about["identity"] != identity:
            return None
        states = about["states"]
        return Checkpoint(
            identity, about["epoch"], arrays[:states], arrays[states:], about["best_metrics"], about["since_best"]
        )
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile):
        return None
