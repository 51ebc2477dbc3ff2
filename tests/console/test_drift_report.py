"""The page of a model's drift: whole, alone, and true to its numbers."""

import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from console.drift_report.beside import Bar, cell_labels
from console.drift_report.charts import (
    calibration_chart,
    distribution_chart,
    effect_chart,
    loss_chart,
    slice_chart,
    volume_chart,
)
from console.drift_report.page import render
from console.drift_report.view import NOW, Quiet, SeriesView, View
from monitoring.baseline import PREDICTION, Definition
from monitoring.counts import Counts
from monitoring.distances import jensen_shannon
from tests.console.drift_sample import BROKEN, CHANGED, DAYS, FEAST, FIRST, sample

OPEN = {"meta", "link", "br", "img", "input", "hr"}


class Outline(HTMLParser):
    """Notes what opens and closes, and where a page leads."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.wrong: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        if tag not in OPEN:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def page() -> str:
    return render(sample())


def named(view: View, name: str) -> SeriesView:
    return next(one for one in view.series if one.name == name)


def test_the_page_is_well_formed(page: str) -> None:
    """Every element that opens closes, in its order."""
    outline = Outline()
    outline.feed(page)

    assert (outline.stack, outline.wrong) == ([], [])
    assert page.startswith("<!doctype html>")


def test_the_page_needs_nothing_from_elsewhere(page: str) -> None:
    """No address, no script, no picture that is not drawn in it."""
    outline = Outline()
    outline.feed(page)

    assert outline.links == []
    assert not {"script", "img", "iframe", "link", "object", "embed"} & outline.tags
    assert not re.search(r"https?:|url\(|@import", page)


def test_the_page_says_what_to_do_and_tells_of_both_incidents(page: str) -> None:
    """A broken feed that was mended, and a changed world."""
    kinds = [(one.kind, one.do, one.asked, one.closed is None) for one in sample().incidents]

    assert kinds == [("drift", "retrain", None, True), ("data", "nothing", "look at the feed", False)]
    assert "<b>Retrain.</b> An incident is open since" in page
    assert "Before, it asked to look at the feed: dep_lat: more or fewer values are missing" in page
    assert all(one.incident_id in page for one in sample().incidents)


def test_what_moved_stands_first_and_the_prediction_at_the_head() -> None:
    assert [one.name for one in sample().series[:3]] == [PREDICTION, "dep_delay", "taxi_out"]


def test_every_series_has_both_charts(page: str) -> None:
    for one in sample().series:
        assert f'aria-label="distribution of {one.name} now and before"' in page
        assert f'aria-label="effect of {one.name} over time"' in page


def test_a_distribution_shows_each_share_and_what_is_missing() -> None:
    """A bar's height is its share; the line across it stood there before."""
    one = named(sample(), "dep_delay")
    chart = distribution_chart(one)
    shown = re.findall(r"([\d.]+)% now, ([\d.]+)% before", chart)

    assert [(f"{bar.now:.2%}", f"{bar.before:.2%}") for bar in one.bars] == [(f"{a}%", f"{b}%") for a, b in shown]
    heights = [float(found) for found in re.findall(r'<rect [^>]*height="([\d.]+)"', chart)]
    assert heights[5] / heights[10] == pytest.approx(one.bars[5].now / one.bars[10].now, rel=0.03)
    assert one.bars[-1].label == "missing"
    assert sum(bar.now for bar in one.bars if not bar.is_fault) == pytest.approx(1)


def test_categories_that_do_not_fit_are_added_up() -> None:
    """Nothing is lost: their shares still make a whole."""
    chart = distribution_chart(named(sample(), "origin"))
    shares = [float(found) for found in re.findall(r": ([\d.]+)% now", chart)]

    assert "6 more: " in chart
    assert sum(shares[:10]) == pytest.approx(100, abs=0.1)


def test_a_pair_shows_by_how_much_each_cell_changed() -> None:
    bars = tuple(Bar(f"{n}", (n + 1) / 136, 1 / 16) for n in range(16))
    one = replace(named(sample(), "dep_delay"), name="a × b", kind="pair", bars=bars)
    chart = distribution_chart(one)

    assert [f"{bar.now - bar.before:+.1%}" for bar in bars] == re.findall(r">([+-][\d.]+%)<", chart)


def test_an_effect_chart_shows_every_window_its_band_and_what_could_be_seen() -> None:
    view = sample()
    one = named(view, "dep_lat")
    chart = effect_chart(view, one)
    flagged = re.findall(r'class="dot flagged".*?<title>(.*?)</title>', chart)

    assert chart.count('class="dot') == DAYS == len(one.points)
    assert len(flagged) == len(BROKEN)
    assert flagged[0].startswith("11 Jul: 0.6")
    assert one.band is not None
    assert f"up to {one.band:.3f}" in chart
    assert 'class="during data"' in chart
    assert 'class="during drift"' not in chart


def test_the_band_is_that_of_ordinary_windows_only() -> None:
    """Four fifths of a standard deviation for a week are not in it."""
    band = named(sample(), "dep_lat").band

    assert band is not None
    assert band < 0.15


def test_a_holiday_is_marked_with_its_name_and_is_no_ordinary_day() -> None:
    """Quietly, on every time line; what was flagged on it opened nothing, and it is in no band."""
    view = sample()
    feast = FIRST + timedelta(days=FEAST)
    hour = named(view, "dep_hour")
    flagged = [(one.start, one.effect) for one in hour.points if one.flagged]
    mark = "<title>Independence Day, 4 Jul: nothing follows from a holiday</title>"

    assert view.holidays == (Quiet("Independence Day", feast, feast + timedelta(days=1)),)
    assert mark in effect_chart(view, hour)
    assert mark in volume_chart(view, 928)
    assert ">Independence Day</text>" in volume_chart(view, 358)
    assert [at for at, _ in flagged] == [feast]
    assert hour.band is not None
    assert hour.band < 0.15 < flagged[0][1]


def test_other_tools_distances_are_those_of_the_bars(page: str) -> None:
    """Beside ours, with what the default threshold of Vertex AI would have made of them: it sees none."""
    one = named(sample(), "dep_delay")
    assert one.distances is not None
    cells = [bar for bar in one.bars if not bar.is_fault]
    far = jensen_shannon([bar.now for bar in cells], [bar.before for bar in cells])
    shown = re.search(r"<tr><td>dep_delay</td>(.*?)</tr>", page, re.DOTALL)

    assert one.distances.jensen_shannon == pytest.approx(far)
    assert shown is not None
    assert f">{far:.3f}</td>" in shown[1]
    assert f'class="n bad do">{one.late(NOW)[0]:.2f}<' in shown[1]
    assert re.search(r"<td>carrier</td>.*?<td class=\"n\">–</td></tr>", page, re.DOTALL)
    assert "would have said:\nnothing; it would have missed (prediction), dep_delay, taxi_out.</p>" in page


def test_requests_are_shown_window_by_window() -> None:
    view = sample()
    chart = volume_chart(view, 928)

    assert chart.count('class="volume"') == DAYS
    assert f"<title>1 Jun: {view.volumes[0].rows:,.0f}</title>" in chart


def test_the_loss_that_came_leaves_the_expected_one_when_the_world_changes() -> None:
    """Days that wait for labels show what is to be expected, and nothing that came."""
    view = sample()
    found = view.performance
    assert found is not None
    chart = loss_chart(view, found, 928)
    came = {one.start: one.came for one in found.losses}
    before, after = (next(one for one in found.losses if (one.start - FIRST).days == n) for n in (50, CHANGED + 3))

    assert before.came is not None
    assert before.expected is not None
    assert before.expected.low < before.came.value < before.expected.high
    assert after.came is not None
    assert after.expected is not None
    assert after.came.low > after.expected.high
    assert chart.count('<g class="whisker">') == sum(one is not None for one in came.values()) == DAYS - 5
    assert f"came {before.came.value:.4f} ({before.came.low:.4f} to {before.came.high:.4f})" in chart


def test_calibration_and_groups_show_their_numbers() -> None:
    found = sample().performance
    assert found is not None
    calibrated = calibration_chart(found.calibration)
    groups = slice_chart(found.slices, found.measures[found.metric])

    assert calibrated.count('<g class="whisker">') == len(found.calibration) == 10
    assert all(f"said {one.said:.4f}, came {one.came.value:.4f}" in calibrated for one in found.calibration)
    assert [one.value for one in found.slices] == ["WN", "DL", "AA", "OO"]
    assert all(f"{one.column} {one.value}: {one.loss.value:.4f}" in groups for one in found.slices)


def test_without_labels_nothing_is_said_of_performance() -> None:
    page = render(replace(sample(), performance=None))

    assert "Was it right?" not in page
    assert "Each feature" in page


def test_before_the_first_verdict_the_page_says_so() -> None:
    """And does not say that all is well."""
    series = tuple(replace(one, points=(), band=None) for one in sample().series)
    page = render(replace(sample(), verdicts=(), incidents=(), series=series))

    assert "No window was judged yet." in page
    assert "Nothing to do" not in page
    assert "not judged yet" in page


def test_a_window_that_could_show_little_is_not_called_ordinary() -> None:
    """It says what it could have shown."""
    quiet = named(sample(), "dest")
    weak = replace(quiet, points=(*quiet.points[:-1], replace(quiet.points[-1], least=0.4, flagged=False)))
    page = render(replace(sample(), series=(weak,)))

    assert "nothing seen in the last window, which could have shown 0.40 or more" in page
    assert "within what ordinary windows vary by" not in page


def test_what_people_wrote_is_shown_as_text() -> None:
    """A category may be called anything."""
    odd = replace(named(sample(), "carrier"), bars=(Bar("<script>x</script>", 1.0, 1.0),), name="<b>")
    page = render(replace(sample(), series=(odd,)))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<h3><b>" not in page


def test_cells_are_named_for_people() -> None:
    counts = Counts(0, 0, 0, 0, 0, 0, (0, 0, 0))

    assert cell_labels(Definition("x", "numeric", counts, edges=(1.0, 2.5))) == ["below 1", "1 to 2.5", "from 2.5"]
    assert cell_labels(Definition("x", "categorical", counts, categories=("a", "b"))) == ["a", "b", "others"]
