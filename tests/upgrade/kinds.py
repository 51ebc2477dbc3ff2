"""Every kind of record that is stored on its own: where it lies, which class reads it, and the shape it has."""

import json
import re
from typing import Any

from pydantic import BaseModel

from monitoring.records import Chunk, Watch
from retraining.audit import AuditEvent
from retraining.incidents import Incident
from retraining.intake import Claim, Parked
from retraining.migrations import MODEL_FILE
from retraining.modelspec import ModelSpec
from retraining.modules import Current, ModuleSet
from retraining.record import Record
from retraining.records import ModelState, Money, Run
from retraining.reports import Baseline, Evaluation, Manifest, TrainingReport
from retraining.rollouts import Outcome, Rollout

PLACES: dict[str, type[Record]] = {
    r"inbox/.+": Parked,
    r"claims/.+": Claim,
    r"runs/.+": Run,
    r"models/.+": ModelState,
    r"budget/.+": Money,
    r"rollouts/.+": Rollout,
    r"outcomes/.+": Outcome,
    r"events/.+": AuditEvent,
    r"incidents/.+": Incident,
    r"monitor/[^/]+": Watch,
    r"monitor/[^/]+/.+": Chunk,
    r"modules/current.json": Current,
    r"modules/sets/.+": ModuleSet,
    r"gs://artifacts/runs/.+/report/manifest.json": Manifest,
    r"gs://artifacts/runs/.+/report/training.json": TrainingReport,
    r"gs://artifacts/runs/.+/report/baseline.json": Baseline,
    r"gs://artifacts/evaluations/.+": Evaluation,
}
# Markers: their path says all, and nobody reads what is in them.
MARKERS = re.compile(r"(active|candidates|rolling)/.+")


def reader(path: str) -> type[Record] | None:
    """The class that reads what lies at ``path``; None for a marker."""
    found = [kind for place, kind in PLACES.items() if re.fullmatch(place, path)]
    if not found and MARKERS.fullmatch(path):
        return None
    [kind] = found
    return kind


def formats() -> dict[str, tuple[int, type[BaseModel]]]:
    """Kind → version of today, and the class, model files included."""
    kinds = {kind.format.kind: (kind.format.version, kind) for kind in PLACES.values() if kind.format}
    return {**kinds, MODEL_FILE.kind: (MODEL_FILE.version, ModelSpec)}


Shape = dict[str, str]


def shape(kind: type[BaseModel]) -> Shape:
    """Path of each field → what may stand there, with a ``?`` where the field may be missing."""
    schema = kind.model_json_schema(by_alias=True)
    found: Shape = {}
    _walk(schema, schema.get("$defs", {}), "", found)
    return found


def _walk(node: dict[str, Any], defs: dict[str, Any], path: str, found: Shape) -> None:
    while "$ref" in node:
        node = defs[node["$ref"].rsplit("/", 1)[-1]]
    for number, choice in enumerate(node.get("anyOf", ())):
        _walk(choice, defs, f"{path}|{number}", found)
    for number, one in enumerate(node.get("prefixItems", ())):
        _walk(one, defs, f"{path}[{number}]", found)
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            _walk(node[key], defs, f"{path}{mark}", found)
    for name, field in node.get("properties", {}).items():
        below = f"{path}.{name}"
        found[below] = _said(field, defs) + ("" if name in node.get("required", ()) else "?")
        _walk(field, defs, below, found)


_RULES = (
    "type",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
)


def _said(node: dict[str, Any], defs: dict[str, Any]) -> str:
    while "$ref" in node:
        node = defs[node["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in node:
        return " or ".join(_said(choice, defs) for choice in node["anyOf"])
    if "enum" in node:
        return f"one of {json.dumps(node['enum'])}"
    if "const" in node:
        return f"always {json.dumps(node['const'])}"
    said = " ".join(
        str(node[rule]) if rule == "type" else f"{rule} {node[rule]}" for rule in _RULES if rule in node
    )
    for key, word in (("items", "of"), ("additionalProperties", "to")):
        if isinstance(node.get(key), dict):
            said += f" {word} {_said(node[key], defs)}"
    return said


def difference(before: Shape, after: Shape) -> list[str]:
    """What changed in a way that an older program or record does not survive; additive changes are not named."""
    wrong = [f"{path} is gone" for path in before.keys() - after.keys()]
    wrong += [
        f"{path} was {before[path]!r}, is {after[path]!r}"
        for path in before.keys() & after.keys()
        if before[path] != after[path]
    ]
    new = after.keys() - before.keys()
    for path in new:
        is_inside_new = any(path.startswith((f"{one}.", f"{one}[", f"{one}{{", f"{one}|")) for one in new)
        if not after[path].endswith("?") and not is_inside_new:
            wrong.append(f"{path} is new and has no default")
    return sorted(wrong)
