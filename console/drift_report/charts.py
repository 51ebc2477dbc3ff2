"""The charts of the page, as inline SVG: each shows its numbers by marks, and in words on hovering."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

from console.drift_report.beside import Bar
from console.drift_report.view import LossPoint, Performance, Point, SeriesView, SliceLine, View, Volume
from console.report.frame import MARGIN, Frame
from console.report.scale import Scale, bounds, dates, short_day, ticks
from monitoring.judge import NOTHING_VISIBLE
from monitoring.performance import Calibration, Measure

WIDTH = 420  # of a chart in a card, px; a phone shows it a little smaller
TOP = 20
NAMED = 54  # px from one date to the next
LETTER = 6.0  # width of most of them, px


@dataclass(frozen=True)
class TimeFrame(Frame):
    """A time axis with room for names of days beside each other."""

    def day_labels(self, y: float) -> str:
        """Dates below a chart, as many as fit."""
        room = int((self.width - self.left) // NAMED)
        return "".join(
            f'<text class="tick" x="{self.x(at)}" y="{y}">{label}</text>'
            for at, label in dates(self.x.low, self.x.high, room)
        )


def distribution_chart(series: SeriesView) -> Markup:
    """Bars for now, a dark line across each for before; missing and unseen values stand apart."""
    bars = list(series.bars)
    if not bars:
        return Markup("<p class=soft>no window of the model that serves now was counted</p>")
    if series.kind == "pair":
        return _pair_chart(series)
    if series.kind == "categorical":
        return _rows_chart(series, _largest(bars))
    left, bottom, height = 34, 128, 168
    faults = sum(bar.is_fault for bar in bars)
    y = Scale(0, max(max(bar.now, bar.before) for bar in bars) * 1.05 or 1.0, bottom, TOP)
    room = WIDTH - left - MARGIN - 22 * faults - 14
    step = room / max(1, len(bars) - faults)
    frame = Frame(WIDTH, left, Scale(0, 1, left, WIDTH))
    parts = [_percents(frame, y)]
    for place, bar in enumerate(bars):
        late = place - (len(bars) - faults)
        x, width = (left + step * place, step) if late < 0 else (left + room + 14 + 22 * late, 22)
        parts.append(_column(bar, x, width, y, bottom))
    parts.append(_ends(bars, faults, left, room, bottom))
    return frame.svg(height, parts, f"distribution of {series.name} now and before")


def _column(bar: Bar, x: float, width: float, y: Scale, bottom: float) -> str:
    inner = max(1.5, width - 2)
    title = escape(_compared(bar))
    kind = "fault" if bar.is_fault else "now"
    mark = f'<line class="before" x1="{x:.1f}" x2="{x + width:.1f}" y1="{y(bar.before)}" y2="{y(bar.before)}"/>'
    return (
        f'<g class="bar {kind}"><title>{title}</title>'
        f'<rect x="{x + 1:.1f}" y="{y(bar.now)}" width="{inner:.1f}" height="{max(0.0, bottom - y(bar.now)):.1f}"/>'
        f"{mark}</g>"
    )


def _ends(bars: Sequence[Bar], faults: int, left: float, room: float, bottom: float) -> str:
    """First, middle and last cell by name, and what stands apart."""
    cells = bars[: len(bars) - faults]
    named = {0: ("begin", left), len(cells) - 1: ("end", left + room)}
    if len(cells) > 6:
        named[len(cells) // 2] = ("middle", left + room * (len(cells) // 2 + 0.5) / len(cells))
    texts = [
        f'<text class="tick {anchor}" x="{x:.1f}" y="{bottom + 15}">{escape(cells[place].label)}</text>'
        for place, (anchor, x) in named.items()
    ]
    apart = ", ".join(bar.label for bar in bars[len(cells) :])
    texts.append(f'<text class="tick end" x="{WIDTH - MARGIN}" y="{bottom + 30}">{apart}</text>')
    return "".join(texts)


def _largest(bars: Sequence[Bar], most: int = 9) -> list[Bar]:
    """The most frequent categories, what is left of them as one, and the faults."""
    cells = sorted((bar for bar in bars if not bar.is_fault), key=lambda bar: -max(bar.now, bar.before))
    rest = cells[most:]
    if not rest:
        return [bar for bar in cells if bar.now or bar.before] + [bar for bar in bars if bar.is_fault]
    pooled = Bar(f"{len(rest)} more", sum(bar.now for bar in rest), sum(bar.before for bar in rest))
    return [*cells[:most], pooled, *(bar for bar in bars if bar.is_fault)]


def _rows_chart(series: SeriesView, bars: Sequence[Bar]) -> Markup:
    """Categories as rows, so that their names can be read."""
    left, row = 92, 17
    x = Scale(0, max(max(bar.now, bar.before) for bar in bars) or 1.0, left, WIDTH - 52)
    parts = []
    for place, bar in enumerate(bars):
        top = 8 + row * place
        label = bar.label if len(bar.label) <= 13 else f"{bar.label[:12]}…"
        parts.append(
            f'<g class="bar {"fault" if bar.is_fault else "now"}"><title>{escape(_compared(bar))}</title>'
            f'<text class="name" x="{left - 6}" y="{top + 11}">{escape(label)}</text>'
            f'<rect x="{left}" y="{top + 1}" width="{max(0.0, x(bar.now) - left):.1f}" height="{row - 4}"/>'
            f'<line class="before" x1="{x(bar.before)}" x2="{x(bar.before)}" y1="{top}" y2="{top + row - 2}"/>'
            f'<text class="tick begin" x="{max(x(bar.now), x(bar.before)) + 5:.1f}" y="{top + 11}">'
            f"{_share(bar.now)}</text></g>"
        )
    frame = Frame(WIDTH, left, Scale(0, 1, left, WIDTH))
    return frame.svg(16 + row * len(bars), parts, f"distribution of {series.name} now and before")


def _pair_chart(series: SeriesView) -> Markup:
    """Sixteen cells; each tells how much more or less frequent it is than before."""
    left, cell, parts = 92, 30, []
    for place, bar in enumerate(bar for bar in series.bars if not bar.is_fault):
        row, column = divmod(place, 4)
        change = bar.now - bar.before
        parts.append(
            f'<g class="bar {"more" if change >= 0 else "less"}"><title>{escape(_compared(bar))}</title>'
            f'<rect x="{left + 62 * column}" y="{8 + cell * row}" width="60" height="{cell - 2}" '
            f'fill-opacity="{min(1.0, 0.04 + abs(change) * 25):.2f}"/>'
            f'<text class="tick" x="{left + 62 * column + 30}" y="{8 + cell * row + 18}">{change:+.1%}</text></g>'
        )
    first, _, second = series.name.partition(" × ")
    parts.append(f'<text class="name" x="{left - 6}" y="26">{escape(first[:13])} low</text>')
    parts.append(f'<text class="name" x="{left - 6}" y="{26 + 3 * cell}">high</text>')
    parts.append(f'<text class="tick begin" x="{left}" y="{26 + 4 * cell}">{escape(second)} low to high</text>')
    frame = Frame(WIDTH, left, Scale(0, 1, left, WIDTH))
    return frame.svg(40 + 4 * cell, parts, f"change of {series.name}")


def effect_chart(page: View, series: SeriesView) -> Markup:
    """Effect by window, the band of ordinary ones, and the least effect that counts or could be seen."""
    points = series.points
    if not points:
        return Markup("<p class=soft>no window was judged</p>")
    bottom, left = 128, 34
    seen = [point.least for point in points if point.least < 5]
    frame = time_frame(page, left)
    y = Scale(0, max([page.min_effect * 1.5, *(p.effect for p in points), *seen]) * 1.08, bottom, TOP)
    parts = [_holidays(frame, page, bottom), _incidents(frame, page, series.name, bottom)]
    parts.append(frame.value_axis(y, "effect, standard deviations"))
    right = WIDTH - MARGIN
    if series.band is not None:
        top = y(series.band)
        parts.append(
            f'<g class="band"><title>{ORDINARY}: up to {series.band:.3f}</title>'
            f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top:.1f}"/></g>'
        )
    least = y(page.min_effect)
    parts.append(
        f'<g class="least"><title>effects up to {page.min_effect:g} never count</title>'
        f'<line x1="{left}" x2="{right}" y1="{least}" y2="{least}"/></g>'
    )
    parts.append(_detectable(frame, y, points))
    places = " ".join(f"{frame.x(_middle(p.start, p.end))},{y(p.effect)}" for p in points)
    parts.append(f'<polyline class="effect" points="{places}"/>')
    parts += [_dot(frame, y, point) for point in points]
    parts.append(frame.day_labels(bottom + 16))
    return frame.svg(bottom + 26, parts, f"effect of {series.name} over time")


ORDINARY = "95 of 100 ordinary windows"


def _detectable(frame: Frame, y: Scale, points: Sequence[Point]) -> str:
    known = [point for point in points if point.least <= y.high]
    places = " ".join(f"{frame.x(_middle(p.start, p.end))},{y(p.least)}" for p in known)
    return f'<polyline class="detectable" points="{places}"><title>smallest effect to be seen</title></polyline>'


def _dot(frame: Frame, y: Scale, point: Point) -> str:
    x = frame.x(_middle(point.start, point.end))
    known = f", smallest to be seen {point.least:.3f}" if point.least < NOTHING_VISIBLE else ""
    title = f"{short_day(point.start.timestamp())}: {point.effect:.3f}{known}"
    kind = "dot flagged" if point.flagged else "dot"
    radius = 3 if point.flagged else 1.4
    return f'<circle class="{kind}" cx="{x}" cy="{y(point.effect)}" r="{radius}"><title>{title}</title></circle>'


def _incidents(frame: Frame, page: View, name: str, bottom: float) -> str:
    found = []
    for one in page.incidents:
        if name in one.features:
            begin = frame.x(max(one.opened.timestamp(), frame.x.low))
            end = frame.x(min((one.closed or page.end).timestamp(), frame.x.high))
            found.append(
                f'<rect class="during {one.kind}" x="{begin}" y="{TOP}" width="{max(1.5, end - begin):.1f}" '
                f'height="{bottom - TOP}"><title>{escape(one.incident_id)}</title></rect>'
            )
    return "".join(found)


def _holidays(frame: Frame, page: View, bottom: float, *, named: bool = False) -> str:
    """A quiet column for each; by name where there is room."""
    found, free = [], float(frame.left)
    for one in page.holidays:
        begin = frame.x(max(one.start.timestamp(), frame.x.low))
        end = max(begin + 1.5, frame.x(min(one.end.timestamp(), frame.x.high)))
        title = f"{one.name}, {short_day(one.start.timestamp())}: nothing follows from a holiday"
        found.append(
            f'<rect class="holiday" x="{begin}" y="{TOP}" width="{end - begin:.1f}" height="{bottom - TOP}">'
            f"<title>{escape(title)}</title></rect>"
        )
        width = LETTER * len(one.name)
        place = min(begin, frame.width - MARGIN - width)
        if named and place >= free:
            found.append(f'<text class="tick begin" x="{place:.1f}" y="{TOP - 4}">{escape(one.name)}</text>')
            free = place + width + LETTER
    return "".join(found)


def volume_chart(page: View, width: int) -> Markup:
    """Requests by window."""
    if not page.volumes:
        return Markup("<p class=soft>nothing was counted</p>")
    left, bottom = 48, 114
    frame = time_frame(page, left, width)
    y = Scale(0, max(one.rows for one in page.volumes) * 1.05 or 1.0, bottom, TOP + 4)
    bars = [_volume(frame, y, one, bottom) for one in page.volumes if one.start >= page.start]
    quiet = _holidays(frame, page, bottom, named=True)
    parts = [quiet, frame.value_axis(y, "requests"), *bars, frame.day_labels(bottom + 16)]
    return frame.svg(bottom + 26, parts, "requests over time")


def _volume(frame: Frame, y: Scale, one: Volume, bottom: float) -> str:
    begin, end = frame.x(one.start.timestamp()), frame.x(one.end.timestamp())
    title = f"{short_day(one.start.timestamp())}: {one.rows:,.0f}"
    return (
        f'<rect class="volume" x="{begin}" y="{y(one.rows)}" width="{max(0.6, end - begin - 0.6):.1f}" '
        f'height="{bottom - y(one.rows):.1f}"><title>{title}</title></rect>'
    )


def loss_chart(page: View, found: Performance, width: int) -> Markup:
    """The loss that came true with its interval, and the one that was to be expected."""
    left, bottom = 48, 196
    frame = time_frame(page, left, width)
    losses = [one for one in found.losses if one.start >= page.start]
    values = [v for one in losses for m in (one.came, one.expected) if m is not None for v in (m.low, m.high)]
    y = Scale(*bounds(values), bottom, TOP + 6)
    came = [(one, one.came) for one in losses if one.came is not None]
    expected = [(one, one.expected) for one in losses if one.expected is not None]
    parts = [
        frame.value_axis(y, f"{found.metric.replace('_', ' ')} of a prediction day"),
        frame.day_labels(bottom + 16),
        _area(frame, y, expected, "expected"),
        *(_whisker(frame, y, one, measured) for one, measured in came),
        _line(frame, y, expected, "expected"),
        _line(frame, y, came, "came"),
    ]
    return frame.svg(bottom + 26, parts, f"{found.metric} that came true and was expected")


def _area(frame: Frame, y: Scale, found: Sequence[tuple[LossPoint, Measure]], kind: str) -> str:
    forth = [f"{frame.x(one.start.timestamp() + 43200)},{y(measured.high)}" for one, measured in found]
    back = [f"{frame.x(one.start.timestamp() + 43200)},{y(measured.low)}" for one, measured in reversed(found)]
    return f'<polygon class="area {kind}" points="{" ".join([*forth, *back])}"/>' if found else ""


def _line(frame: Frame, y: Scale, found: Sequence[tuple[LossPoint, Measure]], kind: str) -> str:
    places = " ".join(f"{frame.x(one.start.timestamp() + 43200)},{y(measured.value)}" for one, measured in found)
    return f'<polyline class="loss {kind}" points="{places}"/>' if found else ""


def _whisker(frame: Frame, y: Scale, one: LossPoint, came: Measure) -> str:
    x = frame.x(one.start.timestamp() + 43200)
    expected = f", expected {one.expected.value:.4f}" if one.expected else ""
    day = short_day(one.start.timestamp())
    return (
        f'<g class="whisker"><title>{day}: came {came.value:.4f} ({came.low:.4f} to {came.high:.4f}), '
        f"{came.rows:,} labels{expected}</title>"
        f'<line x1="{x}" x2="{x}" y1="{y(came.low)}" y2="{y(came.high)}"/>'
        f'<circle cx="{x}" cy="{y(came.value)}" r="1.8"/></g>'
    )


def calibration_chart(cells: Sequence[Calibration]) -> Markup:
    """What the model said against what came true; on the diagonal both agree."""
    left, bottom, top = 40, 240, 20
    values = [v for one in cells for v in (one.said, one.came.low, one.came.high)]
    low, high = bounds(values)
    if all(0 <= value <= 1 for value in values):
        low, high = 0.0, 1.0
    x, y = Scale(low, high, left, WIDTH - 16), Scale(low, high, bottom, top)
    frame = Frame(WIDTH, left, x)
    parts = [
        frame.value_axis(y, "came true"),
        f'<line class="diagonal" x1="{x(low)}" x2="{x(high)}" y1="{y(low)}" y2="{y(high)}"/>',
        *(_calibrated(x, y, one) for one in cells),
        *(f'<text class="tick" x="{x(v)}" y="{bottom + 16}">{v:g}</text>' for v in ticks(low, high, 5)),
        f'<text class="tick end" x="{WIDTH - MARGIN}" y="{bottom + 30}">said by the model</text>',
    ]
    return frame.svg(bottom + 36, parts, "calibration")


def _calibrated(x: Scale, y: Scale, one: Calibration) -> str:
    came = f"came {one.came.value:.4f} ({one.came.low:.4f} to {one.came.high:.4f})"
    title = f"said {one.said:.4f}, {came}, {one.rows:,} rows"
    return (
        f'<g class="whisker"><title>{title}</title>'
        f'<line x1="{x(one.said)}" x2="{x(one.said)}" y1="{y(one.came.low)}" y2="{y(one.came.high)}"/>'
        f'<circle cx="{x(one.said)}" cy="{y(one.came.value)}" r="3"/></g>'
    )


def slice_chart(found: Sequence[SliceLine], whole: Measure) -> Markup:
    """The loss of each group with its interval, beside that of all rows."""
    left, row = 150, 18
    values = [whole.low, whole.high, *(v for one in found for v in (one.loss.low, one.loss.high))]
    x = Scale(*bounds(values), left, WIDTH - 16)
    bottom = 10 + row * len(found)
    parts = [f'<line class="diagonal" x1="{x(whole.value)}" x2="{x(whole.value)}" y1="4" y2="{bottom}"/>']
    for place, one in enumerate(found):
        middle = 14 + row * place
        label = f"{one.column} {one.value}"
        short = label if len(label) < 22 else f"{label[:21]}…"
        loss, title = (
            one.loss,
            f"{label}: {one.loss.value:.4f} ({one.loss.low:.4f} to {one.loss.high:.4f}), {one.rows:,} rows",
        )
        parts.append(
            f'<g class="whisker"><title>{escape(title)}</title>'
            f'<text class="name" x="{left - 8}" y="{middle + 4}">{escape(short)}</text>'
            f'<line x1="{x(loss.low)}" x2="{x(loss.high)}" y1="{middle}" y2="{middle}"/>'
            f'<circle cx="{x(loss.value)}" cy="{middle}" r="3"/></g>'
        )
    parts += [f'<text class="tick" x="{x(v)}" y="{bottom + 16}">{v:g}</text>' for v in ticks(x.low, x.high)]
    return Frame(WIDTH, left, x).svg(bottom + 24, parts, "loss by group")


def time_frame(page: View, left: int, width: int = WIDTH) -> Frame:
    """The time axis that all charts of a page share."""
    return TimeFrame(width, left, Scale(page.start.timestamp(), page.end.timestamp(), left, width - MARGIN))


def _middle(start: datetime, end: datetime) -> float:
    return (start.timestamp() + end.timestamp()) / 2


def _percents(frame: Frame, y: Scale) -> str:
    values = [y.high * part / 3 for part in range(4)]
    return "".join(
        f'<line class="grid" x1="{frame.left}" x2="{frame.width - MARGIN}" y1="{y(v)}" y2="{y(v)}"/>'
        f'<text class="tick end" x="{frame.left - 4}" y="{y(v) + 4:.1f}">{v:.0%}</text>'
        for v in values
    )


def _share(value: float) -> str:
    return f"{value:.1%}" if value < 0.0995 else f"{value:.0%}"


def _compared(bar: Bar) -> str:
    return f"{bar.label}: {bar.now:.2%} now, {bar.before:.2%} before"
