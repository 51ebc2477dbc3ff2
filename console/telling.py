"""A story as text for people."""

from rich.console import Console
from rich.table import Table

from retraining.story import Story


def print_story(told: Story) -> None:
    """Print every part that the story has."""
    console = Console(highlight=False, markup=False)
    now = ", serves now" if told.serves_now else ""
    console.print(f"{told.run_id}  {told.model} ({told.owner}): {told.state}{now}", style="bold")
    _list(
        console,
        "asked for by",
        [
            f"{t.at:%Y-%m-%d %H:%M} {t.kind.value}: {t.reason}" + (f" (by {t.actor})" if t.actor else "")
            for t in told.triggers
        ],
    )
    if told.more_triggers:
        console.print(f"    and {told.more_triggers} more")
    _list(console, "decided", [told.decision] if told.decision else [])
    _list(console, "data", _data(told))
    _list(console, f"parameters, {told.parameters_from}", [f"{k} = {v}" for k, v in told.parameters.items()])
    _list(
        console,
        "jobs",
        [
            f"{j.kind} attempt {j.attempt}: {j.state.value} in {j.seconds:.0f} s {j.name} {j.error}"
            for j in told.jobs
        ],
    )
    if told.candidate:
        console.print(_metrics(told))
    _list(console, "gate", list(told.gate.reasons) if told.gate else [])
    _list(
        console,
        "people",
        [
            text
            for text in (
                f"approved by {told.approved_by}" if told.approved_by else "",
                f"cancelled by {told.cancelled_by}" if told.cancelled_by else "",
            )
            if text
        ],
    )
    _list(console, "life", list(told.life))
    _list(
        console,
        "traffic",
        [
            f"{s.at:%Y-%m-%d %H:%M}  {s.phase.value}: {s.reason}"
            + (f" ({', '.join(f'{k} {v} %' for k, v in s.split.items())})" if s.split else "")
            + (f" by {s.by}" if s.by else "")
            for s in told.traffic
        ],
    )
    _list(console, "outcome", [f"{told.outcome.result}: {told.outcome.reason}"] if told.outcome else [])
    _list(console, "money", [f"{told.spent:.4f} spent of {told.reserved:.2f} reserved"] if told.reserved else [])
    _list(console, "digests", [f"{name}: {value}" for name, value in told.digests.items()])
    if told.serves_now and told.previous:
        console.print(f"  a rollback would bring back {told.previous}")


def _list(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(f"  {title}", style="bold")
        for line in lines:
            console.print(f"    {line}")


def _data(told: Story) -> list[str]:
    lines = [f"{told.data_rows} new rows were checked"] if told.data_rows is not None else []
    lines += [f"problem: {text}" for text in told.data_problems]
    if told.snapshot is not None:
        s = told.snapshot
        rows = ", ".join(f"{count} {part}" for part, count in s.rows.items())
        lines.append(f"frozen: {rows} rows of {s.first:%Y-%m-%d} to {s.last:%Y-%m-%d} in {s.uri}")
    return lines


def _metrics(told: Story) -> Table:
    title = f"  compared on the same {told.compared_rows} fresh rows with {told.champion_run or 'nobody'}"
    table = Table("    metric", "candidate", "champion", title=title, title_justify="left", box=None)
    for name, value in told.candidate.items():
        other = told.champion.get(name)
        table.add_row(f"    {name}", f"{value:.5f}", "" if other is None else f"{other:.5f}")
    return table
