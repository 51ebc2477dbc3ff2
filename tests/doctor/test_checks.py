"""What the checks say of plain values, where no server here can be brought to show them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.deploy import values
from console.doctor import configured, messages, serving, storage, tables, watching
from console.doctor.finding import Finding, Report, Skipped
from console.doctor.wanted import TERRAFORM
from gcp.installed import Bucket, Dataset, Endpoint, Function, LabelAge, Labels, Subscription, Table, Topic
from retraining.errors import BadConfig
from retraining.rollouts import Rollout, Serving
from tests.doctor.sound import MODELS, PROJECT, REGION, WANTED

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FUNCTIONS = {
    (name := WANTED.service(point)): Function(name, "ACTIVE", f"https://{name}.run.app", name, "x")
    for point in WANTED.resources.functions
}
DELIVERY = WANTED.resources.delivery
SUBSCRIPTIONS = {
    name: Subscription(
        name=name,
        topic=plan.topic,
        endpoint=FUNCTIONS[WANTED.service(plan.function)].uri,
        account=WANTED.email("push"),
        audience=FUNCTIONS[WANTED.service(plan.function)].uri,
        dead_letter_topic="dead-letters",
        max_attempts=DELIVERY.max_attempts,
        min_backoff_s=DELIVERY.min_backoff_s,
        max_backoff_s=DELIVERY.max_backoff_s,
        ack_deadline_s=DELIVERY.ack_deadline_s,
        retention_s=DELIVERY.retention_s,
        expires_s=None,
    )
    for name, plan in WANTED.resources.subscriptions.items()
}
TOPICS = {name: Topic(name, DELIVERY.retention_s, (REGION,)) for name in WANTED.resources.topics}


def with_subscription(**changes: object) -> list[Finding]:
    """Findings when ``on-tick`` differs so."""
    changed = replace(SUBSCRIPTIONS["on-tick"], **changes)  # type: ignore[arg-type]
    return messages.subscriptions(WANTED, {**SUBSCRIPTIONS, "on-tick": changed}, FUNCTIONS)


def test_what_is_as_it_must_be_has_no_findings() -> None:
    """Subscriptions and topics of a project."""
    assert messages.subscriptions(WANTED, SUBSCRIPTIONS, FUNCTIONS) == []
    assert messages.topics(WANTED, TOPICS) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"account": ""}, f"account: expected retrain-push@{PROJECT}.iam.gserviceaccount.com, got none"),
        ({"audience": "https://other"}, "audience: expected https://on-tick.run.app, got https://other"),
        ({"endpoint": ""}, "address: expected https://on-tick.run.app, got none"),
        ({"topic": "_deleted-topic_"}, "topic: expected ticks, got _deleted-topic_"),
        ({"dead_letter_topic": ""}, "dead letters: expected dead-letters, got none"),
        ({"max_attempts": 5}, "attempts: expected 20, got 5"),
        ({"min_backoff_s": None}, "shortest wait: expected 10.0, got none"),
        ({"expires_s": 2_678_400.0}, "expiry: expected none, got 2678400.0"),
        ({"retention_s": 600.0}, "retention: expected 604800.0, got 600.0"),
    ],
)
def test_every_part_of_a_subscription_is_compared(changes: dict[str, object], says: str) -> None:
    """One finding for each difference."""
    assert [one.what for one in with_subscription(**changes)] == [f"subscription on-tick: {says}"]


def test_a_subscription_of_another_topic_is_made_anew() -> None:
    """The topic of a subscription cannot be changed."""
    (one,) = with_subscription(topic="other")

    assert (
        one.mend == f"gcloud pubsub subscriptions delete on-tick --project={PROJECT} && retrain deploy production"
    )


def test_a_topic_that_forgets_or_stores_elsewhere_is_told() -> None:
    """With the commands that set both."""
    found = messages.topics(WANTED, {**TOPICS, "drift": Topic("drift", None)})

    assert [one.mend.split()[-1] for one in found] == [
        "--message-retention-duration=604800s",
        f"--message-storage-policy-allowed-regions={REGION}",
    ]


def test_dead_letters_that_nobody_keeps_are_told() -> None:
    """Pub/Sub would drop them."""
    (one,) = messages.dead_letters(WANTED, SUBSCRIPTIONS, 0)

    assert one.what == "subscription dead-letters-kept: expected it to exist; dead letters are dropped without it"


def test_an_unguarded_bucket_is_told_three_times() -> None:
    """Each guard has its own command."""
    found = storage.buckets(WANTED, {"b": Bucket("b", REGION, False, False, "inherited")})

    assert [one.mend for one in found] == [
        "gcloud storage buckets update gs://b --versioning",
        "gcloud storage buckets update gs://b --uniform-bucket-level-access",
        "gcloud storage buckets update gs://b --public-access-prevention",
    ]


def test_a_bucket_that_lets_a_second_create_through_is_an_error() -> None:
    """All records rest on that."""
    (one,) = storage.probes(WANTED, {"b": ["a second create of the same object was not refused"]})

    assert (one.severity, one.what) == ("error", "bucket b: a second create of the same object was not refused")


def test_a_dataset_elsewhere_is_told() -> None:
    """No statement joins two regions."""
    (one,) = tables.dataset(WANTED, {"flights": Dataset("flights", "us")})

    assert one.what == f"dataset flights: expected it in {REGION}, got us"


def test_a_column_that_may_be_empty_can_be_added() -> None:
    """One that may not needs the table anew; its rows are copied first."""
    wanted = replace(WANTED, tables={"flights_requests": WANTED.tables["flights_requests"]})
    columns = {one["name"]: (one["type"], one["mode"]) for one in wanted.tables["flights_requests"]["schema"]}
    del columns["request_payload"]
    (one,) = tables.tables(wanted, {"flights_requests": Table("x", columns, "logging_time")})
    (other,) = tables.tables(
        wanted, {"flights_requests": Table("x", columns | {"request_payload": ("STRING", "REPEATED")}, None)}
    )

    assert one.mend.endswith("'ALTER TABLE retraining.flights_requests ADD COLUMN request_payload ARRAY<STRING>'")
    assert other.mend.startswith(f"bq --project_id={PROJECT} cp {PROJECT}:retraining.flights_requests ")


def test_a_source_table_that_is_not_partitioned_is_a_warning() -> None:
    """It works, and bills."""
    spec = MODELS["bikes"]
    kinds = {"hour_start": "TIMESTAMP", "hour_id": "STRING", "rentals": "INTEGER"}
    kinds |= {name: "STRING" if one.type == "categorical" else "FLOAT" for name, one in spec.features.items()}
    kinds |= {name: "BOOLEAN" for name, one in spec.features.items() if one.type == "boolean"}
    table = Table(spec.source.table, {name: (kind, "NULLABLE") for name, kind in kinds.items()}, None)

    assert [one.severity for one in tables.source(WANTED, spec, table)] == ["warning"]


@pytest.mark.parametrize(("labelled_from", "expected"), [(0, 1), (30, 31), (47, 48), (100, 120)])
def test_the_delay_is_seen_in_the_rows(labelled_from: int, expected: int) -> None:
    """The youngest age from which on rows have labels; in whole days above two."""
    ages = tuple(LabelAge(hours, 10, 10 if hours >= labelled_from else 0) for hours in range(200))

    assert tables.observed_delay(ages, 0.8) == timedelta(hours=expected)


def test_labels_that_never_come_have_no_delay() -> None:
    """Then the label's column is asked about."""
    spec = MODELS["flights"]
    ages = tuple(LabelAge(hours, 10, 0) for hours in range(200))
    found = tables.labels(WANTED, spec, Labels(NOW, None, ages), NOW)

    assert tables.observed_delay(ages, 0.8) is None
    assert "is ontime the right column?" in found[0].mend


def test_a_deployed_model_that_no_record_knows_is_told() -> None:
    """Those of the record are not: champion, challenger, and what it is to sweep."""
    spec = MODELS["flights"]
    wanted = replace(WANTED, models={"flights": spec})
    log = f"bq://{PROJECT}.retraining.flights_requests"
    endpoint = Endpoint("projects/1/locations/x/endpoints/42", "flights", log, ("champion", "old", "stray"))
    record = Rollout(
        endpoint="flights",
        model="flights",
        champion=Serving(run_id="r", deployed_id="champion"),
        retired=("old",),
    )
    (one,) = serving.endpoints(wanted, [endpoint], {"flights": record})

    assert one.what == "endpoint flights: deployed model stray: no record knows it, and it costs money"
    assert one.mend.startswith("gcloud ai endpoints undeploy-model 42 --deployed-model-id=stray")


def test_two_endpoints_of_one_name_are_an_error() -> None:
    """Nobody would know which one serves."""
    wanted = replace(WANTED, models={"flights": MODELS["flights"]})
    log = f"bq://{PROJECT}.retraining.flights_requests"
    twice = [Endpoint(f"endpoints/{number}", "flights", log, ()) for number in (1, 2)]
    (one,) = serving.endpoints(wanted, twice, {})

    assert one.what == "endpoint flights: expected one of this name, got 2: which one serves is luck"


@pytest.mark.parametrize(("seconds", "findings"), [(0, 0), (29, 0), (-31, 1), (3600, 1)])
def test_a_clock_may_be_half_a_minute_off(seconds: int, findings: int) -> None:
    """In either direction."""
    assert len(watching.clock(NOW, NOW + timedelta(seconds=seconds))) == findings


@pytest.mark.parametrize("image", ["", "trainer:latest", f"gcr.io/{PROJECT}/trainer@sha256:{'a' * 64}"])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    """A tag may move under a running system."""
    assert serving.image_parts(image) is None


def test_settings_of_another_project_are_told() -> None:
    """Accounts, own principals and region, each with the command that sets this shell right."""
    other = replace(
        WANTED, settings=replace(WANTED.settings, trainer_account="a@b", own_principals="", region="us-east1")
    )
    found = configured.settings(other, REGION)

    assert [one.what.split(":")[0] for one in found] == [
        "RETRAIN_TRAINER_ACCOUNT",
        "RETRAIN_OWN_PRINCIPALS",
        "RETRAIN_REGION",
    ]
    assert {one.mend for one in found} == {'eval "$(retrain deploy env production)"'}
    assert configured.settings(WANTED, REGION) == []


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (Report(("topics",), (), ()), 0),
        (Report(("topics",), (Finding("topics", "warning", "x", "y"),), ()), 1),
        (Report(("settings",), (), (Skipped("topics", "away"),)), 2),
        (Report((), (), (Skipped("everything", "away"),)), 2),
    ],
)
def test_the_exit_code_says_clean_found_or_blind(report: Report, code: int) -> None:
    """Nothing seen is not nothing wrong."""
    assert report.code == code


def test_values_of_the_shipped_environments_are_all_examples() -> None:
    """So nobody deploys them by mistake."""
    for name in values.names(TERRAFORM):
        left = values.examples_left(values.read(TERRAFORM, name))

        assert any(": project: " in line for line in left)
        assert any(": bucket: " in line for line in left)
        assert any(": trainer_image: " in line for line in left)


def test_a_values_file_without_a_project_is_refused(tmp_path: Path) -> None:
    """With file and field."""
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "x.tfvars").write_text('environment = "x"\n')
    (folder / "x.gcs.tfbackend").write_text('bucket = "b"\n')

    with pytest.raises(BadConfig, match=r"x\.tfvars: project: expected"):
        values.read(folder.parent, "x")
