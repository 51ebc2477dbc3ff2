"""From one call to its permissions; what nobody has thought of is an error."""

import json

import pytest
from google.cloud.aiplatform_v1 import types as vertex
from google.longrunning import operations_pb2
from google.pubsub_v1 import types as pubsub

from local.recording.calls import Call
from local.recording.needs import Need, UnknownCall
from local.recording.permissions import Gate, Installation, Use, needs, used
from retraining.settings import Settings

JOBS = "/bigquery/v2/projects/p/jobs"
V1 = "/google.cloud.aiplatform.v1."
SETTINGS = Settings(
    project="project",
    region="us-central1",
    state_bucket="state-1",
    artifact_bucket="artifacts-1",
    dataset="own",
    trainer_account="trainer@p.iam",
    evaluator_account="evaluator@p.iam",
    server_account="server@p.iam",
)
INSTALLATION = Installation(SETTINGS, frozenset({"flights"}))


def storage(verb: str, target: str, body: bytes = b"", status: str = "200", replaced: bool = False) -> set[str]:
    """Permission and object of each need."""
    call = Call("a", "storage", verb, target, body, status, replaced)
    return {f"{need.permission} {need.name}" for need in needs(call)}


def query(text: str) -> set[str]:
    """Permission and dataset of each need of a query, besides the job."""
    body = json.dumps({"configuration": {"query": {"query": text}}}).encode()
    found = needs(Call("a", "bigquery", "POST", f"{JOBS}?prettyPrint=false", body))

    assert found[0] == Need("bigquery.jobs.create", "project")
    return {f"{need.permission} {need.name}" for need in found[1:]}


def test_reading_how_models_answer_needs_the_series_of_the_project() -> None:
    """And nothing else of Cloud Monitoring is known."""
    found = needs(Call("a", "monitoring", "GET", "/v3/projects/p/timeSeries?filter=x"))

    assert found == (Need("monitoring.timeSeries.list", "project"),)
    with pytest.raises(UnknownCall, match=r"monitoring\.py knows"):
        needs(Call("a", "monitoring", "POST", "/v3/projects/p/timeSeries"))


def test_reading_an_object_needs_get() -> None:
    """Its description and its content alike."""
    wanted = {"storage.objects.get b/runs/r.json"}

    assert storage("GET", "/storage/v1/b/b/o/runs%2Fr.json?projection=noAcl") == wanted
    assert storage("GET", "/download/storage/v1/b/b/o/runs%2Fr.json?alt=media") == wanted


def test_being_told_that_an_object_is_missing_needs_list() -> None:
    """Who may not list is told 403 instead of 404."""
    assert "storage.objects.list b" in storage("GET", "/storage/v1/b/b/o/runs%2Fr.json", status="404")


def test_an_upload_needs_create_and_over_another_object_delete() -> None:
    """The name lies in the description or in the query."""
    path = "/upload/storage/v1/b/b/o?uploadType=multipart"
    body = b'{"name": "runs/r.json"}'

    assert storage("POST", path, body) == {"storage.objects.create b/runs/r.json"}
    assert storage("POST", f"{path}&name=x%2Fy", replaced=True) == {
        "storage.objects.create b/x/y",
        "storage.objects.delete b/x/y",
    }
    assert storage("PUT", f"{path}&upload_id=7") == set()


def test_a_list_needs_list_below_its_prefix() -> None:
    """IAM conditions see the prefix."""
    assert storage("GET", "/storage/v1/b/b/o?prefix=inbox%2F&fields=x") == {"storage.objects.list b/inbox/"}


def test_a_copy_reads_there_and_writes_here() -> None:
    """Over whatever is there."""
    assert storage("POST", "/storage/v1/b/b/o/x/rewriteTo/b/c/o/y") == {
        "storage.objects.get b/x",
        "storage.objects.create c/y",
        "storage.objects.delete c/y",
    }


@pytest.mark.parametrize(
    ("verb", "path"), [("GET", "/storage/v1/b/b"), ("POST", "/storage/v1/b/b/o"), ("PUT", "/storage/v1/b/b/o/x")]
)
def test_an_unknown_call_of_storage_is_an_error(verb: str, path: str) -> None:
    """It names the call."""
    with pytest.raises(UnknownCall, match=path):
        storage(verb, path)


def test_a_query_reads_the_tables_that_it_names() -> None:
    """Names of its own parts are none."""
    text = "WITH a AS (SELECT x FROM `p.flights.history`), b AS (SELECT * FROM a) SELECT * FROM b JOIN p.own.log"

    assert query(text) == {"bigquery.tables.getData flights", "bigquery.tables.getData own"}


def test_a_merge_changes_its_target_and_calls_functions() -> None:
    """A function in back-ticks, and one without."""
    text = """MERGE `p.own.counts` AS t USING (SELECT `p.own.parse`(r) AS r, p.other.f(r) FROM `p.flights.log`) AS s
    ON t.r = s.r WHEN MATCHED THEN UPDATE SET n = 1"""

    assert query(text) == {
        "bigquery.tables.updateData own",
        "bigquery.tables.getData own",
        "bigquery.tables.getData flights",
        "bigquery.routines.get own",
        "bigquery.routines.get other",
    }


def test_an_export_writes_objects_and_a_temporary_table_costs_nothing() -> None:
    """The script of a snapshot."""
    text = """CREATE TEMP TABLE frozen AS SELECT * FROM `p.flights.history`;
    EXPORT DATA OPTIONS (uri = 'gs://b/snapshots/r/train-*.parquet', format = 'PARQUET', overwrite = TRUE) AS
    SELECT * FROM frozen;
    SELECT COUNT(*) FROM frozen"""

    assert query(text) == {
        "bigquery.tables.getData flights",
        "storage.objects.create b/snapshots/r/train-*.parquet",
        "storage.objects.delete b/snapshots/r/train-*.parquet",
    }


def test_exporting_a_table_itself_needs_export() -> None:
    """A temporary one belongs to who made it."""
    text = "EXPORT DATA OPTIONS (uri = 'gs://b/x-*', format = 'CSV') AS SELECT * FROM `p.flights.history`"

    assert "bigquery.tables.export flights" in query(text)


def test_making_tables_and_functions_needs_create() -> None:
    """As a set-up does."""
    assert query("CREATE TABLE IF NOT EXISTS `p.own.t` (x INT64)") == {"bigquery.tables.create own"}
    assert query("CREATE FUNCTION `p.own.f`(x INT64) AS (x + 1)") == {"bigquery.routines.create own"}


@pytest.mark.parametrize("text", ["SELECT * FROM history", "GRANT `roles/x` ON TABLE `p.d.t` TO 'user:a@b.c'"])
def test_a_statement_that_hides_what_it_needs_is_an_error(text: str) -> None:
    """A table without its dataset, and a kind that nobody thought of."""
    with pytest.raises(UnknownCall):
        query(text)


@pytest.mark.parametrize(
    ("verb", "path", "wanted"),
    [
        ("GET", "/datasets/own", "bigquery.datasets.get"),
        ("GET", "/datasets/own/tables", "bigquery.tables.list"),
        ("GET", "/datasets/own/tables/t", "bigquery.tables.get"),
        ("GET", "/datasets/own/tables/t/data", "bigquery.tables.getData"),
        ("POST", "/datasets/own/tables/t/insertAll", "bigquery.tables.updateData"),
    ],
)
def test_calls_on_a_dataset(verb: str, path: str, wanted: str) -> None:
    """Each with the permission of its method."""
    assert needs(Call("a", "bigquery", verb, f"/bigquery/v2/projects/p{path}")) == (Need(wanted, "dataset", "own"),)


def test_looking_after_ones_own_job_needs_nothing() -> None:
    """Who creates a job may look at it, and at its hidden table."""
    for path in ("/jobs/j", "/queries/j", "/datasets/_1a2b/tables/anon/data"):
        assert needs(Call("a", "bigquery", "GET", f"/bigquery/v2/projects/p{path}")) == ()


def test_a_load_job_is_an_error() -> None:
    """No account of ours loads rows."""
    body = json.dumps({"configuration": {"load": {}}}).encode()
    with pytest.raises(UnknownCall, match="query job"):
        needs(Call("a", "bigquery", "POST", JOBS, body))


def test_creating_a_job_needs_to_act_as_its_account() -> None:
    """A job without an account would run as Vertex AI's own agent."""
    job = vertex.CustomJob(job_spec=vertex.CustomJobSpec(service_account="trainer@p.iam"))
    method = f"{V1}JobService/CreateCustomJob"

    def call(job: vertex.CustomJob) -> Call:
        return Call("a", "vertex", method, body=vertex.CreateCustomJobRequest.serialize(_request(job)))

    def _request(job: vertex.CustomJob) -> vertex.CreateCustomJobRequest:
        return vertex.CreateCustomJobRequest(custom_job=job)

    assert needs(call(job)) == (
        Need("aiplatform.customJobs.create", "project"),
        Need("iam.serviceAccounts.actAs", "account", "trainer@p.iam"),
    )
    with pytest.raises(UnknownCall, match="account"):
        needs(call(vertex.CustomJob()))


@pytest.mark.parametrize("kind", ["endpoints", "models"])
def test_looking_at_an_operation_needs_what_its_resource_needs(kind: str) -> None:
    """There is no permission for operations alone."""
    name = f"projects/p/locations/l/{kind}/1/operations/2"
    body = operations_pb2.GetOperationRequest(name=name).SerializeToString()
    call = Call("a", "vertex", "/google.longrunning.Operations/GetOperation", body=body)

    assert needs(call) == (Need(f"aiplatform.{kind}.get", "project"),)


@pytest.mark.parametrize(
    "method", [f"{V1}EndpointService/DeleteEndpoint", "/google.pubsub.v1.Publisher/CreateTopic", "/x.Y/Z"]
)
def test_an_unknown_method_is_an_error(method: str) -> None:
    """A new call of the code must be thought about before it is granted."""
    with pytest.raises(UnknownCall, match=method):
        needs(Call("a", "vertex", method))


def test_uses_are_named_as_grants_are() -> None:
    """Buckets, folders, topics and accounts in the installation's own words."""
    message = pubsub.PublishRequest(topic="projects/p/topics/ticks")
    calls = [
        Call("trainer", "storage", "GET", "/storage/v1/b/artifacts-1/o/runs%2Fr%2Fspec.json"),
        Call(
            "trainer",
            "pubsub",
            "/google.pubsub.v1.Publisher/Publish",
            body=pubsub.PublishRequest.serialize(message),
        ),
    ]

    assert list(used(calls, INSTALLATION)) == [
        Use("trainer", "storage.objects.get", "artifacts", "runs"),
        Use("trainer", "pubsub.topics.publish", "topic/ticks"),
    ]


def test_a_bucket_of_somebody_else_is_an_error() -> None:
    """A call that leaves the system must be thought about."""
    with pytest.raises(UnknownCall, match="bucket 'other'"):
        used([Call("a", "storage", "GET", "/storage/v1/b/other/o/x")], INSTALLATION)


def test_a_gate_says_what_an_account_lacks() -> None:
    """By grants on a folder and on a whole bucket; who has all is let through."""
    call = Call("trainer", "storage", "GET", "/storage/v1/b/artifacts-1/o/runs%2Fx", status="404")
    get, everything = (
        Use("trainer", "storage.objects.get", "artifacts", "runs"),
        Use("trainer", "storage.objects.list", "artifacts"),
    )

    assert Gate(INSTALLATION, frozenset({get, everything})).refusal(call) == ""
    assert Gate(INSTALLATION, frozenset({everything})).refusal(call) == str(get)
    assert Gate(INSTALLATION, frozenset({get})).refusal(call) == str(everything)
