"""The frame of a chart: one time axis that all charts share, so that the eye may go straight down the page."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from console.report.scale import Scale, dates, stamp, ticks
from console.summary import RolloutLine, Summary

MARGIN = 8  # right of the last day, px


@dataclass(frozen=True)
class Frame:
    """Width of the picture, place of the first day (px), and the time axis."""

    width: int
    left: int
    x: Scale

    def day_labels(self, y: float) -> str:
        """Dates below a chart, as many as fit."""
        room = int((self.width - self.left) // 38)
        return "".join(
            f'<text class="tick" x="{self.x(at)}" y="{y}">{label}</text>'
            for at, label in dates(self.x.low, self.x.high, room)
        )

    def value_axis(self, y: Scale, unit: str) -> str:
        """Lines across at round values, and what they measure above them."""
        lines = "".join(
            f'<line class="grid" x1="{self.left}" x2="{self.width - MARGIN}" y1="{y(v)}" y2="{y(v)}"/>'
            f'<text class="tick end" x="{self.left - 6}" y="{y(v) + 4:.1f}">{v:g}</text>'
            for v in ticks(y.low, y.high)
        )
        return f'<text class="unit" x="0" y="11">{escape(unit)}</text>{lines}'

    def marks(self, rollouts: Iterable[RolloutLine], top: float, bottom: float) -> str:
        """A vertical line at the end of each rollout: ▲ promoted, ✕ rolled back."""
        return "".join(self._mark(one, top, bottom) for one in rollouts if self.x.holds(stamp(one.at)))

    def _mark(self, rollout: RolloutLine, top: float, bottom: float) -> str:
        place, back = self.x(stamp(rollout.at)), rollout.result == "rolled_back"
        title = f"{rollout.result.replace('_', ' ')} on {rollout.at[:10]}: {rollout.run_id}: {rollout.reason}"
        return (
            f'<g class="mark {"back" if back else "up"}"><title>{escape(title)}</title>'
            f'<line x1="{place}" x2="{place}" y1="{top}" y2="{bottom}"/>'
            f'<text x="{place}" y="{top - 3}">{"✕" if back else "▲"}</text></g>'
        )

    def svg(self, height: float, parts: Iterable[str], label: str) -> Markup:
        """The picture. Every text in the parts must have been escaped where it came in."""
        return Markup(  # noqa: S704 - see above
            f'<svg viewBox="0 0 {self.width} {height:g}" role="img" aria-label="{escape(label)}">'
            f"{''.join(parts)}</svg>"
        )


def frame(summary: Summary, width: int, left: int) -> Frame:
    """The time axis of a summary: from its first day to its last."""
    low = stamp(summary.started)
    high = max(stamp(summary.ended), low + 1)
    return Frame(width, left, Scale(low, high, left, width - MARGIN))
