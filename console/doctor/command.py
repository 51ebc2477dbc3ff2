"""``retrain doctor``: what is wrong with the installation that ``RETRAIN_*`` describes, and how to mend it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from console.deploy import values
from console.doctor import configured
from console.doctor.finding import Report, Skipped
from console.doctor.wanted import TERRAFORM, wanted
from console.session import Json, show
from retraining.errors import BadConfig, RetrainingError
from retraining.modelfile import load_models
from retraining.settings import Settings

REST = "RETRAIN_GOOGLE_REST"  # another base address than https://SERVICE.googleapis.com, for tests
CLOUD_SECONDS, HERE_SECONDS = 10.0, 3.0  # for one answer: a person waits


def doctor(
    as_json: Json = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also write, read and delete an object in each bucket of records.")
    ] = False,
) -> None:
    """Compare the installation with what it must have; each finding comes with the command that mends it.

    Ends with 0 when all is well, 1 with findings, 2 when nothing could be looked at.

    Example: retrain doctor --probe
    """
    report = examine(os.environ, probe)
    show(as_json, report.to_json(), lambda: render(report))
    raise typer.Exit(report.code)


def examine(environ: Mapping[str, str], probe: bool = False, folder: Path = TERRAFORM) -> Report:
    """Look at everything that can be looked at. ``folder`` holds the Terraform files."""
    try:
        settings = Settings.from_env(environ)
        models = load_models(folder.parent / settings.models)
        must = wanted(settings, models, environ, folder)
    except BadConfig as error:
        finding = configured.unusable(error)
        return Report((finding.check,), (finding,), ())
    from console.doctor.checks import Visit, look
    from gcp.clock import clock
    from gcp.errors import translated
    from gcp.google_rest import connect
    from gcp.installation import Installation
    from gcp.storage import connect as connect_storage
    from gcp.store import GcsStore

    google = None
    try:
        if must.cloud or environ.get(REST):
            google = connect(settings.project, settings.region, environ.get(REST, ""))
        with translated("finding credentials (gcloud auth application-default login)"):
            store = GcsStore(connect_storage(settings.project), settings.state_bucket, HERE_SECONDS)
    except RetrainingError as error:
        return Report((), (), (Skipped("everything", str(error)),))
    known = values.of_project(folder, settings.project)
    here = Installation(
        settings, environ.get("RETRAIN_SCHEDULER_API", ""), CLOUD_SECONDS if must.cloud else HERE_SECONDS
    )
    return look(
        Visit(
            must,
            here,
            google,
            store,
            clock(settings.clock),
            region=known.region if known else None,
            probe=probe,
        )
    )


def render(report: Report) -> None:
    """Print it for people; every command that mends stands on a line of its own."""
    console = Console(markup=False, highlight=False)
    if report.findings:
        table = Table("", "check", "", "what is wrong", box=None, padding=(0, 1, 0, 0))
        for number, one in enumerate(report.findings, 1):
            table.add_row(str(number), one.check, one.severity, one.what)
        console.print(table)
        console.print("\nWhat mends it:")
        for number, one in enumerate(report.findings, 1):
            console.print(f"{one.mend}  # {number}", soft_wrap=True)
        console.print()
    for skip in report.skipped:
        console.print(f"not looked at: {skip.check}: {skip.why}", soft_wrap=True)
    wrong, errors = len(report.findings), sum(one.severity == "error" for one in report.findings)
    console.print(f"{len(report.looked)} checks done, {len(report.skipped)} not; {wrong} findings, {errors} errors")
