"""A page's worth of traffic: twelve features of flights over 120 days with a weekly season, a broken feed in the
sixth week and a changed world from the fourteenth on, which the labels confirm; and a holiday on which people
flew otherwise."""

from datetime import UTC, datetime, timedelta
from functools import cache
from math import log
from pathlib import Path

import numpy as np
from scipy import stats

from console.drift_report.incident_view import IncidentView, incident_view
from console.drift_report.view import View, view
from monitoring.baseline import PREDICTION, Definition, Definitions
from monitoring.counts import Counts
from monitoring.log import Windows
from monitoring.looking import advance
from monitoring.pages import Reign
from monitoring.performance import MICRO, Bin, DayCounts
from monitoring.records import Watch
from monitoring.replay import with_settings
from monitoring.verdict import Judged
from retraining.incidents import Incident
from retraining.modelfile import load_models
from retraining.modelspec import Holiday
from retraining.records import Run

RUN = "flights-20260601-030000-4f1e"
FIRST = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
DAYS, CELLS, DELAY = 120, 20, 5
BROKEN, CHANGED = range(40, 47), 100
FEAST = 33
SPEC = with_settings(
    load_models(Path(__file__).parents[2] / "models")["flights"],
    holidays=(Holiday(first=(FIRST + timedelta(days=FEAST)).date(), name="Independence Day"),),
)
CARRIERS = ("WN", "DL", "AA", "OO", "EV", "UA", "MQ", "US", "B6", "AS")
AIRPORTS = ("ATL", "ORD", "DFW", "DEN", "LAX", "PHX", "SFO", "IAH", "LAS", "MSP", "MCO", "SEA", "DTW", "BOS")
NUMBERS = {
    "dep_delay": (9.0, 28.0),
    "taxi_out": (16.0, 8.0),
    "distance": (780.0, 560.0),
    "dep_hour": (13.4, 4.7),
    "dep_lat": (36.9, 5.8),
    "dep_lon": (-95.2, 17.6),
    "arr_lat": (36.9, 5.8),
    "arr_lon": (-95.2, 17.6),
}
CATEGORIES = {"carrier": CARRIERS, "origin": AIRPORTS, "dest": AIRPORTS}


@cache
def sample() -> View:
    """The page as it would be on the last day."""
    reign, verdicts, incidents = lived()
    return view(SPEC, [reign], verdicts, incidents, answered(), (FIRST, FIRST + timedelta(days=DAYS)))


@cache
def lived() -> tuple[Reign, list[Judged], list[Incident]]:
    """What was counted and concluded by then; incidents newest first."""
    definitions, windows = traffic()
    watch = Watch(model="flights", run_id=RUN, deployed_id="1", since=FIRST, judged_until=FIRST)
    verdicts: list[Judged] = []
    incidents: dict[str, Incident] = {}
    for day in range(1, DAYS + 1):
        watch, found = advance(SPEC, definitions, watch, windows, FIRST + timedelta(days=day), muted=False)
        verdicts += found
        if watch.incident:
            incidents[watch.incident.incident_id] = watch.incident
    return Reign(RUN, "1", definitions, windows), verdicts, list(incidents.values())[::-1]


def incident_page(number: int, runs: tuple[Run, ...] = ()) -> IncidentView:
    """The page of one of the incidents, newest first."""
    reign, verdicts, incidents = lived()
    end = FIRST + timedelta(days=DAYS)
    return incident_view(SPEC, incidents[number], [reign], verdicts, incidents, runs, end)


def traffic() -> tuple[Definitions, Windows]:
    """Counts by day, drawn cell by cell."""
    random = np.random.default_rng(7)
    defined = {name: _define(name) for name in (*NUMBERS, *CATEGORIES, PREDICTION)}
    windows: Windows = {}
    for day in range(DAYS):
        weekend = day % 7 >= 5
        rows = int(2600 * (0.75 if weekend else 1.0) * random.normal(1, 0.03))
        found = {}
        for name, one in defined.items():
            shift = 0.12 * weekend + 0.03 * float(random.normal())
            if day == FEAST:
                shift += {"dep_hour": -0.5, "distance": 0.4}.get(name, 0.0)
            if day >= CHANGED:
                shift += {"dep_delay": 0.45, "taxi_out": 0.3, PREDICTION: 0.28}.get(name, 0.0)
            missing = 0.24 if name == "dep_lat" and day in BROKEN else 0.01
            found[name] = _draw(one, rows, shift, missing, random)
        windows[FIRST + timedelta(days=day)] = found
    return Definitions(RUN, defined), windows


def _define(name: str) -> Definition:
    weight = SPEC.features[name].importance if name in SPEC.features else 1.0
    if name in CATEGORIES:
        shares = np.array([1 / (place + 2) for place in range(len(CATEGORIES[name]))])
        cells = tuple(int(n) for n in 19_800 * shares / shares.sum())
        counts = Counts(sum(cells) + 200, 200, 0, 0, 0, 0, (*cells, 0))
        return Definition(name, "categorical", counts, categories=CATEGORIES[name], importance=weight)
    share = np.arange(1, CELLS) / CELLS
    middle, spread = NUMBERS.get(name, (0.0, 1.0))
    edges = middle + spread * stats.norm.ppf(share) if name != PREDICTION else stats.beta.ppf(share, 5, 1.4)
    training = Counts(20_000, 200, 0, 0, 1, 1, (990,) * CELLS)
    return Definition(name, "numeric", training, tuple(float(edge) for edge in edges), importance=weight)


def _draw(one: Definition, rows: int, shift: float, missing: float, random: np.random.Generator) -> Counts:
    null = int(random.binomial(rows, missing))
    cells = np.array(one.training.cells[: -1 if one.kind == "categorical" else None], dtype=float)
    edges = stats.norm.ppf(np.cumsum(cells[:-1]) / cells.sum())
    by = shift if one.kind == "numeric" else shift / 4
    shares = np.diff(np.concatenate([[0.0], stats.norm.cdf(edges - by), [1.0]]))
    found = [int(n) for n in random.multinomial(rows - null, shares / shares.sum())]
    return Counts(rows, null, 0, 0, 0, 0, (*found, 0) if one.kind == "categorical" else tuple(found))


def answered() -> list[DayCounts]:
    """Answers and labels by prediction day, in all and by carrier; the last days wait for theirs."""
    random = np.random.default_rng(11)
    found = []
    for day in range(DAYS):
        for column, value, rows in (
            ("", "", 2500),
            *(("carrier", one, 280 - 60 * n) for n, one in enumerate(CARRIERS[:4])),
        ):
            harder = 0.04 if value == "EV" else 0.02 * CARRIERS.index(value) if value else 0.0
            bins = [_cell(rows // 10, (n + 0.5) / 10, day, harder, random) for n in range(10)]
            found.append(DayCounts(FIRST + timedelta(days=day), tuple(bins), column, value))
    return found


def _cell(rows: int, score: float, day: int, harder: float, random: np.random.Generator) -> Bin:
    true = 0.5 + (score - 0.5) * (0.6 if day >= CHANGED else 1.0) * (1 - 5 * harder)
    n = int(random.poisson(rows))
    if day >= DAYS - DELAY:
        return Bin(answered=n, score=0)
    positive = int(random.binomial(n, min(0.99, max(0.01, true))))
    ones, zeros = -log(score), -log(1 - score)
    return Bin(
        answered=n,
        due=n,
        labelled=n,
        positive=positive,
        correct=positive if score >= 0.5 else n - positive,
        score=int(n * score * MICRO),
        label=positive * MICRO,
        loss=int((positive * ones + (n - positive) * zeros) * MICRO),
        loss_sq=int((positive * ones**2 + (n - positive) * zeros**2) * MICRO),
        error=int((positive * (1 - score) ** 2 + (n - positive) * score**2) * MICRO),
        error_sq=int((positive * (1 - score) ** 4 + (n - positive) * score**4) * MICRO),
    )
