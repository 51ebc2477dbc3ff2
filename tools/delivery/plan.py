"""From changed paths to what must be delivered: a pure decision.

Every path of the repository falls under a rule. One that falls under none asks for everything: a forgotten rule may
cost a build, never a delivery.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase

# The first rule that fits a path decides. "*" also stands for "/".
RULES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (pattern, frozenset(asked.split()))
    for pattern, asked in (
        ("*.md", "docs"),
        ("docs/*", "docs"),
        ("LICENSE", "docs"),
        ("tests/*", ""),
        ("tools/*", ""),
        ("local/*", ""),
        ("console/*", ""),
        ("benchmarks/*", ""),
        (".github/*", ""),
        (".ci/*", ""),
        ("cloudbuild/*", ""),
        ("*CODEOWNERS", ""),
        (".gitignore", ""),
        (".gitattributes", ""),
        (".gcloudignore", ""),
        ("Makefile", ""),
        ("pyproject.toml", ""),
        ("requirements*.in", ""),  # what is compiled from them decides
        ("requirements-*.txt", ""),
        ("trainer/requirements.in", ""),
        ("trainer/requirements.txt", "image"),
        ("trainer/Dockerfile", "image"),
        (".dockerignore", "image"),
        ("trainer/*.py", "modules"),
        ("models/*.yaml", "modules"),
        ("retraining/*.py", "modules archive"),
        ("functions/*", "archive"),
        ("gcp/*", "archive"),
        ("monitoring/*", "archive"),
        ("requirements.txt", "archive"),
        ("terraform/*", "terraform"),
    )
)
EVERYTHING = frozenset({"image", "archive", "terraform", "modules"})
# Sections of a model file that jobs and functions read and no infrastructure follows from.
_INSIDE = frozenset(
    "description features split training tuning policy checks gate rollout machines monitoring".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Plan:
    """What to deliver; ``reasons`` names paths for each part."""

    image: bool = False  # build the container of jobs and servers
    archive: bool = False  # the functions' own code changed
    terraform: bool = False  # apply; also how an image or an archive arrives
    modules: bool = False  # copy changed modules and model files to the bucket
    docs_only: bool = False  # nothing but documents changed
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def deliver(self) -> bool:
        """Whether there is anything to do."""
        return self.image or self.archive or self.terraform or self.modules

    def lines(self) -> list[str]:
        """``key=true`` or ``key=false`` for each part, as GITHUB_OUTPUT and shells read it."""
        flags = {name: value for name, value in asdict(self).items() if isinstance(value, bool)}
        flags["deliver"] = self.deliver
        return [f"{name}={str(value).lower()}" for name, value in flags.items()]


def everything(why: str) -> Plan:
    """The plan when nobody knows what changed."""
    return Plan(True, True, True, True, reasons=dict.fromkeys(sorted(EVERYTHING), (why,)))


def decide(paths: Iterable[str], serving: frozenset[str], reshaped: frozenset[str]) -> Plan:
    """The plan for changed ``paths``.

    ``serving``: files that run in the image even when jobs take theirs from the bucket. ``reshaped``: model files
    that infrastructure follows from in a new way.
    """
    changed = sorted(set(paths))
    asked: dict[str, list[str]] = {}
    for path in changed:
        for part in _asked(path, serving, reshaped):
            asked.setdefault(part, []).append(path)
    docs_only = bool(changed) and set(asked) == {"docs"} and len(asked["docs"]) == len(changed)
    return Plan(
        image="image" in asked,
        archive="archive" in asked,
        terraform=bool(asked.keys() & {"image", "archive", "terraform"}),
        modules="modules" in asked,
        docs_only=docs_only,
        reasons={part: tuple(found) for part, found in sorted(asked.items()) if part != "docs"},
    )


def _asked(path: str, serving: frozenset[str], reshaped: frozenset[str]) -> frozenset[str]:
    asked = next((parts for pattern, parts in RULES if fnmatchcase(path, pattern)), EVERYTHING)
    if path in serving:
        asked |= {"image"}
    if path in reshaped:
        asked |= {"terraform"}
    return asked


def reshapes(before: str | None, after: str | None) -> bool:
    """Whether a model file changed outside the sections that only jobs and functions read; None: there was none."""
    if before is None or after is None:
        return True
    old, new = _sections(before), _sections(after)
    return any(old.get(name) != new.get(name) for name in old.keys() | new.keys() if name not in _INSIDE)


def _sections(text: str) -> dict[str, str]:
    """A model file's top-level fields as text, without comments. What stands before the first is a field too."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if match := re.match(r"([A-Za-z_]\w*)\s*:", line):
            name = match[1]
        found[name] = found.get(name, "") + line.rstrip() + "\n"
    return found
