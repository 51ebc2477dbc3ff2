"""How often the verdicts are wrong, by simulated rollouts that the real functions judge.

Counts are drawn for many rollouts at once. The real function is then called where it could condemn: an arithmetic
twin in numpy finds those looks, generously, and a sample of all looks checks that the twin says the same. In the
deep proof the real function judges every look of every rollout.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retraining import gate, operations_verdict, verdict
from retraining.modelfile import load_models
from retraining.modelspec import ModelSpec
from retraining.operations import Health
from retraining.reports import Evaluation, Paired, Slice
from retraining.rollout_machine import Go, RolloutView, next_step
from retraining.rollouts import Phase, Rollout, Serving, Verdict
from retraining.views import ArmCounts, EndpointView
from tests.prove.report import Part

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "statistics.md"
HOW = "python -m tests.prove.statistics [--deep]"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SPEC: ModelSpec = load_models(ROOT / "models")["flights"]
SHARES = tuple(share for share in SPEC.rollout.steps if share < 100)  # 5, 25, 50
LOOKS = 96  # at each step: 288 in a rollout
REQUESTS = 700  # between two looks: 200,000 in a rollout
LOSSES = np.array([0.02, 0.1, 0.3, 0.7, 1.5, 4.0])  # what single rows lose: few lose much
CHANCES = np.array([0.45, 0.25, 0.15, 0.08, 0.05, 0.02])
PROMISE = 0.05

Counts = NDArray[np.int64]  # rollouts × looks, growing along a step
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """How many of some simulated things came out one way, and what was promised about it."""

    what: str
    hits: int
    of: int
    most: float | None = None
    least: float | None = None
    note: str = ""
    exact: bool = False  # what happens as often as is promised, by construction: no interval lies wholly below

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 percent interval of the share."""
        z, p, n = 1.959964, self.hits / self.of, self.of
        middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)

    @property
    def broken(self) -> str:
        """Why the promise does not hold: the whole interval must keep it."""
        low, high = self.interval
        worst = low if self.exact else high
        if self.most is not None and (self.hits > 0 if self.most == 0 else worst > self.most):
            return f"{self.what}: {self.hits} of {self.of}, at most {self.most:.1%} is promised"
        if self.least is not None and low < self.least:
            return f"{self.what}: {self.hits} of {self.of}, at least {self.least:.1%} is promised"
        return ""

    @property
    def row(self) -> tuple[str, ...]:
        """One line of the table."""
        low, high = self.interval
        promise = "" if self.most is None else "never" if self.most == 0 else f"at most {self.most:.1%}"
        promise = promise or ("" if self.least is None else f"at least {self.least:.0%}")
        seen = f"{self.hits / self.of:.2%} ({low:.2%} to {high:.2%})"
        return self.what, f"{self.of:,}", seen, promise or "shown, not promised", self.note


# What the simulations share ---------------------------------------------------------------------


def first(flags: NDArray[np.bool_]) -> Counts:
    """The first look of each rollout that is flagged, or -1."""
    return np.where(flags.any(axis=1), flags.argmax(axis=1), -1)


def condemned(
    maybe: NDArray[np.bool_], real: Callable[[int, int], bool], every: bool, rng: np.random.Generator
) -> Counts:
    """The first look of each rollout at which ``real`` condemns, or -1.

    Unless ``every``, it is asked where the twin says that it may, and at a few looks where the twin says that it
    will not, which must be so."""
    found = np.full(maybe.shape[0], -1)
    asked = np.ones_like(maybe) if every else maybe
    for one, at in zip(*np.nonzero(asked), strict=True):  # by rollout, then by look
        if found[one] < 0 and real(int(one), int(at)):
            found[one] = at
            if not maybe[one, at]:
                raise AssertionError(f"rollout {one}, look {at}: the twin misses what the real function says")
    if not every:
        rest = np.argwhere(~maybe)
        for one, at in rng.choice(rest, size=min(500, len(rest)), replace=False) if len(rest) else ():
            if real(int(one), int(at)):
                raise AssertionError(f"rollout {one}, look {at}: the twin misses what the real function says")
    return found


def twin(hits: Counts, misses: Counts, chance: float, odds: tuple[float, ...]) -> Numbers:
    """``operations_verdict.evidence`` for arrays."""
    ratios = np.array(odds)
    shift = np.log1p(chance * (ratios - 1))
    terms = hits[..., None] * np.log(ratios) - (hits + misses)[..., None] * shift
    top = terms.max(axis=-1)
    result: Numbers = top + np.log(np.exp(terms - top[..., None]).mean(axis=-1))
    return result


@dataclass(frozen=True)
class Step:
    """Requests and errors of both arms at the looks of one step, for many rollouts."""

    share: int
    ours: Counts
    theirs: Counts
    our_errors: Counts
    their_errors: Counts


def step(
    rng: np.random.Generator, rollouts: int, share: int, rates: tuple[float, float], requests: int, drawn: float = 0
) -> Step:
    """Draw one step. ``rates`` are the error rates of challenger and champion, ``drawn`` the share that the broken
    router really gives to the challenger."""
    ours = rng.binomial(requests, (drawn or share) / 100, size=(rollouts, LOOKS))
    theirs = requests - ours
    errors = rng.binomial(ours, rates[0]), rng.binomial(theirs, rates[1])
    return Step(share, *(np.cumsum(one, axis=1) for one in (ours, theirs, *errors)))


def harmed(spec: ModelSpec, drawn: Step, every: bool, rng: np.random.Generator) -> Counts:
    """The first look of each rollout at which the numbers are taken for harm, or -1."""
    level = operations_verdict.SPENT_ON_ERRORS / operations_verdict.comparing(spec)
    seen = twin(drawn.our_errors, drawn.their_errors, drawn.share / 100, operations_verdict._WORSE)
    maybe = seen > -math.log(level) - 0.01

    def real(one: int, at: int) -> bool:
        ours = Health(int(drawn.ours[one, at]), int(drawn.our_errors[one, at]))
        theirs = Health(int(drawn.theirs[one, at]), int(drawn.their_errors[one, at]))
        return bool(operations_verdict.judge(spec, drawn.share, ours, theirs).harm)

    return condemned(maybe, real, every, rng)


@dataclass(frozen=True)
class Losses:
    """Rows and losses of both arms at the looks of one step."""

    share: int
    ours: tuple[Counts, Numbers, Numbers]  # rows, sum, sum of squares
    theirs: tuple[Counts, Numbers, Numbers]

    def arm(self, which: tuple[Counts, Numbers, Numbers], one: int, at: int) -> ArmCounts:
        """One arm at one look."""
        rows, total, squares = (part[one, at] for part in which)
        return ArmCounts(
            rows=int(rows), invalid=0, labelled=int(rows), loss_sum=float(total), loss_sq_sum=float(squares)
        )


def losses(rng: np.random.Generator, rollouts: int, share: int, harm: float, requests: int) -> Losses:
    """Draw one step in which the challenger's mean loss is higher by ``harm``."""
    moved = harm / (LOSSES[-1] - LOSSES[0])
    worse = CHANCES + np.array([-moved, 0, 0, 0, 0, moved])

    def arm(rows: Counts, chances: Numbers) -> tuple[Counts, Numbers, Numbers]:
        kinds = rng.multinomial(rows, chances).cumsum(axis=1)
        return kinds.sum(axis=-1), kinds @ LOSSES, kinds @ LOSSES**2

    ours = rng.binomial(requests, share / 100, size=(rollouts, LOOKS))
    return Losses(share, arm(ours, worse), arm(requests - ours, CHANCES))


def lossy(spec: ModelSpec, drawn: Losses, every: bool, rng: np.random.Generator) -> Counts:
    """The first look of each rollout at which the losses are taken for harm, or -1."""
    (n, a, aa), (m, b, bb) = drawn.ours, drawn.theirs
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = a / n - b / m
        spread = np.sqrt((aa / n - (a / n) ** 2) / (n - 1) + (bb / m - (b / m) ** 2) / (m - 1))
        z = difference / spread / np.sqrt(np.minimum(n, m))  # in standard deviations of one row
    level = verdict.SPENT_ON_LOSSES / operations_verdict.comparing(spec)
    widths = {int(size): verdict.boundary(int(size), level) for size in np.unique(np.minimum(n, m)) if size > 1}
    wanted = np.vectorize(lambda size: widths.get(int(size), math.inf))(np.minimum(n, m))
    maybe = np.nan_to_num(z, nan=-1) >= 0.999 * wanted

    def real(one: int, at: int) -> bool:
        ours, theirs = drawn.arm(drawn.ours, one, at), drawn.arm(drawn.theirs, one, at)
        return verdict.losses(spec, ours, theirs).verdict is Verdict.WORSE

    return condemned(maybe, real, every, rng)


def strict() -> ModelSpec:
    """The model with a tolerance so small that it forgives nothing."""
    return SPEC.model_copy(update={"rollout": SPEC.rollout.model_copy(update={"tolerance": 1e-9})})


# What is asked ------------------------------------------------------------------------------------


def harmless(rng: np.random.Generator, rollouts: int, every: bool) -> Iterator[Tally]:
    """Two equal models: how often is one rolled back, at 288 looks over three steps?"""
    spec, union = strict(), np.zeros(rollouts, dtype=bool)
    for rate in (0.001, 0.02, 0.1):
        bad = np.zeros(rollouts, dtype=bool)
        for share in SHARES:
            bad |= harmed(spec, step(rng, rollouts, share, (rate, rate), REQUESTS), every, rng) >= 0
        union = bad if rate == 0.02 else union
        what = f"equal models, errors {rate:.1%}: rolled back"
        yield Tally(what, int(bad.sum()), rollouts, most=PROMISE, note="288 looks")
    bad = np.zeros(rollouts, dtype=bool)
    for share in SHARES:
        bad |= lossy(spec, losses(rng, rollouts, share, 0, REQUESTS), every, rng) >= 0
    yield Tally(
        "equal models, losses, no tolerance: rolled back", int(bad.sum()), rollouts, most=PROMISE, note="288 looks"
    )
    both = int((bad | union).sum())
    yield Tally("equal models, errors 2.0% and losses: rolled back", both, rollouts, most=PROMISE, note="288 looks")


def caught(rng: np.random.Generator, rollouts: int) -> Iterator[Tally]:
    """Harm at a share of 10 percent, 96 looks, 200,000 requests: how often and how soon is it seen?"""
    requests = 200_000 // LOOKS
    for rate, least in ((0.024, None), (0.026, 0.8), (0.03, 0.8), (0.04, 0.8), (0.08, 0.8)):
        at = harmed(SPEC, step(rng, rollouts, 10, (rate, 0.02), requests), False, rng)
        yield Tally(
            f"errors 2.0% → {rate:.1%}: rolled back", int((at >= 0).sum()), rollouts, least=least, note=_soon(at)
        )
    for harm, least in ((0.03, None), (0.05, None), (0.1, 0.8), (0.2, 0.8)):
        at = lossy(SPEC, losses(rng, rollouts, 10, harm, requests), False, rng)
        hits = int((at >= 0).sum())
        yield Tally(f"loss 0.29 → {0.29 + harm:.2f}: rolled back", hits, rollouts, least=least, note=_soon(at))


def _soon(at: Counts) -> str:
    """When half of what is caught has been caught, as a share of the sample."""
    seen = at[at >= 0]
    return f"half of them by {(np.median(seen) + 1) / LOOKS:.0%} of the requests" if len(seen) else ""


def split(rng: np.random.Generator, rollouts: int) -> Iterator[Tally]:
    """Do the requests go where the split says?"""

    def alarms(share: int, really: float) -> tuple[Counts, NDArray[np.bool_]]:
        drawn = step(rng, rollouts, share, (0.02, 0.02), REQUESTS, really)
        chance, hits, rest = share / 100, drawn.ours, drawn.theirs
        odds, threshold = operations_verdict._OFF, -math.log(operations_verdict.RATIO_LEVEL / 2) - 0.01
        maybe = (twin(hits, rest, chance, odds) > threshold) | (twin(rest, hits, 1 - chance, odds) > threshold)

        def real(one: int, at: int) -> bool:
            return bool(operations_verdict.shares_off(int(hits[one, at]), int(rest[one, at]), share))

        total = hits + rest
        plain = (hits - total * chance) ** 2 / (total * chance * (1 - chance)) > 10.828  # χ², p < 0.001
        return condemned(maybe, real, False, rng), plain.any(axis=1)

    found = [alarms(share, share) for share in SHARES]
    held = np.logical_or.reduce([at >= 0 for at, _ in found])
    naive = np.logical_or.reduce([plain for _, plain in found])
    most = 0.005
    yield Tally("true split: a step held", int(held.sum()), rollouts, most=most, note="288 looks, all steps")
    yield Tally("the same by χ², p < 0.001 at each look", int(naive.sum()), rollouts, note="why it is not used")
    for share, really, least in ((5, 6.0, 0.95), (5, 10.0, 0.95), (5, 2.5, 0.95), (50, 55.0, 0.95)):
        at, _ = alarms(share, really)
        what = f"split {share} %, really {really:g} %: held"
        yield Tally(what, int((at >= 0).sum()), rollouts, least=least, note=_soon(at))


def late_labels(rng: np.random.Generator, rollouts: int) -> Iterator[Tally]:
    """Equal models; of one, labels of rows with large losses come late."""
    rows, kept, settled = 5000, np.array([0.98, 0.98, 0.95, 0.9, 0.7, 0.4]), 0
    for _ in range(rollouts):
        kinds = rng.multinomial(rows, CHANCES, size=2)
        seen = kinds[0], rng.binomial(kinds[1], kept)
        arms = [
            ArmCounts(
                rows=rows,
                invalid=0,
                requests=rows,
                due=rows,
                labelled=int(one.sum()),
                loss_sum=float(one @ LOSSES),
                loss_sq_sum=float(one @ LOSSES**2),
            )
            for one in seen
        ]
        for ours, theirs in (arms, arms[::-1]):
            settled += not verdict.look(SPEC, ours, theirs, NOW, 50).hold
    yield Tally("labels of large losses late in one arm: a verdict", settled, 2 * rollouts, most=0)


def nothing() -> Iterator[Tally]:
    """Without numbers, or with few, does anything move forward?"""
    limited = SPEC.rollout.model_copy(
        update={"limits": SPEC.rollout.limits.model_copy(update={"max_error_share": 0.1})}
    )
    moved = cases = 0
    for spec in (SPEC, SPEC.model_copy(update={"rollout": limited})):
        for rows in (0, 1, 50, spec.rollout.min_requests - 1, 5000):
            for labelled in {0, rows}:
                for health in (None, Health(0, 0), Health(min(rows, 199), 0)):
                    arm = ArmCounts(rows=rows, invalid=0, labelled=labelled, loss_sum=labelled * 0.1)
                    other = arm.but(rows=5000, labelled=labelled, loss_sum=labelled * 0.3)
                    unseen = health is None or not health.requests
                    enough = rows >= spec.rollout.min_requests and labelled == rows
                    if enough and not (unseen and spec.rollout.limits.any):
                        continue  # this one may move
                    cases += 1
                    moved += _moves(spec, arm, other, health)
    yield Tally("no data or few rows, at the last step: promoted", moved, cases, most=0)


def _moves(spec: ModelSpec, ours: ArmCounts, theirs: ArmCounts, health: Health | None) -> bool:
    """Whether the real machine leaves the last step forward, however long it has waited."""
    number = len(SHARES) - 1
    shares = {"2": SHARES[number], "1": 100 - SHARES[number]}
    record = Rollout(
        endpoint=spec.endpoint,
        model=spec.name,
        phase=Phase.STEP,
        step=number,
        champion=Serving(run_id="old", deployed_id="1"),
        challenger=Serving(run_id="new", deployed_id="2"),
        entered=NOW - spec.rollout.step_deadline - timedelta(days=1),
        confirmed=shares,
        intended=shares,
    )
    serving = operations_verdict.judge(spec, SHARES[number], health, health)
    seen = verdict.look(spec, ours, theirs, NOW, SHARES[number], serving)
    view = RolloutView(NOW, EndpointView("e", "x", {"1": "a", "2": "b"}, shares), look=seen)
    after = next_step(record, spec, view)
    return isinstance(after, Go) and after.phase in (Phase.STEP, Phase.FULL)


def slices(rng: np.random.Generator, evaluations: int) -> Iterator[Tally]:
    """Ten slices, all worse by exactly what is allowed: how often is any called worse? And one that is bad?"""
    error, allowed = 0.001, 2 * SPEC.gate.margin
    level = gate.LEVEL

    def refused(means: Numbers) -> bool:
        pieces = tuple(
            Slice(
                column="carrier",
                value=str(number),
                rows=500,
                candidate={"log_loss": 0.16},
                champion={"log_loss": 0.16},
                difference=Paired(rows=500, clusters=20, mean=float(mean), standard_error=error),
            )
            for number, mean in enumerate(means)
        )
        report = Evaluation(
            run_id="r",
            nonce="n",
            rows=5000,
            candidate={"log_loss": 0.15, "auc": 0.97},
            champion={"log_loss": 0.16, "auc": 0.97},
            difference=Paired(rows=5000, clusters=20, mean=-0.01, standard_error=0.0003),
            slices=pieces,
        )
        return not gate.judge(SPEC, report, forced=False).eligible

    drawn = rng.normal(allowed, error, size=(evaluations, 10))
    hits = sum(refused(means) for means in drawn)
    yield Tally("ten slices at the border: any refused", hits, evaluations, most=PROMISE, note="Holm", exact=True)
    plain = int((drawn > allowed + 1.645 * error).any(axis=1).sum())
    yield Tally(f"the same, each at {level:.0%}", plain, evaluations, note="why they are counted together")
    drawn[:, 0] += 5 * error
    hits = sum(refused(means) for means in drawn)
    yield Tally("one of them worse by 5 standard errors: refused", hits, evaluations, least=0.8)


def proof(deep: bool) -> Part:
    """All questions."""
    rng = np.random.default_rng(20260504)
    rollouts, few = (20_000, 4000) if deep else (4000, 1000)
    tallies = [
        *harmless(rng, rollouts, deep),
        *caught(rng, few),
        *split(rng, rollouts if deep else 4000),
        *late_labels(rng, few),
        *nothing(),
        *slices(rng, 4 * few),
    ]
    return Part(
        title="What the verdicts get wrong",
        header=("what", "simulated", "share (95 % interval)", "promised", ""),
        rows=tuple(tally.row for tally in tallies),
        broken=tuple(text for tally in tallies if (text := tally.broken)),
        how=HOW,
    )


def main() -> int:
    """Run the proof; with ``--write`` put its table into the page. 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.statistics", description=__doc__)
    parser.add_argument("--deep", action="store_true", help="judge every look by the real functions")
    parser.add_argument("--write", action="store_true", help="put the table into docs/statistics.md")
    args = parser.parse_args()
    part = proof(args.deep)
    print(part.text)
    for story in part.broken:
        print(f"broken: {story}")
    if args.write:
        marked = re.compile(r"(<!-- table -->\n).*?(<!-- /table -->)", re.DOTALL)
        PAGE.write_text(marked.sub(lambda found: f"{found[1]}\n{part.text}\n\n{found[2]}", PAGE.read_text()))
    return int(bool(part.broken))


if __name__ == "__main__":
    sys.exit(main())
