"""The monitor's own BigQuery tables, and how the text of its statements is put together.

``drift_counts`` holds one row per window, deployed model and feature, a partition a day; ``drift_baseline``
says what the cells mean. Values travel as parameters; only names that the model file has already checked
enter a text.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from retraining.errors import BadConfig

COUNTS = "drift_counts"
BASELINES = "drift_baseline"
PARSER = "json_or_null"

Value = datetime | int | float | str

_FOLDER = Path(__file__).parent / "queries"
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Statements(Protocol):
    """Runs statements in BigQuery, labelled as our own and limited in bytes billed."""

    def rows(
        self, text: str, parameters: Mapping[str, Value], purpose: str, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Run one statement with scalar parameters and return its rows; one that would bill more than ``limit``
        bytes fails. Raises Refused, Temporary. The statements of this package may be repeated: the second run finds
        the first one's rows and changes nothing."""

    def estimate(self, text: str, parameters: Mapping[str, Value], purpose: str) -> int:
        """Bytes that the statement would read, without running it; 0 where the server does not say."""


@cache
def text(name: str) -> str:
    """The statement ``queries/<name>.sql``, with places for names in braces."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def quoted(*parts: str) -> str:
    """``project.dataset.table`` in back-ticks. Raises BadConfig when a part is not a plain name."""
    for part in parts:
        if not _PART.fullmatch(part):
            raise BadConfig(f"table name: expected letters, digits, dashes and underscores, got {part!r}")
    return f"`{'.'.join(parts)}`"


def ensure(run: Statements, project: str, dataset: str) -> None:
    """Create the tables that are missing; the dataset must be there. What exists is left as it is.

    For one machine and for tests: in the cloud Terraform creates them, so that the monitor need not be allowed to.
    """
    names = {"counts": COUNTS, "baselines": BASELINES, "parser": PARSER}
    places = {key: quoted(project, dataset, name) for key, name in names.items()}
    for statement in ("create_counts", "alter_counts", "create_baselines", "create_parser"):
        run.rows(text(statement).format_map(places), {}, "drift-tables")
