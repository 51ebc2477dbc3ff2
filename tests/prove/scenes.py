"""What a simulated year asks for: a row of scenes, each eighteen days long, drawn from a seed.

In a *calm* scene one fact is told (perhaps many times) and everything outside behaves in one way from beginning to
end, so that it is known beforehand how the fact's run must end, whatever faults come. In a *wild* scene facts
of all kinds, storms, people and changes of everything come at any time; how its runs end depends on the moment.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from retraining.records import RunState
from retraining.triggers import Ask, Kind
from tests.prove.living import FEEDS
from tests.prove.world import Setting
from tests.unit.build import DAY, HOUR

LENGTH = 17 * DAY  # and a day of rest
LEAD = 2 * DAY  # before the fact of a calm scene is told
SCENES = 20

PROMOTED, ROLLED_BACK, FAILED = RunState.PROMOTED, RunState.ROLLED_BACK, RunState.FAILED


@dataclass(frozen=True)
class Told:
    """A fact and when it is told, from the beginning of its scene."""

    at: timedelta
    key: str
    kind: Kind
    changes: Mapping[str, Any] = field(default_factory=dict)
    again: tuple[timedelta, ...] = ()  # after the first time


@dataclass(frozen=True)
class Act:
    """What a person does, or what changes, and when."""

    at: timedelta
    what: str
    setting: Setting | None = None


@dataclass(frozen=True)
class Scene:
    """What happens in eighteen days."""

    number: int
    theme: str
    setting: Setting
    facts: tuple[Told, ...]
    ends: frozenset[RunState] = frozenset()  # how the fact of a calm scene may end; empty in a wild one
    acts: tuple[Act, ...] = ()

    @property
    def calm(self) -> bool:
        """See the module."""
        return bool(self.ends)


THEMES: dict[str, tuple[Setting, frozenset[RunState], dict[str, Any]]] = {
    "good": (Setting(), frozenset({PROMOTED}), {}),
    "better": (Setting(live=-0.02), frozenset({PROMOTED}), {}),
    "tuned": (Setting(), frozenset({PROMOTED}), {"ask": Ask.TUNE}),
    "worse on the hold-out": (Setting(difference=0.02), frozenset({RunState.REJECTED}), {}),
    "harmful in use": (Setting(live=0.1), frozenset({ROLLED_BACK}), {}),
    "nobody asks": (Setting(traffic=False), frozenset({ROLLED_BACK}), {}),
    "training fails once": (Setting(fates={("train", 1): "fails"}), frozenset({PROMOTED}), {}),
    "training fails late": (Setting(fates={("train", 1): "fails late"}), frozenset({PROMOTED}), {}),
    "training fails": (Setting(fates={("train", 1): "fails", ("train", 2): "fails late"}), frozenset({FAILED}), {}),
    "training fails for good": (Setting(fates={("train", 1): "fails for good"}), frozenset({FAILED}), {}),
    "training never starts": (Setting(fates={("train", 1): "never starts"}), frozenset({FAILED}), {}),
    "training never ends": (Setting(fates={("train", 1): "never ends"}), frozenset({FAILED}), {}),
    "training writes nothing": (Setting(fates={("train", 1): "says nothing"}), frozenset({FAILED}), {}),
    "tuning fails": (Setting(fates={("tune", 1): "fails for good"}), frozenset({FAILED}), {"ask": Ask.TUNE}),
    "evaluation writes nothing": (Setting(fates={("evaluate", 1): "says nothing"}), frozenset({FAILED}), {}),
    "evaluation fails once": (Setting(fates={("evaluate", 1): "fails"}), frozenset({PROMOTED}), {}),
    # An answer lost twice uses both attempts up: giving up is allowed then.
    "a deploy fails once": (Setting(failing_deploys=1), frozenset({PROMOTED, ROLLED_BACK}), {}),
    "deploys fail": (Setting(failing_deploys=9), frozenset({ROLLED_BACK}), {}),
    "only asked": (Setting(), frozenset({RunState.SKIPPED}), {"dry_run": True}),
    **{f"broken feed, {how}": (Setting(feed=how), frozenset({RunState.BLOCKED_DATA}), {}) for how in FEEDS},
}
PEOPLE = ("pause", "resume", "approve", "cancel", "roll back", "set the split by hand")


def scenes(seed: int) -> list[Scene]:
    """A year of them. The first and the last are good, so that there is a champion whom the end can tell of."""
    chance = random.Random(f"scenes {seed}")
    found = [_calm(chance, 0, "good", Kind.MANUAL)]
    for number in range(1, SCENES - 1):
        if chance.random() < 0.3:
            found.append(_wild(chance, number))
        else:
            # Only after a calm scene is it certain that no cooldown is left over.
            kind = chance.choice(list(Kind)) if found[-1].calm else Kind.MANUAL
            found.append(_calm(chance, number, chance.choice(list(THEMES)), kind))
    found.append(_calm(chance, SCENES - 1, "good", Kind.MANUAL))
    return found


def _calm(chance: random.Random, number: int, theme: str, kind: Kind) -> Scene:
    setting, ends, changes = THEMES[theme]
    if "ask" in changes:
        kind = Kind.MANUAL
    fact = Told(LEAD, f"{kind.value}|{number}", kind, changes, _again(chance))
    return Scene(number, theme, setting, (fact,), ends)


def _again(chance: random.Random) -> tuple[timedelta, ...]:
    """A fact is told twice within seconds, or days later, or after months."""
    soon = tuple(chance.choice((1, 60, 7200)) * timedelta(seconds=1) for _ in range(chance.randrange(3)))
    return (*soon, chance.uniform(20, 200) * DAY) if chance.random() < 0.3 else soon


def _wild(chance: random.Random, number: int) -> Scene:
    facts = [_any(chance, f"{number}-{n}") for n in range(chance.randint(2, 6))]
    if chance.random() < 0.3:
        at, kind = chance.uniform(0, 9) * DAY, chance.choice((Kind.DATA, Kind.DRIFT))
        storm = (at + chance.uniform(0, 1) * HOUR for _ in range(50))
        facts += [Told(when, f"{kind.value}|{number}-storm-{n}", kind) for n, when in enumerate(storm)]
    acts = [Act(chance.uniform(0, 10) * DAY, chance.choice(PEOPLE)) for _ in range(chance.randint(1, 6))]
    for _ in range(chance.randint(1, 4)):
        setting, _ends, _changes = THEMES[chance.choice(list(THEMES))]
        acts.append(Act(chance.uniform(0, 10) * DAY, "change", setting))
    return Scene(number, "wild", Setting(), tuple(facts), acts=tuple(acts))


def _any(chance: random.Random, name: str) -> Told:
    kind = chance.choice(list(Kind))
    changes: dict[str, Any] = {}
    if kind is Kind.MANUAL:
        changes = {
            "ask": chance.choice(list(Ask)),
            "force": chance.random() < 0.2,
            "dry_run": chance.random() < 0.1,
        }
    return Told(chance.uniform(0, 9) * DAY, f"{kind.value}|{name}", kind, changes, _again(chance))
