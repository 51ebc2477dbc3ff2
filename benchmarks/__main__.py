"""``make bench``: every benchmark, each against a peer or a limit in the same run; one after another."""

import runpy
import sys

BENCHMARKS = tuple(f"benchmarks.{name}" for name in ("imports", "training", "drift", "stack", "scale"))


def main() -> int:
    """Run all, or those named on the command line (imports, training, drift, stack, scale)."""
    wanted = [f"benchmarks.{name}" for name in sys.argv[1:]] or list(BENCHMARKS)
    if unknown := sorted(set(wanted) - set(BENCHMARKS)):
        print(f"{unknown[0]}: expected one of {', '.join(n.split('.')[1] for n in BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in wanted:
        print(f"\n== {name}", flush=True)
        sys.argv = [name]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
