"""Reads what the page of a model is made of: records and stored counts, never the log."""

from collections.abc import Sequence
from datetime import datetime

from console.drift_report.view import View, view
from console.session import NOTHING, Session, fail
from monitoring import archive
from monitoring.labels import LabelLog
from monitoring.log import Subject
from monitoring.pages import Reign
from monitoring.performance import DayCounts
from monitoring.records import history
from monitoring.tables import Statements
from retraining.errors import Refused
from retraining.modelspec import ModelSpec


def collect(
    here: Session,
    statements: Statements,
    spec: ModelSpec,
    reigns: Sequence[Reign],
    span: tuple[datetime, datetime],
) -> View:
    """The view of a model over [start, end). Ends the command when nothing was counted."""
    if not reigns:
        fail(f"{spec.name}: no window was counted from {span[0]:%Y-%m-%d} on", NOTHING)
    verdicts = history(here.store, spec.name)
    incidents = archive.incidents(here.store, spec.name)
    return view(spec, reigns, verdicts, incidents, _days(here, statements, spec, reigns[-1], span), span)


def _days(
    here: Session, statements: Statements, spec: ModelSpec, reign: Reign, span: tuple[datetime, datetime]
) -> list[DayCounts]:
    """The days whose labels were joined; none in an installation that does not join any yet."""
    log = LabelLog(statements, here.settings.project, here.settings.dataset)
    try:
        return log.days(Subject(spec, reign.deployed_id, reign.definitions), *span)
    except Refused:
        return []
