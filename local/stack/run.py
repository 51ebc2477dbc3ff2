"""Running a whole stack in this process: take its folder, choose ports, supervise until told to stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from local.stack import strays
from local.stack.layout import MARKER, Layout
from local.stack.options import Options, settings
from local.stack.ports import HOST, PortInUse, choose
from local.stack.resources import ROOT, load_resources
from local.stack.servers import PORTS, environment, table
from local.stack.status import Phase, Status
from local.stack.supervisor import StartFailed, Supervisor
from retraining.errors import BadConfig
from retraining.modelfile import load_models


class AlreadyRunning(Exception):
    """Another process runs this stack."""


def run(folder: Path, *, fresh: bool, leased: bool, report: Callable[[str], None]) -> None:
    """Run the stack in ``folder`` with the options kept there until SIGTERM or SIGINT.

    ``fresh`` forgets all that was stored; ``leased`` also stops when standard input closes.

    Raises:
        AlreadyRunning: another process runs it; nothing was touched.
        BadConfig, PortInUse, StartFailed: it cannot run; the status file says the same.
    """
    layout = Layout.at(folder)
    lock = layout.lock()
    if lock is None:
        raise AlreadyRunning(f"the stack in {layout.root} runs already")
    try:
        strays.end_strays(MARKER, str(layout.root))  # left over where the guard was killed as well
        options = Options.read(layout.options)
        if fresh:
            layout.wipe()
            options.write(layout.options)
        _supervisor(layout, options, report).run(leased=leased)
    except (BadConfig, PortInUse, StartFailed) as error:
        replace(Status.read(layout.status), phase=Phase.FAILED, pid=0, error=str(error)).write(layout.status)
        raise
    finally:
        lock.close()


def _supervisor(layout: Layout, options: Options, report: Callable[[str], None]) -> Supervisor:
    resources = load_resources().with_crons(options.crons)
    load_models(ROOT / options.models)  # a mistake in a model file is better told now, by name
    ports = choose(PORTS, layout=layout, pinned=options.ports, report=report)
    options.start_clock(layout)
    own = settings(options, layout, f"{HOST}:{ports['vertex']}")
    return Supervisor(
        table(resources, own, layout, ports, options.crons),
        layout=layout,
        ports=ports,
        env=environment(options, layout, ports),
        folder=ROOT,
        report=report,
    )
