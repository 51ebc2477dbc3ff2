"""What a proof has to say: a table, and whether every promise held."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Part:
    """The outcome of one proof."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    broken: tuple[str, ...] = ()  # one readable story for each promise that did not hold
    how: str = ""  # the command that makes this table again
    notes: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The table in Markdown."""
        lines = [f"### {self.title}", "", f"| {' | '.join(self.header)} |", f"|{'---|' * len(self.header)}"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        lines += ["", *self.notes, f"Again: `{self.how}`"] if self.how else []
        return "\n".join(lines)


Proof = Callable[[bool], Part]
"""Runs one proof; True asks for the deep one, which may take an hour."""
