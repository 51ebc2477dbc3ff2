"""``retrain modules``: deliver the jobs' code and the model files to the bucket, and see what lies there."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from console import acting
from console.session import BAD_INPUT, NOTHING, PATIENCE_SECONDS, By, Json, Session, fail, session, show, user
from retraining.errors import BadRecord
from retraining.messages import manual
from retraining.messages.context import Context
from retraining.modules import ModuleSet, affected, request_id, specs

if TYPE_CHECKING:
    from gcp.modules import Modules, Published

app = typer.Typer(help="Code of the jobs and model files, as delivered to the bucket.", no_args_is_help=True)
ROOT = Path(__file__).parent.parent


@app.callback()
def group() -> None:
    """Code of the jobs and model files, as delivered to the bucket."""


@app.command()
def publish(
    commit: Annotated[str, typer.Option(help="The commit that the files are of; recorded.")] = "",
    image: Annotated[
        str, typer.Option(help="The image that jobs run in now. Another one than before concerns every model.")
    ] = "",
    source: Annotated[
        Path, typer.Option(help="Folder that holds trainer, retraining and models.", show_default="this checkout")
    ] = ROOT,
    by: By = "",
) -> None:
    """Copy changed files to the bucket, make them the current set, and ask once for a run of each model concerned.

    The same delivery again asks for the same runs, which are taken in once.

    Example: retrain modules publish --commit 1a2b3c4
    """
    with session() as here:
        bodies = collect(source)
        models = specs({path: body for path, body in bodies.items() if path.startswith("models/")})
        done = _modules(here).publish(ModuleSet.of(bodies, commit, here.now()), bodies, image, here.now())
        _say(done)
        code = {path: body.decode() for path, body in bodies.items() if path.endswith(".py")}
        concerned = affected(done.current, done.before, ModuleSet.of(bodies), code)
        surroundings = Context(models, here.settings.project, message_id="delivery", published=here.now())
        for model in concerned:
            request = request_id(done.current)
            body = {
                "model": model,
                "reason": f"delivery {done.current.sequence}"
                + (f" of commit {done.current.commit[:12]}" if done.current.commit else ""),
                "request_id": request,
                "actor": by or user(),
            }
            manual.parse(body, {}, surroundings)  # who would hear of a refusal once it is published?
            acting.publish(here, body)
            print(f"asked for a run of {model}, request {request}")
        if concerned:
            acting.hurry(here)
        else:
            print("no model is concerned: nothing that jobs run, and no model file, changed")


@app.command("show")
def show_current(as_json: Json = False) -> None:
    """Say which set new runs take, and what is in it.

    Example: retrain modules show
    """
    with session() as here:
        modules = _modules(here)
        current = modules.current()
        if current is None:
            fail("no module set was published yet; runs use the code of the image", NOTHING)
        found = modules.read_set(current.digest)
        data = {**json.loads(current.to_json()), "files": {file.path: file.sha256 for file in found.files}}
        table = Table(box=None, show_header=False)
        for name, value in (
            ("digest", current.digest),
            ("delivery", f"{current.sequence} at {current.at:%Y-%m-%d %H:%M} UTC" if current.at else "?"),
            ("commit", current.commit or "unknown"),
            ("image", current.image or "unknown"),
            ("before it", current.previous or "none"),
            ("files", str(len(found.files))),
            ("models", ", ".join(Path(file.path).stem for file in found.models)),
            ("followed", "yes" if here.settings.modules else "no: RETRAIN_MODULES is not set to current"),
        ):
            table.add_row(name, value)
        show(as_json, data, lambda: Console(markup=False).print(table, highlight=False))


def collect(source: Path) -> dict[str, bytes]:
    """The files of a set below ``source``; ends the command when one is no Python or no text."""
    found = {
        path.relative_to(source).as_posix(): path.read_bytes()
        for pattern in ("trainer/**/*.py", "retraining/**/*.py", "models/*.yaml")
        for path in source.glob(pattern)
        if path.is_file()
    }
    if not any(path.startswith("trainer/") for path in found):
        fail(f"{source}: expected the folders trainer, retraining and models", BAD_INPUT)
    for path, body in found.items():
        try:
            if path.endswith(".py"):
                compile(body, path, "exec")
            body.decode()
        except (SyntaxError, ValueError) as error:
            fail(f"{path}: {error}", BAD_INPUT)
    try:
        ModuleSet.of(found)
    except BadRecord as error:
        fail(str(error), BAD_INPUT)
    return found


def _modules(here: Session) -> "Modules":
    from gcp.modules import Modules
    from gcp.storage import connect
    from gcp.store import GcsStore

    return Modules(GcsStore(connect(here.settings.project), here.settings.artifact_bucket, PATIENCE_SECONDS))


def _say(done: "Published") -> None:
    what = f"module set {done.current.digest[:16]}, delivery {done.current.sequence}"
    if not done.moved:
        print(f"{what}: everything was there already")
        return
    print(f"{what}: {len(done.copied)} files copied")
