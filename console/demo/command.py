"""From stack to page: plays the rehearsal, shows it, and writes ``summary.json`` and ``report.html``."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from console.collect import collect
from console.demo.checklist import checklist
from console.demo.display import Display
from console.demo.losses import by_week, joined, means, verdict
from console.demo.watch import Line, Watch
from console.report import render
from console.summary import Summary
from local.rehearsal.run import MODELS, Rehearsal, rehearsal
from local.rehearsal.scenario import START
from monitoring.records import history
from retraining.state import read_rollout

DAY_SECONDS = 0.4  # real seconds a day of the replay takes at least


def demo(out: Path, day_seconds: float = DAY_SECONDS) -> int:
    """Play the whole rehearsal; results go to ``out``. 0 when it was played to its end, 130 when it was stopped."""
    began = time.monotonic()
    console = Console()
    out.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    console.print("Starting the local servers; the rehearsal replays the flights of 2013 from New York.")
    with ExitStack() as stack:
        stack.enter_context(_stop_on_signals(stop))
        peers = stack.enter_context(_peers(out))
        played = stack.enter_context(
            rehearsal(out / "stack", out / "data", day_seconds, console.print, stop.is_set)
        )
        console.print(f"Everything is up after {played.stack.seconds:.0f} s.")
        _play(played, console, stop)
        if not stop.is_set():
            summary = _summarise(played, began, peers, out, console)
    if stop.is_set():
        console.print("Stopped; nothing is left running.")
        return 130
    _write(out, summary, console)
    return 0


def _play(played: Rehearsal, console: Console, stop: threading.Event) -> None:
    failure: list[BaseException] = []

    def run() -> None:
        try:
            played.play(stop.is_set)
        except BaseException as error:  # noqa: BLE001 - shown by the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, name="replay", daemon=True)
    thread.start()
    watch, said, last_skip = Watch(played.store, played.spec), 0, ""
    with Display(console) as display:
        while thread.is_alive() and not stop.is_set():
            lines = watch.look()
            world = [Line(played.pacer.now(), "world", text) for text in played.messages[said:]]
            said += len(world)
            for line in [*world, *lines]:
                display.say(line)
                last_skip = line.text if line.kind == "skip" else last_skip
            display.status(played, watch.skipped, last_skip)
            time.sleep(0.25)
    thread.join(timeout=30)
    if failure and not stop.is_set():
        raise failure[0]


def _summarise(
    played: Rehearsal, began: float, peers: "subprocess.Popen[bytes]", out: Path, console: Console
) -> dict[str, Any]:
    console.print("The year is over; comparing with never, a calendar and an oracle.")
    peers.wait(timeout=600)
    if peers.returncode != 0:
        raise RuntimeError(f"the comparison failed, see {out / 'peers.log'}")
    rows = joined(pd.read_parquet(out / "peers.parquet"), played.requests.answers)
    watch = Watch(played.store, played.spec)
    watch.look()
    record, _ = read_rollout(played.store, played.spec.endpoint, played.spec.name)
    return {
        "model": played.spec.name,
        "started": _iso(START),
        "ended": _iso(played.pacer.now()),
        "wall_seconds": round(time.monotonic() - began, 1),
        "verdict": verdict(means(rows)),
        "loss_name": "log_loss",
        "weeks": by_week(rows),
        "drift": _drift(played),
        "happenings": [{"at": _iso(h.at), "what": h.what} for h in played.replay.progress.done],
        "seen": checklist(watch.runs.values(), record),
        **collect(played.store, {played.spec.name: played.spec}),
    }


def _drift(played: Rehearsal) -> list[dict[str, Any]]:
    return [
        {
            "at": _iso(verdict.end),
            "effects": {f.feature: round(f.effect, 4) for f in verdict.findings},
            "flagged": [f.feature for f in verdict.flagged],
            "kind": verdict.kind,
        }
        for verdict in history(played.store, played.spec.name)
    ]


def _write(out: Path, summary: dict[str, Any], console: Console) -> None:
    (out / "summary.json").write_text(json.dumps(summary, indent=1))
    (out / "report.html").write_text(render(Summary.from_json(json.dumps(summary))))
    console.print(summary["verdict"])
    for what, where in summary["seen"].items():
        console.print(f"  {'✓' if where else '✗ not seen:'} {what}  {where}", highlight=False)
    console.print(
        f"{summary['wall_seconds']:.0f} s in all. Open {out / 'report.html'}; all figures: {out / 'summary.json'}"
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@contextmanager
def _peers(out: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The comparison, in a process of its own with low priority."""
    words = [
        "-m",
        "local.rehearsal.peers",
        "--cache",
        out / "data",
        "--models",
        MODELS,
        "--out",
        out / "peers.parquet",
    ]
    with (out / "peers.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *map(str, words)], stdout=log, stderr=log, env=dict(os.environ))
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def _stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask for an orderly end; a second Ctrl-C ends at once."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
