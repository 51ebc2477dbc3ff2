"""The ``retrain`` command: one group of commands for each thing people do."""

import typer

from console import local

app = typer.Typer(
    name="retrain",
    help="Keep the models of a team fresh: look, ask, decide, and run all of it on one machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(local.app, name="local")


if __name__ == "__main__":
    app()
