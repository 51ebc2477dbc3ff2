"""``python -m tools.delivery --last FILE --head COMMIT``: what to deliver, for GITHUB_OUTPUT, shells and people."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.delivery.changes import NotAnswered, Overtaken, plan

NOBODY = "0" * 40  # how git and GitHub write "no commit"
SHOWN = 5


def last_delivery(file: Path) -> str:
    """The commit in ``file``, which the last delivery wrote; zeros when there is none or it cannot be read."""
    try:
        return str(json.loads(file.read_text())["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        return NOBODY


def main(words: Sequence[str] | None = None) -> int:
    """Print the plan. Exit code 2: there is no such commit, or a newer one was delivered already."""
    parser = argparse.ArgumentParser(prog="python -m tools.delivery", description=__doc__)
    base = parser.add_mutually_exclusive_group(required=True)
    base.add_argument("--base", help="commit that was delivered before; zeros: none")
    base.add_argument("--last", type=Path, help='file of the last delivery: {"commit": ...}; may be missing')
    parser.add_argument("--head", default="HEAD", help="commit to deliver")
    parser.add_argument("--repository", type=Path, default=Path(), help="folder of the repository")
    parser.add_argument("--json", action="store_true", help="JSON instead of lines")
    args = parser.parse_args(words)
    try:
        found = plan(args.repository, args.base or last_delivery(args.last), args.head)
    except (NotAnswered, Overtaken) as error:
        print(f"delivery: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps({**asdict(found), "deliver": found.deliver}))
    else:
        print("\n".join(found.lines()))
    for part, paths in found.reasons.items():
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        print(f"{part}: {', '.join(ascii(path)[1:-1] for path in paths[:SHOWN])}{more}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
