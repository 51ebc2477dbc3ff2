"""``python -m local.recording.table``: write the table of permissions into docs/security.md.

Tests hold the file of grants against the recorded calls, both ways, so the table says what is granted and what is
used. With ``--check`` nothing is written; the exit code is 1 when the page is not current.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.recording.grants import Grant, Grants, load_grants
from local.stack.resources import ROOT

PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- permissions -->", "<!-- /permissions -->"

_PLACES = {
    "project": "the project",
    "state": "state bucket",
    "artifacts": "artefact bucket",
    "dataset": "own dataset",
    "sources": "source datasets",
}


class NoPlace(Exception):
    """The page has no place for the table."""


def table(grants: Grants) -> str:
    """The grants as a Markdown table, one line for each."""
    lines = ["| Account | On | May |", "|---|---|---|"]
    for account, own in grants.items():
        shown = f"`{account}`"
        for line in _lines(own):
            lines.append(f"| {shown} | {line} |")
            shown = ""
    return "\n".join(lines)


def _lines(own: Mapping[str, Grant]) -> Iterator[str]:
    for grant in own.values():
        yield f"{_place(grant)} | {', '.join(f'`{permission}`' for permission in grant.may)}"


def _place(grant: Grant) -> str:
    kind, _, name = grant.where.partition("/")
    place = f"{kind} `{name}`" if name else _PLACES[kind]
    return f"{place}: {', '.join(f'`{folder}/`' for folder in grant.under)}" if grant.under else place


def with_table(page: str, content: str) -> str:
    """The page with the table between its marks. Raises NoPlace."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlace(f"expected {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def main() -> int:
    """Read the command line; 0 when the page is current."""
    parser = argparse.ArgumentParser(prog="python -m local.recording.table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when the page is not current")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    page = options.page.read_text()
    try:
        wanted = with_table(page, table(load_grants()))
    except NoPlace as error:
        print(f"{options.page}: {error}", file=sys.stderr)
        return 1
    if options.check:
        return int(page != wanted)
    options.page.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
