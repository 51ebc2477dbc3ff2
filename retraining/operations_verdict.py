"""What errors, latencies and shares of traffic say about a rollout, at any moment and as often as anybody looks.

All three questions are one: of a growing number of independent events, does a larger share than ``chance`` go one
way? The evidence is a mixture of likelihood ratios over a few larger odds (a test martingale; Ville 1939, Shafer et
al. 2011, Ramdas et al. 2023). Under the null its expectation never exceeds 1, so that it ever reaches 1 / level has
at most the chance ``level``: exactly, for small counts too, and at all looks together.
"""

import math
from dataclasses import dataclass

from retraining.modelspec import ModelSpec
from retraining.operations import Health

HARM = 0.05  # chance that the numbers ever roll back a harmless challenger, all guards and steps together
SPENT_ON_ERRORS = 0.015  # of HARM; the rest: 0.005 limits, 0.025 losses, 0.005 never spent
SPENT_ON_LIMIT = 0.0025  # of HARM, for each of the two
RATIO_LEVEL = 0.001  # chance that a true split ever holds a step
SKEWED_LABELS = 0.001  # chance that a look finds labels skewed that are not

_WORSE = (1.2, 1.5, 2.0, 4.0, 16.0)  # odds that are looked for; less than 1.1 times the chance is never found
_OFF = (1.04, 1.1, 1.25, 2.0, 8.0)  # the same for shares of traffic
_SLOW = 0.01  # of the answers may be slower than a limit on the 99th percentile


def evidence(hits: int, misses: int, chance: float, odds: tuple[float, ...] = _WORSE) -> float:
    """Logarithm of the evidence that each event hits with more than ``chance``, the odds being ``odds`` times as
    large, each as likely as the others beforehand."""
    terms = [
        hits * math.log(ratio) - (hits + misses) * math.log1p(chance * (ratio - 1)) for ratio in odds
    ]  # ln of (q / chance)^hits · ((1 - q) / (1 - chance))^misses, q with odds ratio · chance / (1 - chance)
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms) / len(terms))


def shown(hits: int, misses: int, chance: float, level: float, odds: tuple[float, ...] = _WORSE) -> bool:
    """Whether it is shown at ``level`` that hits are more frequent than ``chance``."""
    return evidence(hits, misses, chance, odds) >= -math.log(level)


def off(hits: int, misses: int, chance: float, level: float) -> bool:
    """Whether it is shown at ``level`` that the share of hits differs from ``chance``, either way."""
    if not 0 < chance < 1:
        return False
    return shown(hits, misses, chance, level / 2, _OFF) or shown(misses, hits, 1 - chance, level / 2, _OFF)


def comparing(spec: ModelSpec) -> int:
    """Number of steps at which both models answer; what may be spent on false alarms is shared by them."""
    return max(1, sum(share < 100 for share in spec.rollout.steps))


@dataclass(frozen=True)
class Operations:
    """What the numbers say. Empty texts: nothing of the kind is shown."""

    harm: str = ""  # it must go back at once
    hold: str = ""  # nothing may be concluded from this step
    champion: str = ""  # the champion itself breaks a limit
    unseen: str = ""  # a limit was set and nobody can tell whether it holds
    enough: bool = False  # it has answered enough requests to be called sound
    said: str = ""  # the numbers, for the record


NOTHING = Operations()


def judge(spec: ModelSpec, share: int, challenger: Health | None, champion: Health | None) -> Operations:
    """Judge how the challenger serves at ``share`` percent beside the champion in the same window.

    Args:
        share: of the traffic that the challenger takes; 100 leaves nobody to compare it with.
        challenger: None when nobody knows, which is neither good nor bad.
        champion: the same.
    """
    limited = spec.rollout.limits.any
    if challenger is None or challenger.requests == 0:
        return Operations(unseen="limits are set, and no numbers of it have come" if limited else "")
    if broken := _broken(spec, challenger):
        return Operations(harm=broken)
    enough = challenger.requests >= spec.rollout.min_requests
    said = f"{challenger.errors} errors in {challenger.requests} answers"
    if champion is None or not 0 < share < 100:
        return Operations(enough=enough, said=said)
    said = f"{said}, the champion's {champion.errors} in {champion.requests}"
    theirs = _broken(spec, champion)
    if off(challenger.requests, champion.requests, share / 100, RATIO_LEVEL):
        return Operations(hold=_skewed("answered", challenger.requests, champion.requests, share), champion=theirs)
    level = SPENT_ON_ERRORS / comparing(spec)
    if enough and shown(challenger.errors, champion.errors, share / 100, level):
        return Operations(harm=f"it fails more often than the champion: {said}", champion=theirs)
    return Operations(champion=theirs, enough=enough, said=said)


def _broken(spec: ModelSpec, health: Health) -> str:
    """The hard limit that a model surely breaks, in words; empty when none. No number of rows is waited for: a few
    answers may be enough, and one alone never is."""
    limits, level = spec.rollout.limits, SPENT_ON_LIMIT / (comparing(spec) + 1)
    most = limits.max_error_share
    if most is not None and shown(health.errors, health.requests - health.errors, most, level):
        seen = f"{health.errors} of {health.requests} answers are errors"
        return f"{seen}, {health.error_share:.2%}; the limit is {most:.2%}"
    slowest, timed = limits.max_latency_p99_ms, health.latencies
    if slowest is not None and timed.total:
        slow = timed.slower(slowest)
        if shown(slow, timed.total - slow, _SLOW, level):
            seen = f"{slow} of {timed.total} answers took {slowest:.0f} ms or more"
            return f"{seen}, {slow / timed.total:.2%}; the limit is 1 %"
    return ""


def shares_off(challenger: int, champion: int, share: int) -> str:
    """Why the log's requests do not fit the split, in words; empty when they do."""
    if not off(challenger, champion, share / 100, RATIO_LEVEL):
        return ""
    return _skewed("in the log", challenger, champion, share)


def _skewed(where: str, challenger: int, champion: int, share: int) -> str:
    seen = 100 * challenger / (challenger + champion)
    text = (
        f"it has {challenger} of {challenger + champion} requests {where}, {seen:.1f} %, and the split is {share} %"
    )
    return f"{text}: routing or logging is broken"


def labels_off(ours: tuple[int, int], theirs: tuple[int, int]) -> str:
    """Why the labels of two arms cannot be compared, in words; each arm is (labelled, due). Empty when they can.

    A look that is wrong about this only waits, so that a plain test at each look is enough: two shares, two-sided.
    """
    (a, n), (b, m) = ours, theirs
    if not n or not m:
        return ""
    both = (a + b) / (n + m)
    spread = math.sqrt(both * (1 - both) * (1 / n + 1 / m))
    z = abs(a / n - b / m) / spread if spread else 0.0
    if math.erfc(z / math.sqrt(2)) >= SKEWED_LABELS:
        return ""
    return (
        f"labels have come for {a / n:.1%} of its rows and {b / m:.1%} of the champion's: they are not comparable"
    )
