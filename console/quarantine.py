"""``retrain quarantine``: messages that nobody could read, why, and a second try for one of them."""

import base64
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from console.session import (
    BAD_INPUT,
    NOTHING,
    PATIENCE_SECONDS,
    By,
    Json,
    Session,
    fail,
    session,
    show,
    user,
)
from retraining.audit import record_event

MOST = 1000  # records that are read for a list: their names do not say when they were written
SHORT = 12  # characters of an id that people see
_READERS = 16


def quarantine(
    message: Annotated[
        str, typer.Argument(help="A message, by the first characters of its id: then all about it.", metavar="[ID]")
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Publish the message once more, for example after its model was added.")
    ] = False,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many, newest first.")] = 20,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Messages that were put aside because they could not be read, with the reason.

    Example: retrain quarantine 3f2a9c --again
    """
    with session() as here:
        if not message:
            if again:
                fail("--again: expected the id of a message, got none", BAD_INPUT)
            _list(here, last, as_json)
            return
        found = _one(here, message)
        if again:
            _publish(here, found, by or user())
        else:
            show(as_json, found, lambda: _print(found))


def _list(here: Session, last: int, as_json: bool) -> None:
    paths = here.store.list("quarantine/")
    with ThreadPoolExecutor(_READERS) as readers:
        found = [record for record in readers.map(lambda path: _read(here, path), paths[:MOST]) if record]
    found.sort(key=lambda record: str(record.get("at")), reverse=True)
    show(as_json, found[:last], lambda: _print_list(found[:last]))
    if len(paths) > MOST:
        Console(stderr=True).print(f"{len(paths)} messages are put aside; only {MOST} of them were looked at")


def _one(here: Session, start: str) -> dict[str, Any]:
    paths = here.store.list(f"quarantine/{start}") if start.isalnum() else []
    if len(paths) != 1:
        few = ", ".join(_id(path)[: len(start) + 4] for path in paths[:5])
        fail(
            f"{start!r}: expected the id of one message, got that of {len(paths)}{': ' if few else ''}{few}",
            NOTHING,
        )
    record = _read(here, paths[0])
    if record is None:
        fail(f"{paths[0]}: expected a record of a message, got something else", NOTHING)
    return record


def _read(here: Session, path: str) -> dict[str, Any] | None:
    """A record with its id; None when it is gone or no record."""
    stored = here.store.read(path)
    try:
        record = json.loads(stored.body) if stored else None
    except ValueError:
        return None
    return {"id": _id(path), **record} if isinstance(record, dict) else None


def _id(path: str) -> str:
    return path.removeprefix("quarantine/").removesuffix(".json")


def _publish(here: Session, record: Mapping[str, Any], actor: str) -> None:
    """Send the message to the topic that its entry point listens to."""
    kept = record.get("again")
    if not isinstance(kept, dict):
        fail(f"{record['id'][:SHORT]}: not all of it was kept, so that its sender has to send it again", NOTHING)
    from gcp.bus import PubsubBus

    topic = _topic(str(record.get("entry")))
    body = base64.b64decode(kept["data"]).decode()
    if not body and not kept["attributes"]:
        fail(f"{record['id'][:SHORT]}: the message is empty, and Pub/Sub carries none such", NOTHING)
    PubsubBus(here.settings.project, PATIENCE_SECONDS).publish(topic, body, kept["attributes"])
    details = {"path": f"quarantine/{record['id']}.json", "actor": actor, "topic": topic}
    record_event(here.store, here.now(), "message published again", "", **details)
    print(f"published to {topic}; what comes of it: retrain events")


def _topic(entry: str) -> str:
    """Where this entry point's messages come from."""
    from local.stack.resources import load_resources

    topics = [one.topic for one in load_resources().subscriptions.values() if one.function == entry]
    if not topics:
        fail(f"{entry!r}: no topic leads to an entry point of this name", NOTHING)
    return topics[0]


def _print_list(found: list[dict[str, Any]]) -> None:
    table = Table(Column("message", no_wrap=True), "put aside", "entry point", "reason", box=None)
    for record in found:
        at, entry, reason = (_plain(record.get(name), 300) for name in ("at", "entry", "reason"))
        table.add_row(record["id"][:SHORT], at[:16], entry, reason)
    Console(markup=False).print(table if found else "no messages are put aside", highlight=False)


def _print(record: Mapping[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    for name, value in record.items():
        if name != "again":
            table.add_row(f"  {name}", _plain(value, 2000))
    table.add_row("  again", "possible" if record.get("again") else "not possible: not all of it was kept")
    Console(markup=False).print(table, highlight=False)


def _plain(value: object, limit: int) -> str:
    """Somebody else's text on a terminal: nothing but what can be printed."""
    return "".join(sign if sign.isprintable() else "·" for sign in str(value)[:limit])
