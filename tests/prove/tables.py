"""Every case of the two pure machines, one after the other: a decision is either in the tables or it is wrong.

Nothing is drawn by chance. A table is a product of small lists, each of which holds the values on both sides of
every boundary that a decision depends on; the splits of a full endpoint are all 5,151.
"""

import time
from collections.abc import Callable, Iterator

from tests.prove import rollout_cases, rollout_rules, run_cases, run_rules
from tests.prove.report import Part

HOW = "python -m tests.prove --only tables [--deep]"
MAX_STORIES = 20


def proof(deep: bool) -> Part:
    """All tables."""
    tables: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
        ("rollout: records, endpoints, asks and looks", lambda: _rollouts(rollout_cases.grid(deep))),
        ("rollout: all 5,151 splits of three models", lambda: _rollouts(rollout_cases.all_splits(deep))),
        ("rollout: past its deadline, the world silent", lambda: _silent_rollouts(deep)),
        ("run: records and views", lambda: _runs(deep)),
        ("run: past its deadline, the world silent", _silent_runs),
    )
    rows: list[tuple[str, ...]] = []
    broken: list[str] = []
    total, spent = 0, 0.0
    for title, table in tables:
        begun, cases, wrong = time.process_time(), 0, 0
        for said in table():
            cases += 1
            wrong += bool(said)
            if said and len(broken) < MAX_STORIES:
                broken.append(f"{title}: {said}")
        seconds = time.process_time() - begun
        rows.append((title, f"{cases:,}", f"{seconds:.0f}", f"{wrong:,}"))
        total, spent = total + cases, spent + seconds
    rows.append(("all", f"{total:,}", f"{spent:.0f}", f"{sum(int(r[3].replace(',', '')) for r in rows):,}"))
    return Part(
        title="Every case of the decisions",
        header=("table", "cases", "CPU seconds", "violations"),
        rows=tuple(rows),
        broken=tuple(broken),
        how=HOW,
    )


def _rollouts(cases: Iterator[rollout_cases.Case]) -> Iterator[str]:
    for case in cases:
        yield rollout_rules.wrong(case)


def _silent_rollouts(deep: bool) -> Iterator[str]:
    for case in rollout_cases.silent(deep):
        for refused in (False, True):
            yield rollout_rules.stuck(case, refused=refused)


def _runs(deep: bool) -> Iterator[str]:
    for case in run_cases.grid(deep):
        yield run_rules.wrong(case)


def _silent_runs() -> Iterator[str]:
    for case in run_cases.silent():
        for refused in (False, True):
            yield run_rules.stuck(case, refused=refused)
