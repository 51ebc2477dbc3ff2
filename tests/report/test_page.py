"""The page of a rehearsal: what it shows, and what it does with hostile, missing and broken values."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from console.report import render
from console.summary import DriftWindow, IncidentLine, MoneyLine, Summary, TrafficStep, Week
from tests.report.sample import ENDS, run_id, summary

HOSTILE = "\"><script>alert(1)</script><b a='&"
VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Every element that opens must close, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def parsed(page: str) -> Balance:
    reader = Balance()
    reader.feed(page)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def page() -> str:
    return render(summary())


def empty() -> Summary:
    return Summary(
        model="m",
        started="2013-03-01T00:00:00+00:00",
        ended="2013-03-01T00:00:00+00:00",
        wall_seconds=0,
        verdict="nothing was compared",
        loss_name="log_loss",
        money=MoneyLine(spent=0, limit=0),
    )


def test_the_markup_is_balanced_and_holds_three_charts_for_each_size(page: str) -> None:
    """Three charts for a desk, the same three for a phone."""
    found = parsed(page)

    assert found.open == []
    assert found.tags.count("svg") == 6


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    """No address, no import, no script, no file beside it."""
    assert not re.search(r"//|@import|url\(|<script|<link|<img|src=", page)


def test_the_page_stays_small(page: str) -> None:
    """A year with 80 triggers is under 400 kB."""
    assert 20_000 < len(page.encode()) < 400_000


def test_the_verdict_and_the_figures_are_told(page: str) -> None:
    """The sentence as it came, and the counts of the summary's own runs."""
    figures = {name: value for value, name in re.findall(r"<div><b>([^<]*)</b><span>([^<]*)</span>", page)}

    assert summary().verdict in page
    assert figures == {
        "triggers": "80",
        "runs that trained": "11",
        "promotions": str(sum(state == "promoted" for _, state in ENDS)),
        "rollbacks": "1",
        "rejected": "3",
        "blocked feeds": "1",
        "skipped": "60",
        "money spent": "4.55",
    }


def test_every_run_that_was_not_skipped_has_its_row(page: str) -> None:
    """Also the one that was blocked before it trained."""
    rows = re.findall(r'<summary class="id">([^<]*)</summary>', page)

    assert rows == [run_id(number) for number in range(len(ENDS))]


def test_repeated_skips_stand_in_one_row(page: str) -> None:
    """Four cooldowns in a row are one line that opens."""
    assert "4 × cooldown," in page
    assert "skipped runs:" in page
    assert "48 × cooldown" in page


def test_what_was_not_seen_is_marked(page: str) -> None:
    """An empty proof is a cross and words, not a silent blank."""
    row = page[page.index("an approval by a person") - 60 :][:160]

    assert "✗" in row
    assert "not seen" in row


def test_rollouts_are_marked_on_the_loss_chart(page: str) -> None:
    """Seven promotions and one rollback, with their runs in the hover text."""
    chart = page[page.index("<svg") : page.index("</svg>")]

    assert chart.count("▲") == 7
    assert chart.count("✕") == 1
    assert f"rolled back on 2013-11-09: {run_id(10)}" in chart


def test_hostile_text_stays_text() -> None:
    """In every string a record may hold, charts and tables alike."""
    base = summary()
    one = base.runs[0]
    bad = base.but(
        model=HOSTILE,
        verdict=HOSTILE,
        loss_name=HOSTILE,
        runs=(
            one.but(
                run_id=HOSTILE, reason=HOSTILE, gate=(HOSTILE,), causes=(HOSTILE,), code=HOSTILE, state=HOSTILE
            ),
        ),
        triggers=(base.triggers[0].but(reason=HOSTILE, actor=HOSTILE, kind=HOSTILE, run_id=HOSTILE),),
        traffic=(base.traffic[0].but(split={HOSTILE: 100}, reason=HOSTILE, phase=HOSTILE),),
        rollouts=(base.rollouts[0].but(run_id=HOSTILE, reason=HOSTILE, result=HOSTILE),),
        drift=(DriftWindow(at=base.started, effects={HOSTILE: 1.0}, flagged=(HOSTILE,), kind=HOSTILE),),
        incidents=(IncidentLine(opened=base.started, kind=HOSTILE, features={HOSTILE: 1.0}),),
        happenings=(base.happenings[0].but(what=HOSTILE),),
        seen={HOSTILE: HOSTILE},
    )
    page = render(bad)

    assert not {"script", "b a"} & set(parsed(page).tags)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 20


def test_an_empty_summary_says_so() -> None:
    """Each part has words for having nothing to show."""
    page = render(empty())

    assert parsed(page).open == []
    for words in ("no week has a loss", "no traffic was moved", "no window was judged", "no run was started"):
        assert words in page
    assert "there is nothing to compare" in page


def test_missing_and_infinite_losses_leave_no_trace_in_coordinates() -> None:
    """A null, a NaN and an infinity are gaps."""
    weeks = (
        Week(week="2013-03-04", rows=10, ours=0.3, never=float("nan"), oracle=0.2, calendar=float("inf")),
        Week(week="2013-03-11", rows=10),
        Week(week="2013-03-18", rows=0, ours=0.31),
    )
    page = render(summary().but(weeks=weeks))

    assert not re.search(r'="[^"]*\b(nan|inf|None)\b', page)
    assert "there is nothing to compare" in page


def test_drift_values_that_are_not_numbers_are_left_out() -> None:
    """A feature that only has NaN has no row; the others keep theirs."""
    window = DriftWindow(at="2013-04-01", effects={"gone": float("nan"), "there": 0.5}, flagged=(), kind="ordinary")
    page = render(summary().but(drift=(window,), incidents=()))

    assert ">there</text>" in page
    assert ">gone</text>" not in page


def test_a_run_still_open_and_traffic_of_one_step_are_drawn() -> None:
    """A summary taken half-way is a page too."""
    base = summary()
    run = base.runs[0].but(ended=None, state="training", metrics={})
    step = TrafficStep(at=base.ended, split={run.run_id: 100}, phase="full", reason="at the last moment")
    page = render(base.but(runs=(run,), traffic=(step,)))

    assert ">training</td>" in page
    assert 'class="a0"' in page


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """``python -m console.report SUMMARY.json OUT.html`` gives what ``render`` gives."""
    (tmp_path / "s.json").write_text(summary().to_json())
    done = _command(tmp_path, "s.json", "r.html")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == render(summary())


@pytest.mark.parametrize("text", ["{}", "no json", ""])
def test_the_command_names_a_file_it_cannot_read(tmp_path: Path, text: str) -> None:
    """No page, exit 2, and the file's name."""
    (tmp_path / "s.json").write_text(text)
    done = _command(tmp_path, "s.json", "r.html")

    assert done.returncode == 2
    assert "s.json" in done.stderr
    assert not (tmp_path / "r.html").exists()


def test_the_command_names_a_time_it_cannot_read(tmp_path: Path) -> None:
    """A time that is no time is the summary's fault, and said as such."""
    (tmp_path / "s.json").write_text(summary().but(ended="yesterday").to_json())
    done = _command(tmp_path, "s.json", "r.html")

    assert done.returncode == 2
    assert "yesterday" in done.stderr


def _command(folder: Path, *names: str) -> "subprocess.CompletedProcess[str]":
    files = [str(folder / name) for name in names]
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "console.report", *files], cwd=root, capture_output=True, text=True, check=False
    )
