"""One window, judged: which features moved more than chance and ordinary variation explain, and enough to
matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import log10, sqrt

from monitoring.baseline import Definition, Definitions
from monitoring.components import SHARES, components, fresh, pool_unsettled, settled
from monitoring.counts import Counts
from monitoring.statistics import NOTHING, Moved, compare
from monitoring.tails import f_quantile, normal_quantile
from monitoring.variation import CHANCE, Spread
from retraining.incidents import Finding

SEVERE = 0.5  # standard deviations that nobody has to wait for a second window to believe
UNSEEN_EFFECT = 0.05  # unseen values matter at smaller shares: 0.05 is one row in 800
FEW_ROWS = 100  # with fewer, only shares are judged, by their exact distribution
POWER = 0.8  # with which the minimum detectable effect would be found
NOTHING_VISIBLE = 99.0  # a minimum detectable effect that says: too few rows
UNIT_TOLERANCE = 0.06  # of the logarithm: a factor between 8.7 and 11.5 reads as 10
DATA_COMPONENTS = frozenset({"missing", "unseen", "unit"})  # broken feeds look like this; a changed world does not

PLAIN = frozenset({"missing", "unseen"})  # faults that need no knowledge of ordinary variation

Spreads = Mapping[str, Mapping[str, Spread]]  # feature → component → ordinary variation


@dataclass(frozen=True)
class Rule:
    """When a feature counts as moved."""

    alpha: float = 0.01  # chance of a false alarm per window, over all features
    min_effect: float = 0.1  # standard deviations
    cautious: bool = False  # without known variation only plain faults count: see PLAIN, and effects over SEVERE
    plain: frozenset[str] = PLAIN

    def least(self, component: str, *, complete: bool, known: bool) -> float:
        """The effect that a component must exceed. ``known``: its ordinary variation was learnt."""
        if component == "unseen" and complete:
            return min(self.min_effect, UNSEEN_EFFECT)
        if self.cautious and not known and component not in self.plain:
            return max(self.min_effect, SEVERE)
        return self.min_effect


@dataclass(frozen=True)
class Reference:
    """What a window is compared with."""

    counts: Mapping[str, Counts]
    spreads: Spreads = field(default_factory=dict)  # of the features whose ordinary variation is known
    training: frozenset[str] = frozenset()  # features that are compared with the training rows

    @property
    def calibrated(self) -> bool:
        """Whether any ordinary variation was learnt."""
        return any(spread.free for one in self.spreads.values() for spread in one.values())


def from_training(definitions: Definitions, spreads: Spreads | None = None) -> Reference:
    """The training rows as reference."""
    return Reference(definitions.training(), spreads or {}, frozenset(definitions.features))


def judge(
    definitions: Definitions, window: Mapping[str, Counts], against: Reference, rule: Rule
) -> tuple[Finding, ...]:
    """Every feature and pair of the window that the reference knows, most important effect first. A pair of which a
    member moved by itself is not flagged: the member's own finding says more."""
    known = {name: one for name, one in definitions.features.items() if name in window and name in against.counts}
    level = rule.alpha / max(1, sum(len(components(one)) for one in known.values()))
    found = [judge_feature(one, window[name], against, rule, level) for name, one in known.items()]
    alone = {finding.feature for finding in found if finding.flagged and known[finding.feature].of is None}
    found = [one.but(flagged=False) if alone.intersection(known[one.feature].of or ()) else one for one in found]
    return tuple(sorted(found, key=lambda one: (-one.effect * known[one.feature].importance, one.feature)))


def judge_feature(definition: Definition, window: Counts, against: Reference, rule: Rule, level: float) -> Finding:
    """One feature; ``level`` is the p-value below which one of its components counts as moved."""
    reference = against.counts[definition.name]
    spreads = against.spreads.get(definition.name, {})
    ours, theirs = window, reference
    if definition.name in against.training:
        keep = settled(definition)
        ours, theirs = pool_unsettled(window, keep), pool_unsettled(fresh(definition), keep)
    moved = [
        compare(definition, name, ours, theirs, spreads.get(name, CHANCE))
        for name in components(definition)
        if window.n >= FEW_ROWS or name in SHARES
    ]
    counting = [
        one
        for one in moved
        if one.p_value < level
        and one.effect > rule.least(one.component, complete=definition.complete, known=bool(spreads))
    ]
    strongest = max(counting or moved or [Moved(components(definition)[0], *NOTHING)], key=lambda one: one.effect)
    if counting and is_unit_jump(window, reference):
        strongest = replace(strongest, component="unit")
    return _finding(definition, strongest, flagged=bool(counting))


def _finding(definition: Definition, moved: Moved, *, flagged: bool) -> Finding:
    return Finding(
        feature=definition.name,
        effect=round(moved.effect, 4),
        p_value=moved.p_value,
        component=moved.component,
        flagged=flagged,
    )


def is_unit_jump(window: Counts, reference: Counts) -> bool:
    """Whether the typical size changed by a factor near 10, 100, 1000 or their inverses: a unit, not the world."""
    sizes = [sqrt(one.sum_sq / one.valid) if one.valid else 0.0 for one in (window, reference)]
    if min(sizes) <= 0:
        return False
    power = log10(sizes[0] / sizes[1])
    return abs(power) > 0.5 and abs(power - round(power)) < UNIT_TOLERANCE


def minimum_detectable(window: Mapping[str, Counts], against: Reference, rule: Rule, tests: int) -> float:
    """The smallest shift that this window would most likely have shown, for a typical feature;
    NOTHING_VISIBLE when it would have shown none."""
    level = rule.alpha / max(1, tests)
    found = []
    reach = -normal_quantile(1 - POWER)
    for name, counts in window.items():
        reference = against.counts.get(name)
        if reference is None or counts.n < FEW_ROWS or not reference.n:
            continue
        rows = counts.n * reference.n / (counts.n + reference.n)
        spread = against.spreads.get(name, {}).get("location", CHANCE)
        found.append((sqrt(spread.factor(rows, 1) / rows), spread.free))
    if not found:
        return NOTHING_VISIBLE
    size, free = sorted(found)[len(found) // 2]
    least = sqrt(f_quantile(level, 1, free or 10**6))
    return round(max(rule.min_effect, size * (least + reach)), 4)
