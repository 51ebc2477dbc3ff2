"""Which model a deployed model belongs to, as the rollout records say."""

import json
from collections.abc import Mapping

from retraining import names
from retraining.modelspec import ModelSpec
from retraining.ports import Store


def serving_model(store: Store, models: Mapping[str, ModelSpec], deployed_id: str) -> str | None:
    """The model whose endpoint has ``deployed_id`` as champion or challenger; None when none has."""
    for spec in models.values():
        stored = store.read(names.rollout_path(spec.endpoint))
        if stored is not None and deployed_id in _deployed_ids(stored.body):
            return spec.name
    return None


def _deployed_ids(body: str) -> set[str]:
    """Ids in a rollout record. One that cannot be read names nobody: it is not this message's fault."""
    try:
        record = json.loads(body)
    except ValueError:
        return set()
    arms = [record.get(arm) for arm in ("champion", "challenger")] if isinstance(record, dict) else []
    return {str(arm["deployed_id"]) for arm in arms if isinstance(arm, dict) and arm.get("deployed_id")}
