"""Two models, one of which has little money, so that the soak meets refusals as well."""

from datetime import timedelta

from retraining import budget
from retraining.modelspec import Budget, ModelSpec
from tests.unit.build import FLIGHTS

SHARES = {"flights": 3.0, "ferries": 1.08}  # a month's money, in what one run may cost at most


def _model(name: str) -> ModelSpec:
    cost = budget.most(FLIGHTS, "train")
    policy = FLIGHTS.policy.model_copy(
        update={
            "debounce": timedelta(minutes=5),
            "cooldown": timedelta(hours=6),
            "backoff_after": 1000,
            "max_launches_per_day": 50,
            "budget": Budget(per_run=cost, per_month=cost * SHARES[name]),
        }
    )
    return FLIGHTS.model_copy(update={"name": name, "endpoint": name, "policy": policy, "tuning": None})


MODELS = {name: _model(name) for name in SHARES}
