"""The local stack: seconds until everything is up, and memory when idle, beside their limits."""

import json
import os
import tempfile
import time
from pathlib import Path

from local.stack.stack import Stack

LIMIT_SECONDS, LIMIT_MIB = 15.0, 3072.0


def tree_mib(root: int) -> float:
    """Resident memory in MiB of a process and all below it; memory that is shared counts in each."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    total, queue = 0.0, [root]
    while queue:
        pid = queue.pop()
        queue += children.get(pid, [])
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return total


def main() -> None:
    """Start twice (the second time with everything compiled), measure, print a table and JSON."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            with Stack(Path(folder) / "state", fresh=True) as stack:
                time.sleep(5)
                figures.append({"start": number, "seconds": stack.seconds, "mib": round(tree_mib(os.getpid()))})
    print(f"{'start':>6} {'seconds':>8} {'limit':>6} {'MiB':>6} {'limit':>6}")
    for one in figures:
        print(f"{one['start']:>6} {one['seconds']:>8.1f} {LIMIT_SECONDS:>6.0f} {one['mib']:>6} {LIMIT_MIB:>6.0f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
