"""Vertex AI Model Monitoring: skew or drift that Google's own monitor found.

Version 1 writes a log entry that names the monitoring job and the deployed model; version 2 is documented to
write the same, and its API shows alerts of another form. Entries are told apart by ``@type``, never by the log's
name, which Google's own samples spell in three ways.
"""

from collections.abc import Mapping
from datetime import timedelta

from retraining.errors import BadMessage
from retraining.messages.context import Context, Ignored, Parsed
from retraining.messages.fields import Fields, brief, fields, int64, kind_of, moment, part, text
from retraining.messages.witness import AUDIT, Alarm, weigh
from retraining.modelspec import ModelSpec
from retraining.triggers import Kind, Trigger, drift_key

EXAMPLE = '{"jsonPayload": {"@type": "...ModelMonitoringAnomaliesLogEntry", "deployedModelId": "123"}}'
_PACKAGE = "google.cloud.aiplatform.logging."
_SHOWN = 20
UNSAID = timedelta(hours=1)  # the span of an alarm that does not say its own: the shortest window there is


def is_entry(payload: object) -> bool:
    """Whether the payload comes from Vertex AI Model Monitoring."""
    if not isinstance(payload, dict):
        return False
    inner = payload.get("jsonPayload", payload)
    return isinstance(inner, dict) and (
        _PACKAGE + "ModelMonitoring" in str(inner.get("@type")) or "statsName" in inner
    )


def parse(payload: object, attributes: Mapping[str, str], context: Context) -> Parsed:
    """One drift trigger for an anomaly. Raises BadMessage, also when no model can be found for it."""
    entry = fields(payload, EXAMPLE)
    body = part(entry, "jsonPayload") or entry
    if "statsName" in body:
        return _alert(body, attributes, context)
    kind = text(body, "@type").rpartition(".")[2]
    if kind == "ModelMonitoringPipelineLogEntry":
        return _progress(body)
    if kind != "ModelMonitoringAnomaliesLogEntry":
        return Ignored(f"a {brief(kind, 80)} is not an anomaly")
    return _anomalies(entry, body, attributes, context)


def _progress(body: Fields) -> Ignored:
    status = part(body, "statusCode")
    if int64(status, "code"):
        why = brief(str(status.get("message", ""))) or f"code {int64(status, 'code')}"
        return Ignored(f"the monitoring pipeline failed: {why}", audit="monitoring failed")
    return Ignored("progress of the monitoring pipeline")


def _anomalies(entry: Fields, body: Fields, attributes: Mapping[str, str], context: Context) -> Parsed:
    features = _features(body)
    if "totalAnomaliesCount" in body and not int64(body, "totalAnomaliesCount"):
        return Ignored("no anomalies")
    job, deployed = text(body, "modelDeploymentMonitoringJob", ""), text(body, "deployedModelId", "")
    objective = text(body, "anomalyObjective", "")
    end = moment(body.get("endTime")) or moment(entry.get("timestamp")) or context.published
    spec = _model(job, deployed, attributes, context)
    begin = moment(body.get("startTime")) or end - UNSAID
    alarm = Alarm(deployed, begin if begin < end else end - UNSAID, end, tuple(features))
    window = f"{body.get('startTime', '')!s:.40}/{body.get('endTime', '')!s:.40}"
    key = drift_key(f"{job}|{deployed}|{objective}", window)
    reason = f"{brief(objective, 60) or 'an anomaly'} in {', '.join(features) or 'the logged requests'}"
    details = {"job": brief(job), "deployed_id": brief(deployed, 40), **features}
    return _trigger(spec, key, alarm, reason, details, context)


def _features(body: Fields) -> dict[str, str]:
    listed = body.get("featureAnomalies", [])
    if not isinstance(listed, list):
        raise BadMessage(f"featureAnomalies: expected an array, got {kind_of(listed)}")
    found: dict[str, str] = {}
    for one in listed[:_SHOWN]:
        feature = fields(one, '{"featureDisplayName": "age", "deviation": 0.9}')
        name = text(feature, "featureDisplayName", "") or text(feature, "featureName", "unnamed")
        found[brief(name, 60)] = f"{feature.get('deviation', '')!s:.20} over {feature.get('threshold', '')!s:.20}"
    return found


def _alert(body: Fields, attributes: Mapping[str, str], context: Context) -> Parsed:
    anomaly = part(body, "anomaly")
    job, objective = text(anomaly, "modelMonitoringJob", ""), text(body, "objectiveType", "")
    told = body.get("alertTime") or part(anomaly, "tabularAnomaly").get("triggerTime")
    at = moment(told) or context.published
    stats = text(body, "statsName")
    spec = _model(job, "", attributes, context)
    key = drift_key(f"{job}|{stats}|{objective}", f"{at:%Y-%m-%dT%H:%M:%SZ}")
    reason = f"{brief(objective, 60) or 'an anomaly'} in {brief(stats, 60) or 'the logged requests'}"
    alarm = Alarm("", at - UNSAID, at, (stats,) if stats else ())
    return _trigger(spec, key, alarm, reason, {"job": brief(job), "feature": brief(stats, 60)}, context)


def _trigger(
    spec: ModelSpec, key: str, alarm: Alarm, reason: str, details: dict[str, str], context: Context
) -> Parsed:
    """A fact with its sample size, or why the alarm is none."""
    if spec.triggers.drift is None:
        return Ignored(f"model {spec.name} does not ask for runs on drift", model=spec.name)
    weighed = weigh(alarm, context.judged(spec, alarm.deployed_id), spec.triggers.drift)
    if not weighed.counts:
        return Ignored(f"{reason} asks for nothing: {weighed.why}", AUDIT, spec.name)
    found = Trigger(
        model=spec.name,
        kind=Kind.DRIFT,
        key=key,
        at=alarm.end,
        reason=f"{reason}, {weighed.why}",
        message_id=context.message_id,
        details=details | ({"rows": str(weighed.rows)} if weighed.rows is not None else {}),
    )
    return [found]


def _model(job: str, deployed: str, attributes: Mapping[str, str], context: Context) -> ModelSpec:
    """The model an anomaly belongs to: as the publisher says, by what is deployed, or by the monitor's own name."""
    if "model" in attributes:
        return context.model(attributes["model"])
    if deployed and (name := context.serves(deployed)):
        return context.model(name)
    monitor = job.partition("/modelMonitors/")[2].partition("/")[0]
    if monitor in context.models:
        return context.model(monitor)
    raise BadMessage(
        f"deployedModelId: expected one that a rollout record names, got {deployed!r:.40} (job {job!r:.160})"
    )
