"""``python -m console.report SUMMARY.json OUT.html``: write the page of a summary."""

import sys
from pathlib import Path

from console.report import render
from console.summary import Summary
from retraining.errors import BadRecord


def main() -> int:
    """0 when the page was written, 2 when the summary cannot be read."""
    if len(sys.argv) != 3:
        print("expected two files: python -m console.report SUMMARY.json OUT.html", file=sys.stderr)
        return 2
    try:
        page = render(Summary.from_json(Path(sys.argv[1]).read_bytes()))
    except (OSError, BadRecord, ValueError) as error:  # ValueError: a time that is not ISO
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 2
    Path(sys.argv[2]).write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
