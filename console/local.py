"""``retrain local``: the whole system on this machine, started, looked at and stopped."""

import shlex
import time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from local.stack import client
from local.stack.layout import Layout
from local.stack.options import Options, parse_clock
from local.stack.ports import PortInUse
from local.stack.run import AlreadyRunning
from local.stack.run import run as supervise
from local.stack.status import Status
from local.stack.supervisor import READY, StartFailed
from retraining.errors import BadConfig

app = typer.Typer(help="The whole system on this machine.", no_args_is_help=True)

State = Annotated[Path, typer.Option("--state", help="Folder of everything the stack stores.")]
STATE = Path(".local")


@app.command()
def up(
    state: State = STATE,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay until Ctrl-C.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what is stored first.")] = False,
    clock: Annotated[
        str,
        typer.Option(help="START*SPEED, for example '2013-01-01T00:00:00Z*2000'; the system's clock without it."),
    ] = "",
    port: Annotated[
        list[str] | None, typer.Option("--port", help="NAME=NUMBER, for example bigquery=9050; may be repeated.")
    ] = None,
    models: Annotated[str, typer.Option(help="Folder with the model files.")] = "models",
) -> None:
    """Start all servers and create what they hold. Said again while it runs, it only says where."""
    layout = Layout.at(state)
    if status := client.running(layout):
        typer.echo(f"The stack in {layout.root} runs already.")
        _show(status)
        return
    try:
        options = Options(clock=clock, ports=_ports(port or []), models=models)
        if clock:
            parse_clock(clock)
        if foreground:
            _up_here(layout, options, fresh)
        else:
            process = client.launch(layout, options, fresh=fresh)
            try:
                status = client.wait_ready(layout, process, typer.echo)
            except KeyboardInterrupt:
                client.stop(layout)
                raise
            _show(status)
            typer.echo(f'Use it with: eval "$(retrain local env --state {state})"')
    except (AlreadyRunning, BadConfig, PortInUse, StartFailed) as error:
        _fail(str(error))


@app.command()
def down(state: State = STATE) -> None:
    """Stop everything; what is stored stays."""
    layout = Layout.at(state)
    typer.echo("Stopped." if client.stop(layout) else f"Nothing runs in {layout.root}.")


@app.command()
def status(state: State = STATE) -> None:
    """Say what runs and where. Ends with 1 when nothing does."""
    layout = Layout.at(state)
    running = client.running(layout)
    if running is None:
        last = Status.read(layout.status)
        _fail(last.error or f"nothing runs in {layout.root}; start it with: retrain local up")
    _show(running)


@app.command()
def env(state: State = STATE) -> None:
    """Print the variables that lead Google's clients and this command to the stack."""
    running = client.running(Layout.at(state))
    if running is None:
        _fail("nothing runs; start it with: retrain local up")
    for name, value in sorted(running.env.items()):
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def logs(
    server: Annotated[str, typer.Argument(help="A server; all names without it.")] = "",
    state: State = STATE,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay and print what comes.")] = False,
) -> None:
    """Print what a server has said."""
    known = client.logs(Layout.at(state))
    if not server:
        typer.echo("\n".join(known))
        return
    if server not in known:
        _fail(f"server: expected one of {', '.join(known)}; got {server!r}")
    with known[server].open(errors="replace") as log:
        while True:
            typer.echo(log.read(), nl=False)
            if not follow:
                return
            time.sleep(0.3)


def _up_here(layout: Layout, options: Options, fresh: bool) -> None:
    options.write(layout.options)

    def report(line: str) -> None:
        typer.echo(line)
        if line == READY:
            _show(Status.read(layout.status))
            typer.echo("Ctrl-C stops it.")

    supervise(layout.root, fresh=fresh, leased=False, report=report)
    typer.echo("Stopped.")


def _ports(pairs: list[str]) -> dict[str, int]:
    ports = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if not number.isdigit() or not 0 < int(number) < 65_536:
            raise BadConfig(f"--port: expected NAME=NUMBER such as bigquery=9050, got {pair!r}")
        ports[name] = int(number)
    return ports


def _show(status: Status) -> None:
    for name, server in status.servers.items():
        where = "  ".join(server.addresses)
        again = f"  started again {server.restarts} times" if server.restarts else ""
        typer.echo(f"  {name:10} {server.phase.value:10} {where}{again}")


def _fail(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(1)
