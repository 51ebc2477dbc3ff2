"""The settings and model files that this command itself has: a doctor with the wrong address sees nothing."""

from collections.abc import Mapping

from console.doctor.finding import Finding
from console.doctor.wanted import Wanted
from retraining.errors import BadConfig


def settings(wanted: Wanted, region: str | None) -> list[Finding]:
    """Everything is set, and for one and the same project. ``region`` is the values file's, None when unknown."""
    have = wanted.settings
    findings = []
    if wanted.cloud:
        accounts = {
            "RETRAIN_TRAINER_ACCOUNT": (have.trainer_account, wanted.email("trainer")),
            "RETRAIN_EVALUATOR_ACCOUNT": (have.evaluator_account, wanted.email("evaluator")),
            "RETRAIN_SERVER_ACCOUNT": (have.server_account, wanted.email("server")),
        }
        for name, (got, must) in accounts.items():
            if got != must:
                text = f"{name}: expected {must}, got {got or 'nothing'}"
                findings.append(Finding("settings", "error", text, wanted.env))
        missing = sorted(set(wanted.accounts.values()) - have.principals)
        if missing:
            text = f"RETRAIN_OWN_PRINCIPALS: expected {', '.join(missing)} among them: their writes would be news"
            findings.append(Finding("settings", "error", text, wanted.env))
    if region is not None and have.region != region:
        text = f"RETRAIN_REGION: expected {region} as in the values of {wanted.environment}, got {have.region}"
        findings.append(Finding("settings", "error", text, wanted.env))
    topics: Mapping[str, str] = {
        "RETRAIN_CANDIDATES_TOPIC": have.candidates_topic,
        "RETRAIN_DRIFT_TOPIC": have.drift_topic,
        "RETRAIN_TICKS_TOPIC": have.ticks_topic,
        "RETRAIN_MANUAL_TOPIC": have.manual_topic,
    }
    for name, topic in topics.items():
        if topic not in wanted.resources.topics:
            text = f"{name}: expected one of {', '.join(sorted(wanted.resources.topics))}, got {topic!r}"
            findings.append(Finding("settings", "error", text, f"unset {name} && {wanted.env}"))
    return findings


def unusable(error: BadConfig) -> Finding:
    """Settings or model files that cannot be read at all."""
    if "RETRAIN_" in str(error):
        mend = 'eval "$(retrain deploy env ENVIRONMENT)"  # on one machine: eval "$(retrain local env)"'
        return Finding("settings", "error", str(error), mend)
    return Finding("models", "error", str(error), "retrain models check")
