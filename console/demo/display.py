"""The terminal: what happened stays above, what is going on stands below."""

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from console.demo.watch import Line
from local.rehearsal.run import Rehearsal
from local.rehearsal.scenario import END, START

STYLES = {"run": "bold", "traffic": "cyan", "skip": "dim", "world": "yellow"}


class Display:
    """Prints lines that stay, above a few that change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Display":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: Line) -> None:
        """Print a line that stays. Skips are many; the summary has them all."""
        if line.kind != "skip":
            self._console.print(Text(f"{line.at:%d %b %H:%M}  {line.text}", style=STYLES[line.kind]))

    def status(self, rehearsal: Rehearsal, skipped: int, last_skip: str) -> None:
        """Redraw what changes."""
        now, pace = rehearsal.pacer.now(), rehearsal.pacer.pace
        days = (now - START).days
        table = Table.grid(padding=(0, 2))
        table.add_row("clock", f"{now:%a %d %B %Y %H:%M}", f"{pace.speed:,.0f} × real time: {pace.reason}")
        answers, failed = len(rehearsal.requests.answers), rehearsal.requests.failed
        table.add_row("requests", f"{answers:,} flights asked about", f"{failed} requests without an answer")
        table.add_row("labels", f"{rehearsal.replay.progress.loaded:,} rows loaded late", "")
        table.add_row("skipped", f"{skipped} triggers", last_skip[:90])
        bar = ProgressBar(total=(END - START).days, completed=max(0, days), width=60)
        self._live.update(Group(Text(""), bar, table))
