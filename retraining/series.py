"""What is watched of each value of a request: the value itself or, of times and texts, what can be counted of it.

The monitor's SQL, the trainer's arrays and the offline window pass all take names, kinds and meaning from here.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from retraining.modelspec import Feature

What = Literal["value", "hour", "weekday", "age", "length", "script", "tokens"]
Kind = Literal["numeric", "categorical"]
Ranges = tuple[tuple[int, int], ...]  # of code points, ends included

VOCABULARY = 2000  # the most frequent tokens of the training rows
MIN_TOKEN_COUNT = 5  # a rarer token says nothing about the next row
NO_SCRIPT = "none"
# Each script's characters as ranges of code points. Of equals the earlier script counts.
SCRIPTS: dict[str, Ranges] = {
    "latin": ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x24F), (0x1E00, 0x1EFF)),
    "greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "cyrillic": ((0x400, 0x52F),),
    "hebrew": ((0x590, 0x5FF),),
    "arabic": ((0x600, 0x6FF), (0x750, 0x77F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "devanagari": ((0x900, 0x97F),),
    "bengali": ((0x980, 0x9FF),),
    "tamil": ((0xB80, 0xBFF),),
    "thai": ((0xE00, 0xE7F),),
    "hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7AF)),
    "kana": ((0x3040, 0x30FF),),
    "han": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F)),
}
# A word is a run of letters and digits; where words are not set apart by spaces, each character is one.
_RUNS = ((0x30, 0x39), (0x61, 0x7A), (0xC0, 0x1FFF), (0x2C00, 0x2DFF), (0xA000, 0xD7FF), (0xF900, 0xFDFF))
_ALONE = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0x20000, 0x2FA1F))

_PER_TYPE: dict[str, tuple[tuple[What, Kind], ...]] = {
    "numeric": (("value", "numeric"),),
    "categorical": (("value", "categorical"),),
    "boolean": (("value", "categorical"),),
    "timestamp": (("hour", "categorical"), ("weekday", "categorical"), ("age", "numeric")),
    "text": (("length", "numeric"), ("script", "categorical"), ("tokens", "numeric")),
}


def letters(ranges: Ranges) -> str:
    """A class of characters as regular expressions of SQL servers write it; it holds no quote."""
    return "[" + "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in ranges) + "]"


def _letters(ranges: Ranges) -> str:
    return "[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in ranges) + "]"


WORD = f"{letters(_ALONE)}|{letters(_RUNS)}+"  # of text whose letters A to Z are in lower case
_WORD = re.compile(f"{_letters(_ALONE)}|{_letters(_RUNS)}+")
_SCRIPTS = {name: re.compile(_letters(ranges)) for name, ranges in SCRIPTS.items()}
_LOWER = {place: place + 32 for place in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True)
class Series:
    """One thing to count of one feature.

    hour, weekday: of a time, in UTC; Monday is 1. age: whole seconds from the time to the request.
    length: characters. script: the one most letters are of. tokens: how many in a hundred of the text's words the
    vocabulary of the training rows lacks, rounded down; missing where there is no word.
    """

    name: str  # the feature's own where its value is counted, else <feature>:<what>
    feature: str
    what: What
    kind: Kind


def series(name: str, feature: Feature) -> tuple[Series, ...]:
    """What is watched of one feature."""
    return tuple(
        Series(name if what == "value" else f"{name}:{what}", name, what, kind)
        for what, kind in _PER_TYPE[feature.type]
    )


def script(text: str) -> str:
    """The script that most letters of ``text`` are of; ``none`` where it has no letter of a known one."""
    if text.isascii():
        return "latin" if _SCRIPTS["latin"].search(text) else NO_SCRIPT
    found = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    most = max(found, key=lambda name: found[name])
    return most if found[most] else NO_SCRIPT


def tokens(text: str) -> list[str]:
    """The words of ``text``, A to Z in lower case; other letters keep theirs: servers differ in lowering them."""
    return _WORD.findall(text.translate(_LOWER))


def unknown(found: Collection[str], vocabulary: Collection[str]) -> int | None:
    """How many in a hundred tokens are not in the vocabulary, rounded down; None without tokens."""
    return 100 * sum(token not in vocabulary for token in found) // len(found) if found else None
