"""What our monitor concluded about a deployed model, for messages that say less than it knows."""

from retraining import names
from retraining.errors import BadRecord, NewerRecord, Refused
from retraining.incidents import WindowVerdict
from retraining.modelspec import ModelSpec
from retraining.ports import Store

LOOKED_AT = 100  # verdicts; four days of hours


def verdicts(store: Store, spec: ModelSpec, deployed_id: str) -> list[WindowVerdict]:
    """The newest verdicts on the rows of ``deployed_id``, oldest first; empty: of whoever serves. A record that
    cannot be read, or may not be, knows nothing: it is not this message's fault."""
    from monitoring.records import history

    try:
        run = _run(store, spec, deployed_id)
        return [one for one in history(store, spec.name, LOOKED_AT) if one.baseline_id == run] if run else []
    except (BadRecord, NewerRecord, Refused):
        return []


def _run(store: Store, spec: ModelSpec, deployed_id: str) -> str:
    from retraining.rollouts import Rollout

    stored = store.read(names.rollout_path(spec.endpoint))
    if stored is None:
        return ""
    record = Rollout.from_json(stored.body)
    arms = [arm for arm in (record.champion, record.challenger) if arm is not None]
    found = [arm for arm in arms if deployed_id in ("", arm.deployed_id)]
    return found[0].run_id if found else ""
