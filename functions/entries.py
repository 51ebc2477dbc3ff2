"""What each entry point does with a message: find its format, parse it, write the triggers down or start a tick."""

from functions.deployed import serving_model
from functions.envelope import Message
from functions.judged import verdicts
from functions.message import Answer, Entry
from functions.world import Tick, World
from retraining.audit import record_event
from retraining.errors import BadMessage
from retraining.intake import accept
from retraining.messages import (
    anomaly,
    audit_log,
    drift_incident,
    hints,
    manual,
    monitoring_incident,
    schedule,
    transfer_run,
    watermark_tick,
)
from retraining.messages.context import Context, Ignored, Parsed, tidy
from retraining.messages.fields import brief, kind_of
from retraining.watermark import WatermarkWorld, check

LOG_ENTRY_BYTES = 256 * 1024  # Cloud Logging's own limit: an entry with a long query is long and still ordinary


def _context(world: World, message: Message) -> Context:
    intake = world.intake
    return Context(
        models=intake.models,
        project=world.settings.project,
        message_id=message.id,
        published=message.published,
        principals=world.settings.principals,
        serves=lambda deployed_id: serving_model(intake.store, intake.models, deployed_id),
        judged=lambda spec, deployed_id: verdicts(intake.store, spec, deployed_id),
    )


def _conclude(world: World, parsed: Parsed) -> Answer:
    """Write the triggers down, or say why there are none."""
    if isinstance(parsed, Ignored):
        reason, model = brief(parsed.reason, 500), brief(parsed.model)
        if parsed.audit:
            record_event(world.intake.store, world.intake.now(), parsed.audit, model, reason=reason)
        return Answer(f"ignored: {reason}", model)
    found = [tidy(trigger) for trigger in parsed]
    new = [trigger for trigger in found if accept(world.intake, trigger)]
    text = "trigger accepted" if new else "nothing new" if found else "nothing to ask for"
    models = ",".join(sorted({trigger.model for trigger in found}))
    return Answer(text, models, ",".join(sorted({trigger.key for trigger in found})))


def _data(world: World, message: Message) -> Answer:
    payload, attributes, context = message.payload, message.attributes, _context(world, message)
    if watermark_tick.is_tick(payload, attributes):
        return _watermarks(world, message, context)
    if audit_log.is_entry(payload):
        return _conclude(world, audit_log.parse(payload, attributes, context))
    if transfer_run.is_run(payload, attributes):
        return _conclude(world, transfer_run.parse(payload, attributes, context))
    raise BadMessage(
        f"body: expected an audit log entry of BigQuery, a transfer run or {watermark_tick.EXAMPLE}, "
        f"got {kind_of(payload)}"
    )


def _watermarks(world: World, message: Message, context: Context) -> Answer:
    specs = watermark_tick.parse(message.payload, message.attributes, context)
    if not specs:
        return _conclude(world, Ignored("no model asks for runs on new data"))
    look = WatermarkWorld(world.intake.store, world.warehouse(), world.intake.now)
    found = [check(look, spec) for spec in specs]
    return _conclude(world, [trigger.but(message_id=message.id) for trigger in found if trigger])


def _drift(world: World, message: Message) -> Answer:
    payload, attributes, context = message.payload, message.attributes, _context(world, message)
    if drift_incident.is_incident(payload):
        return _conclude(world, drift_incident.parse(payload, attributes, context))
    if monitoring_incident.is_incident(payload):
        return _conclude(world, monitoring_incident.parse(payload, attributes, context))
    if anomaly.is_entry(payload):
        return _conclude(world, anomaly.parse(payload, attributes, context))
    raise BadMessage(
        "body: expected an incident of the monitor, of Cloud Monitoring or of Vertex AI Model Monitoring, "
        f"got {kind_of(payload)}"
    )


def _schedule(world: World, message: Message) -> Answer:
    return _conclude(world, schedule.parse(message.payload, message.attributes, _context(world, message)))


def _manual(world: World, message: Message) -> Answer:
    return _conclude(world, manual.parse(message.payload, message.attributes, _context(world, message)))


def _tick(tick: Tick, message: Message, *kinds: hints.HintKind) -> Answer:
    hint = hints.parse(message.payload, message.attributes, kinds)
    if isinstance(hint, Ignored):
        return Answer(f"ignored: {hint.reason}")
    tick(hint)
    return Answer(f"{hint.kind} done", trigger=hint.run_id or hint.job_id)


ON_DATA = Entry("on_data", _data, LOG_ENTRY_BYTES)
ON_DRIFT = Entry("on_drift", _drift, LOG_ENTRY_BYTES)
ON_SCHEDULE = Entry("on_schedule", _schedule)
ON_MANUAL = Entry("on_manual", _manual)
ON_MONITOR = Entry("on_monitor", lambda world, message: _tick(world.monitor_tick, message, "tick"))
ON_TICK = Entry(
    "on_tick", lambda world, message: _tick(world.run_tick, message, "tick", "job-ended"), LOG_ENTRY_BYTES
)
# It listens to the ticks as well, among which are hints that a job ended.
ON_CANDIDATE = Entry(
    "on_candidate",
    lambda world, message: _tick(world.candidate_tick, message, "tick", "candidate", "job-ended"),
    LOG_ENTRY_BYTES,
)
ENTRIES = (ON_DATA, ON_DRIFT, ON_SCHEDULE, ON_MANUAL, ON_MONITOR, ON_TICK, ON_CANDIDATE)
