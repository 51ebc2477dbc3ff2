"""Our own incidents, Cloud Monitoring's and Vertex AI's anomalies become drift triggers."""

import pytest

from retraining.errors import BadMessage
from retraining.messages import anomaly, drift_incident, monitoring_incident
from retraining.messages.context import Ignored
from tests.messages.samples import PUBLISHED, changed, context, sample, untriggered

DEPLOYED = "1645828169292316672"
UNKNOWN = "on an unknown number of rows: our monitor has judged none of this model"
JOB = "projects/677687165274/locations/us-central1/modelDeploymentMonitoringJobs/6680511704087920640"


def serves(deployed_id):
    return "flights" if deployed_id == DEPLOYED else None


def only(found):
    assert isinstance(found, list), found
    [trigger] = found
    return trigger


class TestOwnIncidents:
    def test_an_incident_is_one_trigger_keyed_by_incident_and_window(self):
        trigger = only(drift_incident.parse(sample("drift_incident"), {}, context()))

        assert (trigger.model, trigger.kind) == ("flights", "drift")
        assert trigger.key == "drift|flights-2026-01-30|2026-01-31T00:00Z"
        assert trigger.reason == "drift in taxi_out, dep_delay"
        assert trigger.details["effect taxi_out"] == "0.41"

    @pytest.mark.parametrize("end", ["2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00", "2026-01-31T00:00:00"])
    def test_one_moment_spelled_in_different_ways_is_one_key(self, end):
        trigger = only(drift_incident.parse(changed("drift_incident", "window_end", end), {}, context()))

        assert trigger.key == "drift|flights-2026-01-30|2026-01-31T00:00Z"

    def test_a_data_incident_starts_no_run(self):
        found = drift_incident.parse(changed("drift_incident", "incident_kind", "data"), {}, context())

        assert found == Ignored(
            "a data incident asks for a look at the feed, not for a run", "data incident", "flights"
        )

    @pytest.mark.parametrize("do", ["nothing", "look at the feed"])
    def test_an_incident_that_asks_for_no_training_is_noted_with_its_reason(self, do):
        payload = changed("drift_incident", "do", do) | {"why": "it hardly weighs"}
        found = drift_incident.parse(payload, {}, context())

        assert isinstance(found, Ignored)
        assert found.audit == "drift noted"
        assert found.reason.endswith(f"asks for {do}: it hardly weighs")

    def test_a_model_that_does_not_ask_for_runs_on_drift_gets_none(self):
        found = drift_incident.parse(sample("drift_incident"), {}, context(models=untriggered()))

        assert found == Ignored("model flights does not ask for runs on drift", model="flights")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("model", "planes"),
            ("model", ...),
            ("incident_id", "../x"),
            ("incident_id", ""),
            ("window_end", "soon"),
            ("window_end", ...),
            ("features", [1]),
            ("incident_kind", "storm"),
        ],
    )
    def test_a_wrong_field_is_named(self, field, value):
        with pytest.raises(BadMessage, match=f"^{field}: expected"):
            drift_incident.parse(changed("drift_incident", field, value), {}, context())

    def test_effects_that_are_no_numbers_are_left_out(self):
        payload = changed("drift_incident", "features", {"a": "x", "b": True, "c": 1})
        trigger = only(drift_incident.parse(payload, {}, context()))

        assert trigger.reason == "drift in c"


class TestCloudMonitoring:
    def test_an_opened_incident_is_one_trigger_keyed_by_its_id(self):
        trigger = only(monitoring_incident.parse(sample("incident_open"), {}, context()))

        assert (trigger.model, trigger.kind) == ("flights", "drift")
        assert trigger.key == "drift|cloud-monitoring|0.nrwotmyokd9n"
        assert trigger.at.timestamp() == 1746178794
        assert trigger.reason == "alert Drift of flights"

    @pytest.mark.parametrize("state", ["closed", "CLOSED"])
    def test_a_closed_incident_starts_no_run(self, state):
        found = monitoring_incident.parse(changed("incident_open", "incident.state", state), {}, context())

        assert found == Ignored("incident 0.nrwotmyokd9n closed", "incident closed", "flights")

    def test_the_state_may_be_in_capitals(self):
        trigger = only(monitoring_incident.parse(changed("incident_open", "incident.state", "OPEN"), {}, context()))

        assert trigger.key == "drift|cloud-monitoring|0.nrwotmyokd9n"

    def test_the_channels_test_button_is_ignored(self):
        found = monitoring_incident.parse(sample("incident_test_button"), {}, context())

        assert found == Ignored("the test button of a notification channel")

    def test_a_log_match_has_no_value_and_takes_the_model_from_the_metrics_labels(self):
        trigger = only(monitoring_incident.parse(sample("incident_log_match"), {}, context()))

        assert (trigger.model, trigger.key) == ("flights", "drift|cloud-monitoring|0.logmatch1")

    def test_the_model_may_stand_in_the_resources_labels(self):
        payload = changed("incident_open", "incident.policy_user_labels", {})
        payload["incident"]["resource"]["labels"] = {"model": "bikes"}

        assert only(monitoring_incident.parse(payload, {}, context())).model == "bikes"

    def test_prose_in_the_observed_value_does_no_harm(self):
        prose = "Incident cancelled because the alert policy condition was deleted."
        payload = changed("incident_open", "incident.observed_value", prose)

        assert only(monitoring_incident.parse(payload, {}, context())).model == "flights"

    @pytest.mark.parametrize("documentation", ["text", None, {"content": ""}, ...], ids=repr)
    def test_documentation_may_be_anything(self, documentation):
        payload = changed("incident_open", "incident.documentation", documentation)

        assert only(monitoring_incident.parse(payload, {}, context())).model == "flights"

    @pytest.mark.parametrize("start", [0, None, "x", 10**30, True], ids=repr)
    def test_without_a_usable_start_it_happened_when_it_was_published(self, start):
        payload = changed("incident_open", "incident.started_at", start)

        assert only(monitoring_incident.parse(payload, {}, context())).at == PUBLISHED

    def test_without_a_label_the_error_says_where_it_is_expected(self):
        with pytest.raises(BadMessage, match="expected a label model in policy_user_labels"):
            monitoring_incident.parse(changed("incident_open", "incident.policy_user_labels", {}), {}, context())

    def test_an_unknown_model_is_named(self):
        payload = changed("incident_open", "incident.policy_user_labels", {"model": "planes"})

        with pytest.raises(BadMessage, match=r"model: expected one of \['bikes', 'flights'\], got 'planes'"):
            monitoring_incident.parse(payload, {}, context())

    @pytest.mark.parametrize("state", ["acknowledged", ""])
    def test_an_unknown_state_is_refused(self, state):
        with pytest.raises(BadMessage, match=r"incident\.state: expected open or closed"):
            monitoring_incident.parse(changed("incident_open", "incident.state", state), {}, context())

    def test_an_incident_without_id_is_refused(self):
        with pytest.raises(BadMessage, match="incident_id: expected"):
            monitoring_incident.parse(changed("incident_open", "incident.incident_id", ""), {}, context())

    def test_a_model_that_does_not_ask_for_runs_on_drift_gets_none(self):
        found = monitoring_incident.parse(sample("incident_open"), {}, context(models=untriggered()))

        assert found == Ignored("model flights does not ask for runs on drift", model="flights")


class TestModelMonitoring:
    def test_an_anomaly_is_one_trigger_for_the_model_that_is_deployed(self):
        trigger = only(anomaly.parse(sample("anomaly_v1"), {}, context(serves=serves)))

        assert (trigger.model, trigger.kind) == ("flights", "drift")
        window = "2022-02-03T18:00:00Z/2022-02-03T19:00:00Z"
        assert trigger.key == f"drift|{JOB}|{DEPLOYED}|RAW_FEATURE_SKEW|{window}"
        assert trigger.reason == f"RAW_FEATURE_SKEW in age, education, {UNKNOWN}"
        assert trigger.details["age"] == "0.9 over 0.7"
        assert trigger.at.isoformat() == "2022-02-03T19:00:00+00:00"

    def test_the_entry_may_come_without_the_logs_envelope(self):
        trigger = only(anomaly.parse(sample("anomaly_v1")["jsonPayload"], {}, context(serves=serves)))

        assert trigger.model == "flights"

    def test_each_objective_of_a_window_is_a_fact_of_its_own(self):
        skew = only(anomaly.parse(sample("anomaly_v1"), {}, context(serves=serves)))
        payload = changed("anomaly_v1", "jsonPayload.anomalyObjective", "RAW_FEATURE_DRIFT")
        drift = only(anomaly.parse(payload, {}, context(serves=serves)))

        assert skew.key != drift.key

    def test_an_unknown_deployed_model_is_refused_by_its_id(self):
        with pytest.raises(BadMessage, match=DEPLOYED):
            anomaly.parse(sample("anomaly_v1"), {}, context())

    def test_the_publisher_may_name_the_model(self):
        trigger = only(anomaly.parse(sample("anomaly_v1"), {"model": "bikes"}, context()))

        assert trigger.model == "bikes"

    def test_a_count_of_zero_is_no_anomaly(self):
        found = anomaly.parse(changed("anomaly_v1", "jsonPayload.totalAnomaliesCount", 0), {}, context())

        assert found == Ignored("no anomalies")

    def test_features_that_are_no_list_are_refused(self):
        with pytest.raises(BadMessage, match="featureAnomalies: expected an array"):
            anomaly.parse(changed("anomaly_v1", "jsonPayload.featureAnomalies", "age"), {}, context(serves=serves))

    def test_progress_is_ignored(self):
        found = anomaly.parse(sample("anomaly_progress"), {}, context())

        assert found == Ignored("progress of the monitoring pipeline")

    @pytest.mark.parametrize(
        ("status", "why"), [({"code": 13, "message": "no data"}, "no data"), ({"code": 13}, "code 13")]
    )
    def test_progress_that_reports_a_failure_is_told_to_people(self, status, why):
        found = anomaly.parse(changed("anomaly_progress", "jsonPayload.statusCode", status), {}, context())

        assert found == Ignored(f"the monitoring pipeline failed: {why}", audit="monitoring failed")

    def test_an_alert_of_version_2_belongs_to_the_model_its_monitor_is_named_after(self):
        trigger = only(anomaly.parse(sample("anomaly_v2_alert"), {}, context()))

        assert trigger.model == "flights"
        assert trigger.reason == f"raw-feature-drift in dep_delay, {UNKNOWN}"
        assert trigger.key.endswith("|dep_delay|raw-feature-drift|2026-01-31T04:00:00Z")

    def test_an_alert_of_a_monitor_with_another_name_is_refused_by_that_name(self):
        payload = changed("anomaly_v2_alert", "anomaly.modelMonitoringJob", "projects/1/modelMonitors/42")

        with pytest.raises(BadMessage, match="modelMonitors/42"):
            anomaly.parse(payload, {}, context())

    def test_another_entry_of_the_same_service_is_ignored(self):
        payload = changed("anomaly_v1", "jsonPayload.@type", "google.cloud.aiplatform.logging.ModelMonitoringNews")

        assert anomaly.parse(payload, {}, context()) == Ignored("a ModelMonitoringNews is not an anomaly")

    def test_a_model_that_does_not_ask_for_runs_on_drift_gets_none(self):
        found = anomaly.parse(sample("anomaly_v1"), {}, context(serves=serves, models=untriggered()))

        assert found == Ignored("model flights does not ask for runs on drift", model="flights")

    @pytest.mark.parametrize("name", ["anomaly_v1", "anomaly_progress", "anomaly_v2_alert"])
    def test_entries_are_known_by_type_whatever_their_logs_name(self, name):
        assert anomaly.is_entry(sample(name))

    @pytest.mark.parametrize("payload", [{}, [], "x", {"jsonPayload": []}, {"jsonPayload": {"message": "hi"}}])
    def test_other_payloads_are_no_entries(self, payload):
        assert not anomaly.is_entry(payload)
