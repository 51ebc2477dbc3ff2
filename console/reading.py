"""Commands that only read: status, runs, explain, events."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from console.collect import iso
from console.newest import newest_events, newest_runs
from console.session import NOTHING, Json, Session, fail, session, show
from console.telling import print_story
from retraining import names, story
from retraining.audit import AuditEvent
from retraining.incidents import Incident
from retraining.modelspec import ModelSpec
from retraining.records import Run, RunState
from retraining.state import read_money, read_rollout, read_run, read_state

Last = Annotated[int, typer.Option("--last", "-n", min=1, help="How many, newest first.")]


def status(
    model: Annotated[str, typer.Argument(help="Only this model.", show_default="all models")] = "",
    as_json: Json = False,
) -> None:
    """What is going on: who serves, what runs, what was decided last, and why.

    Example: retrain status flights
    """
    with session() as here:
        names_ = [here.model(model).name] if model else sorted(here.models)
        data = [_status(here, here.models[name]) for name in names_]
        show(as_json, data, lambda: _print_all(data))


def _status(here: Session, spec: ModelSpec) -> dict[str, Any]:
    state, _ = read_state(here.store, spec.name)
    rollout, _ = read_rollout(here.store, spec.endpoint, spec.name)
    money, _ = read_money(here.store, spec.name, here.now())
    stored = here.store.read(names.incident_path(spec.name))
    incident = Incident.from_json(stored.body) if stored else None
    ended = newest_runs(here.store, [spec.name], here.now(), 1, lambda run: run.state.ended)
    decided = ended[0] if ended else None
    return {
        "model": spec.name,
        "owner": spec.owner,
        "champion": rollout.champion.run_id if rollout.champion else None,
        "rollout": {"phase": rollout.phase.value, "reason": rollout.reason, "split": rollout.confirmed},
        "active": _brief(here, state.active_run),
        "waiting": _brief(here, state.waiting_run),
        "last": f"{decided.run_id} {decided.state.value}: {decided.history[-1].reason}" if decided else None,
        "paused": f"by {state.paused.by} since {iso(state.paused.at)}: {state.paused.reason}"
        if state.paused
        else None,
        "incident": f"{incident.kind} since {iso(incident.opened)}: {', '.join(incident.features)}"
        if incident and incident.closed is None
        else None,
        "budget": {
            "spent": round(sum(money.spent.values()), 4),
            "committed": round(money.committed, 4),
            "limit": spec.policy.budget.per_month,
        },
    }


def _brief(here: Session, run_id: str) -> str | None:
    found = read_run(here.store, run_id) if run_id else None
    return f"{run_id} {found[0].state.value} since {iso(found[0].entered)}" if found else None


def _print_all(data: list[dict[str, Any]]) -> None:
    for one in data:
        _print_status(one)


def _print_status(data: dict[str, Any]) -> None:
    table = Table(title=data["model"], title_justify="left", title_style="bold", show_header=False, box=None)
    split = ", ".join(f"{key} {percent} %" for key, percent in data["rollout"]["split"].items())
    budget = data["budget"]
    rows = {
        "serves": data["champion"] or "nothing yet",
        "rollout": f"{data['rollout']['phase']} {f'({split})' if split else ''} {data['rollout']['reason']}",
        "active run": data["active"] or "none",
        "waiting run": data["waiting"] or "none",
        "last ended": data["last"] or "none",
        "paused": data["paused"] or "no",
        "incident": data["incident"] or "none",
        "this month": f"{budget['spent']} spent, {budget['committed']} committed of {budget['limit']}",
    }
    for key, value in rows.items():
        table.add_row(f"  {key}", value)
    Console(markup=False).print(table, highlight=False)


def runs(
    model: Annotated[str, typer.Argument(help="Only this model.", show_default="all models")] = "",
    last: Last = 20,
    state: Annotated[RunState | None, typer.Option("--state", help="Only runs in this state.")] = None,
    as_json: Json = False,
) -> None:
    """The latest runs, newest first.

    Example: retrain runs flights --state skipped
    """
    with session() as here:
        models = [here.model(model).name] if model else list(here.models)
        found = newest_runs(here.store, models, here.now(), last, lambda run: state in (None, run.state))
        data = [_line(run) for run in found]
        show(as_json, data, lambda: _print_runs(data))


def _line(run: Run) -> dict[str, str]:
    return {
        "run": run.run_id,
        "state": run.state.value,
        "since": iso(run.entered),
        "causes": "+".join(dict.fromkeys(cause.kind.value for cause in run.causes)),
        "reason": run.history[-1].reason if run.history else "",
    }


def _print_runs(data: list[dict[str, str]]) -> None:
    table = Table(Column("run", no_wrap=True), "state", "since", "asked by", "reason", box=None)
    for line in data:
        table.add_row(line["run"], line["state"], line["since"][:16], line["causes"], line["reason"])
    Console(markup=False).print(table if data else "no runs", highlight=False)


def explain(
    what: Annotated[str, typer.Argument(help="A run, or a model: then what serves now.", metavar="RUN|MODEL")],
    as_json: Json = False,
) -> None:
    """The whole story of a run, or of what serves now: triggers, decision, data, parameters, metrics, traffic, who.

    Example: retrain explain flights
    """
    with session() as here:
        found = _story(here, what)
        if found is None:
            fail(f"{what!r}: expected a run, or one of the models {', '.join(sorted(here.models))}", NOTHING)
        show(as_json, found.model_dump(mode="json"), lambda: print_story(found))


def _story(here: Session, what: str) -> story.Story | None:
    if what in here.models:
        told = story.of_model(here.store, here.models[what])
        if told is None:
            fail(f"{what}: no model serves yet", NOTHING)
        return told
    found = read_run(here.store, what)
    if found is None or found[0].model not in here.models:
        return None
    return story.of_run(here.store, here.models[found[0].model], what)


def events(
    model: Annotated[str, typer.Argument(help="Only this model.", show_default="all models")] = "",
    last: Last = 30,
    as_json: Json = False,
) -> None:
    """The end of the audit: decisions, effects and what people did.

    Example: retrain events flights --last 50
    """
    with session() as here:
        if model:
            here.model(model)
        found = newest_events(here.store, model, here.now(), last)
        data = [event.model_dump(mode="json") for event in reversed(found)]
        show(as_json, data, lambda: [print(_event(event)) for event in reversed(found)])


def _event(event: AuditEvent) -> str:
    details = " ".join(f"{key}={value}" for key, value in event.details.items() if value)
    return f"{event.at:%Y-%m-%d %H:%M} {event.model} {event.run_id or '-'} {event.what} {details}"
