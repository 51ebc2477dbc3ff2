"""Is the live feed broken? Asked of every window before drift is: a fault says nothing about the world.

Volume, freshness and repeated rows are of the whole window; the rest is asked of each input. A cut-off day ends
early, a quiet one does not, and growth is no fault.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from statistics import median, pstdev

from monitoring.baseline import Definitions
from monitoring.counts import Counts
from monitoring.feed_inputs import FEW_ROWS, FEW_WINDOWS, Fault, of_input
from retraining.record import Record

FEED = "(feed)"  # what is wrong with all rows, and not with one input
LABELS = "(labels)"
REPEATS = 0.02  # share of repeated rows beyond the usual
SILENCE = 4.0  # times as long as the longest ordinary silence at the end of a window
VOLUME = 0.4  # of the usual rows
QUIET = 4.0  # standard deviations of the logarithm of ordinary volumes
LABELLED = 0.75  # of the usual share of labels


class Arrival(Record):
    """How the rows of one window arrived."""

    start: datetime
    volume: int  # instances asked for: logged ones, corrected for sampling, repeated ones too
    rows: int  # instances logged
    repeats: int = 0  # of them, those that had been logged before in the window: by request, or by key
    silence_s: int = 0  # from the last row to the end of the window
    unknown_rows: int = 0  # whose payload holds a name that the model file does not know
    unknown: dict[str, int] = {}  # such names → rows, where they were asked for; the most frequent
    faults: tuple[str, ...] = ()  # what was broken, a sentence each
    muted: bool = False  # traffic was moving between models: it says nothing about ordinary windows
    seen: bool = True  # whether it is known how the rows came; else silence and repeats say nothing

    @property
    def ordinary(self) -> bool:
        """Whether later windows may be compared with it."""
        return not self.faults and not self.muted


@dataclass(frozen=True)
class Feed:
    """One window: how its rows arrived (None: not known), and what was in them."""

    start: datetime
    length: timedelta
    counts: Mapping[str, Counts]
    arrival: Arrival | None = None

    @property
    def volume(self) -> int:
        """Rows, by whoever knows best."""
        return self.arrival.volume if self.arrival else self.rows

    @property
    def rows(self) -> int:
        """Counted rows; every input sees each of them."""
        return max((one.n for one in self.counts.values()), default=0)

    @property
    def seen(self) -> Arrival | None:
        """How its rows came, where there were any and that is known."""
        return self.arrival if self.arrival and self.arrival.seen and self.arrival.rows else None

    @property
    def phase(self) -> int:
        """Its place in the week, by windows."""
        monday = self.start - timedelta(days=self.start.weekday())
        return (self.start - monday.replace(hour=0, minute=0, second=0, microsecond=0)) // self.length


def faults(
    definitions: Definitions, window: Feed, ordinary: Sequence[Feed], names: Sequence[str]
) -> tuple[Fault, ...]:
    """Everything that is broken in the window; empty when the feed looks sound.

    Args:
        ordinary: earlier windows without faults, in any order; eight weeks of them are plenty.
        names: the inputs that a request must have.
    """
    found = [*_volume(window, ordinary)]
    if window.rows < FEW_ROWS:
        return tuple(found)
    found += [*_freshness(window, ordinary), *_duplicates(window, ordinary)]
    known = definitions.features
    for name, counts in window.counts.items():
        if name in known and known[name].kind != "pair":
            earlier = [one.counts[name] for one in ordinary if name in one.counts and one.counts[name].n]
            found += of_input(known[name], counts, earlier)
    return tuple(_told_once(found, window, names))


def label_faults(labelled: Sequence[tuple[int, int]]) -> tuple[Fault, ...]:
    """What is wrong with the labels. ``labelled``: rows whose label is due, and labels that came, of days in order
    with the newest last."""
    if not labelled or labelled[-1][0] < FEW_ROWS:
        return ()
    due, came = labelled[-1]
    usual = [hits / rows for rows, hits in labelled[:-1] if rows >= FEW_ROWS]
    if len(usual) < FEW_WINDOWS or came / due >= LABELLED * min(median(usual), 1.0):
        return ()
    return (
        Fault(LABELS, "labels", f"{came / due:.0%} of due labels have come where {median(usual):.0%} are usual"),
    )


def _volume(window: Feed, ordinary: Sequence[Feed]) -> Iterator[Fault]:
    same = [one.volume for one in ordinary if one.phase == window.phase and one.volume]
    usual = same if len(same) >= FEW_WINDOWS else [one.volume for one in ordinary if one.volume]
    if len(usual) < FEW_WINDOWS or median(usual) < FEW_ROWS:
        return
    logs = [log(one) for one in usual]
    middle = median(logs)
    spread = max(1.4826 * median(abs(one - middle) for one in logs), pstdev(logs) / 2, 0.1)
    # The last of them tell of growth and decline that go on.
    expected = min(exp(middle), max(usual[-2:]))
    if window.volume < VOLUME * expected and log(max(window.volume, 1)) < log(expected) - QUIET * spread:
        yield Fault(FEED, "volume", f"{window.volume} rows where {exp(middle):.0f} are usual")


def _freshness(window: Feed, ordinary: Sequence[Feed]) -> Iterator[Fault]:
    usual = [one.seen.silence_s for one in ordinary if one.seen]
    if window.seen is None or len(usual) < FEW_WINDOWS:
        return
    least = max(SILENCE * max(usual), 0.04 * window.length.total_seconds())
    if window.seen.silence_s > least:
        yield Fault(
            FEED,
            "freshness",
            f"the last row came {window.seen.silence_s / 60:.0f} minutes before the window ended, "
            f"the longest such silence was {max(usual) / 60:.0f} minutes",
        )


def _duplicates(window: Feed, ordinary: Sequence[Feed]) -> Iterator[Fault]:
    if window.seen is None:
        return
    usual = [one.seen.repeats / one.seen.rows for one in ordinary if one.seen]
    share = window.seen.repeats / window.seen.rows
    most = max(usual) if len(usual) >= FEW_WINDOWS else 10 * REPEATS
    if share > 2 * most + REPEATS:
        yield Fault(FEED, "duplicates", f"{share:.1%} of rows are repeated where {most:.1%} were the most")


def _told_once(found: Sequence[Fault], window: Feed, names: Sequence[str]) -> list[Fault]:
    """Faults of most inputs at once are one of the schema; a vanished input is told with the names that are new."""
    inputs = [name for name in names if name in window.counts]
    gone = [one for one in found if one.kind in ("vanished", "schema") and one.of in inputs]
    new = sorted(window.arrival.unknown.items(), key=lambda item: -item[1]) if window.arrival else []
    new = [(name, rows) for name, rows in new if window.arrival and rows > window.arrival.rows / 2]
    said = f"; new in the payloads: {', '.join(name for name, _ in new[:3])}" if new and gone else ""
    if len(gone) > 1 and 2 * len(gone) > len(inputs):
        text = f"{len(gone)} of {len(inputs)} inputs cannot be read, as in another version of the schema{said}"
        return [Fault(FEED, "schema", text), *(one for one in found if one not in gone)]
    return [Fault(one.of, one.kind, one.text + said) if one in gone else one for one in found]
