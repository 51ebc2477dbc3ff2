"""Ticks and hints: something may have ended, look again. A hint is never believed, only followed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from retraining.errors import BadMessage
from retraining.messages.context import Ignored
from retraining.messages.fields import Fields, brief, fields, matching, part, text

HintKind = Literal["tick", "job-ended", "candidate"]
EXAMPLE = '{"kind": "tick"} or {"kind": "job-ended", "run_id": "flights-20260131-030000-1a2b"}'
FIELDS = ("kind", "run_id", "job_id", "model")
_ID = r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,199}"
KINDS: tuple[HintKind, ...] = get_args(HintKind)
_ENDED = ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED")


@dataclass(frozen=True)
class Hint:
    """What to look at first; empty ids mean everything."""

    kind: HintKind = "tick"
    run_id: str = ""
    job_id: str = ""


def parse(payload: object, attributes: Mapping[str, str], allowed: tuple[HintKind, ...] = KINDS) -> Hint | Ignored:
    """The hint in a message; a message without any content is a tick. Raises BadMessage, also for a kind of hint
    that is none of ``allowed``: it came to the wrong topic."""
    body = fields(payload, EXAMPLE)
    if "jsonPayload" in body or "protoPayload" in body or "textPayload" in body:
        found = _log_entry(body)
        if isinstance(found, Hint) and found.kind not in allowed:
            return Ignored(f"a job has ended, which asks for nothing here; expected one of {list(allowed)}")
        return found
    told: dict[str, object] = {key: attributes[key] for key in ("kind", "run_id", "job_id") if key in attributes}
    told.update(body)
    if unknown := sorted(set(body) - set(FIELDS)):
        raise BadMessage(f"{unknown[0]!r:.60}: no such field; allowed are {', '.join(FIELDS)}")
    kind = text(told, "kind", None if body else "tick")
    run_id, job_id = matching(told, "run_id", r"[a-z][a-z0-9-]{0,99}", ""), matching(told, "job_id", _ID, "")
    for known in allowed:
        if kind == known:
            return Hint(known, run_id, job_id)
    raise BadMessage(f"kind: expected one of {list(allowed)}, got {kind!r:.60}")


def _log_entry(entry: Fields) -> Hint | Ignored:
    """A log entry about a job. Only the job's id is taken; its state is asked of Vertex AI."""
    labels = part(entry, "resource", "labels")
    if "pipeline_job_id" in labels:
        kind = text(part(entry, "jsonPayload"), "@type", "")
        state = text(part(entry, "jsonPayload"), "state", "")
        if kind.endswith("PipelineJobLogEntry") and state in _ENDED:
            return Hint("job-ended", job_id=matching(labels, "pipeline_job_id", _ID))
        return Ignored(f"a pipeline job that has not ended ({brief(state, 60) or 'no state'})")
    if text(part(entry, "resource"), "type", "") == "ml_job" and "job_id" in labels:
        return Hint("job-ended", job_id=matching(labels, "job_id", _ID))
    return Ignored("a log entry about no job")
