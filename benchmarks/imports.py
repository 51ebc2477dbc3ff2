"""What a cold start pays for each way through the functions: ``python -m benchmarks.imports``.

Each path is imported in fresh processes, after one warm-up that fills the byte-code cache; the median counts. A
path ends where its clients are imported and before any is connected: the network is not ours to measure.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RUNS = 5

_TRIGGERS = ("functions.main",)
_ROWS = ("gcp.bigquery", "gcp.warehouse")
_PUBSUB = ("gcp.bus", "google.cloud.pubsub_v1")
PATHS: dict[str, tuple[str, ...]] = {
    "bare interpreter": (),
    "functions_framework alone": ("functions_framework",),
    "on_data, on_drift, on_schedule, on_manual": _TRIGGERS,
    "on_data, watermark tick": (*_TRIGGERS, *_ROWS),
    "on_tick": (*_TRIGGERS, "retraining.run_loop", "gcp.jobs", "gcp.artifacts", *_ROWS, *_PUBSUB),
    "on_candidate": (
        *_TRIGGERS,
        "retraining.rollout_loop",
        "gcp.endpoints",
        "gcp.operations",
        "gcp.registry",
        "gcp.artifacts",
        *_ROWS,
    ),
    "on_monitor": (*_TRIGGERS, "monitoring.handler", "gcp.artifacts", *_ROWS, *_PUBSUB),
    "peer: the high-level SDK, google.cloud.aiplatform": ("google.cloud.aiplatform",),
}
_PROBE = """
import json, resource, sys, time
begin = time.perf_counter()
{code}
seconds = time.perf_counter() - begin
kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
heavy = [name for name in {heavy} if name in sys.modules]
print(json.dumps(dict(seconds=seconds, rss_mib=kib / 1024, modules=len(sys.modules), heavy=heavy)))
"""
_HEAVY = (
    "google.cloud.bigquery",
    "google.cloud.aiplatform_v1",
    "google.cloud.pubsub_v1",
    "pandas",
    "pyarrow",
    "numpy",
)


def measure(modules: tuple[str, ...], runs: int = RUNS) -> dict[str, object]:
    """Median seconds and memory of importing ``modules`` in fresh processes, modules loaded, and which heavy ones.

    A path that cannot be imported gives its error's last line instead.
    """
    probe = _PROBE.format(code="\n".join(f"import {name}" for name in modules), heavy=_HEAVY)
    found = []
    for _ in range(runs + 1):
        done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return {"error": done.stderr.strip().splitlines()[-1]}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    counted = found[1:]
    return {
        "seconds": round(statistics.median(one["seconds"] for one in counted), 3),
        "rss_mib": round(statistics.median(one["rss_mib"] for one in counted)),
        "modules": counted[-1]["modules"],
        "heavy": counted[-1]["heavy"],
    }


def table(results: dict[str, dict[str, object]]) -> str:
    """The results as lines of text."""
    lines = [f"{'path':54} {'s':>6} {'MiB':>5} {'modules':>8}  heavy"]
    for name, one in results.items():
        if "error" in one:
            lines.append(f"{name:54} {one['error']}")
            continue
        heavy = ", ".join(str(item).rpartition(".")[2] for item in one["heavy"])  # type: ignore[attr-defined]
        lines.append(f"{name:54} {one['seconds']:>6} {one['rss_mib']:>5} {one['modules']:>8}  {heavy}")
    return "\n".join(lines)


def main() -> None:
    """Measure every path and print a table and JSON."""
    parser = argparse.ArgumentParser(description="Measure imports of every entry point.")
    parser.add_argument("--runs", type=int, default=RUNS, help="fresh processes per path, after one warm-up")
    runs: int = parser.parse_args().runs
    results = {name: measure(modules, runs) for name, modules in PATHS.items()}
    print(table(results))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
