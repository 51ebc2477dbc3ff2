"""What people should do about an incident, and why, in plain words.

A changed world asks for a new model, a broken feed for somebody who looks at it: training on its rows would teach
the fault. Nothing is to be done yet while what moved hardly matters to the model, or goes back by itself.
"""

from monitoring.baseline import PREDICTION
from monitoring.judge import DATA_COMPONENTS
from retraining.incidents import Incident

_WORDS = {
    "location": "values are higher or lower",
    "scale": "values spread wider or closer",
    "shape": "values are distributed otherwise",
    "category": "a category is more or less frequent",
    "missing": "more or fewer values are missing",
    "unseen": "there are values that training never saw",
    "range": "values lie beyond those of training",
    "unit": "values come in another unit",
    "pair": "the two go together otherwise than before",
    "association": "the two go together otherwise than before",
    "vanished": "hardly any values came",
    "constant": "every value is the same",
    "schema": "values cannot be read",
    "renamed": "a category seems to be renamed",
    "volume": "more or fewer rows came than usual",
    "freshness": "rows stopped coming",
    "duplicates": "rows are repeated",
    "labels": "labels stay away",
    "loss": "the model's losses are larger than they were",
}
SHOWN = 5
WHOLE = "("  # begins the names of what is no feature: all losses, the whole feed; no distance is meant there


def in_words(component: str) -> str:
    """Which part of a feature moved, for people."""
    return _WORDS.get(component, f"its {component} moved")


def moves(incident: Incident) -> str:
    """The features that weigh most, and how far each moved."""
    return ", ".join(
        in_words(incident.parts.get(name, "shape"))
        if name.startswith(WHOLE) and name != PREDICTION
        else f"{name} moved by {effect:.2f} standard deviations"
        for name, effect in incident.ranked[:SHOWN]
    )


def advise(incident: Incident, min_effect: float, quiet_enough: int) -> Incident:
    """The open incident with what to do about it. ``quiet_enough`` ordinary windows in a row will close it."""
    if incident.quiet:
        why = f"it goes back to normal: {incident.quiet} of {quiet_enough} ordinary windows that close it"
        return calmed(incident, why)
    if incident.kind == "data":
        return incident.but(do="look at the feed", why=_broken(incident))
    weight = max(
        (effect * incident.importance.get(name, 1.0) for name, effect in incident.features.items()), default=0.0
    )
    if PREDICTION not in incident.features and weight <= min_effect:
        why = (
            f"{_told(incident, list(incident.features))}; by its importance this weighs {weight:.2f}, "
            f"no more than {min_effect:g}, and the predictions did not move"
        )
        return incident.but(do="nothing", why=why)
    return incident.but(do="retrain", why=_changed(incident))


def calmed(incident: Incident, why: str) -> Incident:
    """The incident now that nothing is to be done any more; what it asked for stays to be read."""
    if incident.do in (None, "nothing"):
        return incident.but(do="nothing", why=why)
    return incident.but(do="nothing", why=why, asked=incident.do, because=incident.why)


def _broken(incident: Incident) -> str:
    found = [name for name, _ in incident.ranked if incident.parts.get(name) in DATA_COMPONENTS]
    told = _told(incident, found or list(incident.features))
    return f"{told}: a broken feed explains this better than a changed world, and training would learn the fault"


def _changed(incident: Incident) -> str:
    told = _told(incident, [name for name, _ in incident.ranked if name != PREDICTION])
    predictions = incident.features.get(PREDICTION)
    if predictions is None:
        return f"{told}: the traffic is no longer what the model was trained on"
    moved = f"the predictions moved by {predictions:.2f} standard deviations"
    return f"{told}, and {moved}" if told else moved


def _told(incident: Incident, names: list[str]) -> str:
    shown = [_moved(incident, name) for name in names[:3]]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return "; ".join(shown) + rest


def _moved(incident: Incident, name: str) -> str:
    how = in_words(incident.parts.get(name, "distribution"))
    if name.startswith(WHOLE) and name != PREDICTION:
        return how
    return f"{name}: {how} ({incident.features[name]:.2f} standard deviations)"
