"""One message from arrival to answer: the only place that decides whether Pub/Sub delivers it again.

Returning acknowledges, raising asks for another delivery. Another delivery helps against a fault of our own store
or a lost race, and against nothing else, so only Temporary and Conflict leave this module.
"""

from collections.abc import Callable
from dataclasses import dataclass

from functions.envelope import Envelope, Event, Message, read, unwrap
from functions.logs import log, stack, trace_name
from functions.quarantine import put_aside
from functions.world import World
from retraining.audit import record_event
from retraining.errors import BadMessage, Conflict, Permanent, Temporary
from retraining.messages.body import MAX_BYTES
from retraining.messages.fields import brief


@dataclass(frozen=True)
class Answer:
    """What a handler did, for the log."""

    text: str
    model: str = ""
    trigger: str = ""  # keys of the triggers, comma-separated


@dataclass(frozen=True)
class Entry:
    """An entry point: its name, what it does with a message, and how long a message may be."""

    name: str
    handle: Callable[[World, Message], Answer]
    max_bytes: int = MAX_BYTES


def receive(event: Event, entry: Entry, world: World) -> None:
    """Read the message in ``event`` and handle it.

    Raises Temporary or Conflict, so that Pub/Sub delivers the message again; never anything else.
    """
    envelope = unwrap(event, world.intake.now)
    trace = trace_name(event.trace, world.settings.project)
    told = {"entry": entry.name, "message_id": envelope.message_id, "trace": trace}
    told |= {"subscription": brief(event.subscription), "topic": brief(event.topic)}
    try:
        if event.unreadable:
            raise BadMessage(event.unreadable)
        answer = entry.handle(world, read(envelope, entry.max_bytes))
    except (Temporary, Conflict) as error:
        log("WARNING", f"will be tried again: {error}", error=type(error).__name__, **told)
        raise
    except BadMessage as error:
        _refuse(world, entry, envelope, error, told)
    except Permanent as error:
        _give_up(world, entry, error, told)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not make Pub/Sub deliver the message for a day
        log("ERROR", f"unexpected {type(error).__name__} in {entry.name}", stack=stack(error), **told)
        _refuse(world, entry, envelope, error, told)
    else:
        log("INFO", answer.text, model=answer.model, trigger=answer.trigger, **told)


def _refuse(world: World, entry: Entry, envelope: Envelope, error: Exception, told: dict[str, str]) -> None:
    """Put the message aside and acknowledge it."""
    path = put_aside(world, entry.name, envelope, error)
    # What a defect says may quote the body; a refusal is worded here and quotes at most some characters.
    reason = (
        brief(str(error), 500)
        if isinstance(error, BadMessage)
        else f"defect in {entry.name}: {type(error).__name__}"
    )
    log("ERROR", f"message put aside: {reason}", error=type(error).__name__, quarantine=path, **told)
    now = world.intake.now()
    record_event(world.intake.store, now, "message put aside", "", reason=reason, entry=entry.name, path=path)


def _give_up(world: World, entry: Entry, error: Permanent, told: dict[str, str]) -> None:
    """Say what failed and acknowledge: the same message would fail again."""
    log("ERROR", f"cannot be done: {error}", error=type(error).__name__, **told)
    now = world.intake.now()
    reason = f"{type(error).__name__}: {error}"[:500]
    record_event(world.intake.store, now, "message failed", "", reason=reason, entry=entry.name)
