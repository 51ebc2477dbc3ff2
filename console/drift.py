"""``retrain drift``: incidents, what to do about them, the report of a model, and stored counts judged again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table

from console.collect import iso
from console.drift_compare import Said, compare, print_compared
from console.drift_distances import newest, print_newest
from console.session import BAD_INPUT, NOTHING, PATIENCE_SECONDS, Json, Session, fail, session, show
from monitoring import archive
from monitoring.advice import in_words
from monitoring.incident import rebase
from monitoring.judge import Spreads
from monitoring.log import window_unit
from monitoring.pages import Reign, reigns
from monitoring.records import Watch, history, watch_path
from monitoring.replay import by_days, replay, with_settings
from monitoring.tables import Statements
from monitoring.verdict import Judged
from retraining import names
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec
from retraining.reports import Baseline

app = typer.Typer(
    help="What drifted, what to do about it, and what other settings would have said.", no_args_is_help=True
)

Model = Annotated[str, typer.Argument(help="Which model.", metavar="MODEL")]
From = Annotated[str, typer.Option("--from", help="First day (UTC), like 2026-01-31.", metavar="DAY")]
To = Annotated[str, typer.Option("--to", help="Day after the last one.", metavar="DAY", show_default="today")]
DAYS = 120  # that a report looks back on
LESSONS = timedelta(days=61)  # before the first window, from which ordinary variation is learnt

Span = tuple[datetime, datetime]


@app.command()
def incidents(
    model: Model,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """The incidents of a model, newest first, and what each asks for.

    Example: retrain drift incidents flights
    """
    with session() as here:
        found = archive.incidents(here.store, here.model(model).name, last)
        data = [_line(one) for one in found]
        show(as_json, data, lambda: _print_incidents(data))


@app.command("show")
def show_incident(
    incident: Annotated[str, typer.Argument(help="The id of an incident, or a model: then its newest one.")],
    as_json: Json = False,
    out: Annotated[
        Path | None, typer.Option(help="Write its page here instead: charts, and what happened because of it.")
    ] = None,
) -> None:
    """All about one incident: features by importance × effect, what to do and why, and its course.

    Example: retrain drift show flights --out incident.html
    """
    with session() as here:
        found = _one(here, incident)
        if out is not None:
            _write(out, _incident_page(here, found))
            return
        show(as_json, found.model_dump(mode="json"), lambda: _print_incident(found))


@app.command("replay")
def replay_model(
    model: Model,
    since: From,
    until: To = "",
    alpha: Annotated[
        float | None, typer.Option(help="Chance of a false alarm per window, all features together.")
    ] = None,
    min_effect: Annotated[
        float | None, typer.Option(help="Smaller moves never count, in standard deviations.")
    ] = None,
    min_rows: Annotated[int | None, typer.Option(help="Windows are added up until they hold so many.")] = None,
    window: Annotated[str | None, typer.Option(help="hour or day.", show_default="as counted")] = None,
    as_json: Json = False,
) -> None:
    """Judge the stored counts again, with other settings; nothing is written, and the log is not read.

    Prints what would have been flagged and opened beside what was.

    Example: retrain drift replay flights --from 2026-01-01 --to 2026-02-01 --min-effect 0.2
    """
    with session() as here:
        spec = here.model(model)
        asked = _settings(spec, alpha=alpha, min_effect=min_effect, min_rows=min_rows, window=window)
        start, end = _day(since, "--from"), _day(until, "--to") if until else here.now()
        found = _reigns(here, _statements(here), spec, start - LESSONS, end)
        would = _again(asked, spec, found, (start, end), _broken(here, spec))
        if not would.verdicts:
            fail(f"{spec.name}: no window was counted from {start:%Y-%m-%d} to {end:%Y-%m-%d}", NOTHING)
        settings = asked.triggers.drift.model_dump(exclude_defaults=False) if asked.triggers.drift else {}
        data = compare(settings, _was(here, spec, (start, end)), would)
        show(as_json, data, lambda: print_compared(data))


@app.command("distances")
def show_distances(model: Model, as_json: Json = False) -> None:
    """The newest window in other tools' words: JSD, L-infinity, PSI and KS of each feature, beside our effect.

    They decide nothing here. Read from stored counts only.

    Example: retrain drift distances flights
    """
    with session() as here:
        spec = here.model(model)
        end = here.now()
        found = _reigns(here, _statements(here), spec, end - timedelta(days=DAYS), end)
        if not found:
            fail(f"{spec.name}: no window was counted in the last {DAYS} days", NOTHING)
        known = history(here.store, spec.name), archive.incidents(here.store, spec.name)
        data = newest(spec, found[-1], *known)
        show(as_json, data, lambda: print_newest(data))


@app.command()
def report(
    model: Model,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the page.", show_default="MODEL-drift.html")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="How far to look back.")] = DAYS,
) -> None:
    """Write one page, without anything from elsewhere: distributions, effects over time, incidents, performance.

    Example: retrain drift report flights --out /tmp/flights.html
    """
    from console.drift_report.collect import collect
    from console.drift_report.page import render

    with session() as here:
        spec = here.model(model)
        path = out or Path(f"{spec.name}-drift.html")
        end = here.now()
        statements = _statements(here)
        since = end - timedelta(days=days)
        found = _reigns(here, statements, spec, since, end)
        page = render(collect(here, statements, spec, found, (since, end)))
    _write(path, page)


def _write(path: Path, page: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    print(path)


def _incident_page(here: Session, incident: Incident) -> str:
    from console.drift_report.incident_page import render_incident
    from console.drift_report.incident_view import incident_view, runs_of, shown

    spec, now = here.model(incident.model), here.now()
    begin, end = shown(spec, incident, now)
    counted = _reigns(here, _statements(here), spec, begin - LESSONS, end)
    known = history(here.store, spec.name), archive.incidents(here.store, spec.name)
    return render_incident(incident_view(spec, incident, counted, *known, runs_of(here.store, incident, now), now))


def _settings(spec: ModelSpec, **changes: object) -> ModelSpec:
    """The model file with what the command line says; ends the command where it makes no sense."""
    if spec.triggers.drift is None:
        fail(f"model {spec.name} does not watch for drift: triggers.drift is not in its file", NOTHING)
    if changes.get("window") == "hour" and window_unit(spec) == "day":
        fail("--window: expected day, got hour; days were counted, and no hours are kept of them", BAD_INPUT)
    try:
        return with_settings(spec, **changes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        fail(f"{option}: {first['msg']}, got {first['input']}", BAD_INPUT)


def _day(text: str, option: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        fail(f"{option}: expected a day like 2026-01-31, got {text!r}", BAD_INPUT)


def _statements(here: Session) -> Statements:
    from gcp.bigquery import BigQuery, connect
    from gcp.drift_log import DriftStatements

    return DriftStatements(BigQuery(connect(here.settings.project)), here.settings.dataset)


def _reigns(
    here: Session, statements: Statements, spec: ModelSpec, since: datetime, until: datetime
) -> list[Reign]:
    from gcp.artifacts import GcsArtifacts
    from gcp.storage import connect as storage

    bucket = here.settings.artifact_bucket
    artifacts = GcsArtifacts(storage(here.settings.project), PATIENCE_SECONDS)

    def baseline_of(run_id: str) -> Baseline | None:
        body = artifacts.read(f"{names.artifact_uri(bucket, run_id)}/report/baseline.json")
        return Baseline.from_json(body) if body is not None else None

    place = (here.settings.project, here.settings.dataset)
    return reigns(statements, place, spec, (since, until), baseline_of)


def _broken(here: Session, spec: ModelSpec) -> list[datetime]:
    """The starts of the windows whose feed was broken, as far back as the monitor remembers."""
    stored = here.store.read(watch_path(spec.name))
    return [one.start for one in Watch.from_json(stored.body).arrivals if one.faults] if stored else []


def _again(asked: ModelSpec, spec: ModelSpec, found: list[Reign], span: Span, broken: Sequence[datetime]) -> Said:
    """Every model's windows judged with the settings of ``asked``, in the order in which they served."""
    learnt: Spreads = {}
    verdicts: list[Judged] = []
    incidents: list[Incident] = []
    for number, reign in enumerate(found):
        is_last = number + 1 == len(found)
        end = span[1] if is_last else found[number + 1].start
        begin = max(span[0], reign.start)
        longer = window_unit(asked) != window_unit(spec)
        windows = by_days(reign.windows) if longer else reign.windows
        if begin < end:
            told = replay(asked, reign.definitions, windows, begin, end, learnt, broken)
            learnt = told.learnt
            verdicts += told.verdicts
            incidents += told.incidents if is_last else _ended(told.incidents, end, found[number + 1].run_id)
    return Said(verdicts, incidents)


def _ended(found: Sequence[Incident], at: datetime, run_id: str) -> list[Incident]:
    """The incidents once the next model serves."""
    return [closed for one in found if (closed := rebase(one, at, run_id)[0]) is not None]


def _was(here: Session, spec: ModelSpec, span: Span) -> Said:
    """What the monitor concluded at the time, as far back as it keeps its verdicts."""
    verdicts = [one for one in history(here.store, spec.name) if span[0] <= one.start < span[1]]
    opened = [one for one in archive.incidents(here.store, spec.name) if span[0] <= (one.closed or span[1])]
    return Said(verdicts, [one for one in reversed(opened) if one.opened < span[1]])


def _one(here: Session, asked: str) -> Incident:
    """An incident by its id, or the newest one of a model."""
    model = asked if asked in here.models else asked.rpartition("-")[0]
    known = archive.incidents(here.store, model) if model in here.models else []
    found = next((one for one in known if asked in (one.incident_id, model)), None)
    return found or fail(f"{asked!r}: expected the id of an incident, or a model that has one", NOTHING)


def _line(one: Incident) -> dict[str, Any]:
    return {
        "incident": one.incident_id,
        "kind": one.kind,
        "opened": iso(one.opened),
        "closed": iso(one.closed) if one.closed else None,
        "features": dict(one.ranked),
        "do": one.do,
        "why": one.why,
    }


def _print_incidents(data: list[dict[str, Any]]) -> None:
    table = Table(Column("incident", no_wrap=True), "kind", "opened", "closed", "features", "do", box=None)
    for one in data:
        moved = ", ".join(f"{name} {effect:.2f}" for name, effect in list(one["features"].items())[:4])
        closed = one["closed"][:16] if one["closed"] else "open"
        table.add_row(one["incident"], one["kind"], one["opened"][:16], closed, moved, one["do"] or "-")
    Console(markup=False).print(table if data else "no incidents", highlight=False)


def _print_incident(one: Incident) -> None:
    console = Console(markup=False)
    until = f"closed {iso(one.closed)[:16]}" if one.closed else "open"
    console.print(f"{one.incident_id}  {one.kind}, opened {iso(one.opened)[:16]}, {until}", highlight=False)
    console.print(f"do: {one.do or 'not said'}: {one.why or 'the record is older than advice'}", highlight=False)
    if one.asked and one.asked != one.do:
        console.print(f"before, it asked to {one.asked}: {one.because}", highlight=False)
    table = Table("feature", "effect", "importance", "what moved", box=None)
    for name, effect in one.ranked:
        part = one.parts.get(name, "")
        table.add_row(name, f"{effect:.2f}", f"{one.importance.get(name, 1.0):g}", in_words(part) if part else "-")
    console.print(table, highlight=False)
    if one.course:
        course = Table("window until", "rows", "effects", box=None)
        for seen in one.course:
            shown = (f"{name} {seen.effects[name]:.2f}" for name, _ in one.ranked[:4] if name in seen.effects)
            course.add_row(iso(seen.end)[:16], f"{seen.rows:,}", ", ".join(shown))
        console.print(course, highlight=False)
