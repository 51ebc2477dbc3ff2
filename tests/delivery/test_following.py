"""Functions that follow the bucket: a delivered model file counts at the next message, and nothing breaks them."""

import json
from collections.abc import Iterator

import pytest

from functions import wiring
from functions.following import Following
from gcp.modules import Modules
from gcp.storage import connect
from gcp.store import GcsStore
from local.memory.store import MemoryStore
from retraining import names
from retraining.errors import BadConfig, Temporary
from retraining.modules import Current
from retraining.state import read_run
from retraining.views import JobState, Stored
from tests.contract.vertex import fresh
from tests.delivery.sets import FILES, FLIGHTS, NOW, changed, made
from tests.engine.cloud import Cloud
from tests.unit.build import SPECS

QUICK = changed(models__flights=FLIGHTS.replace(b"debounce: ", b"debounce: 1h # was "))
LESS = changed(models__bikes=None)


class Counting(MemoryStore):
    """A store that knows what was read, and stops answering when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self.gone = False

    def read(self, path: str) -> Stored | None:
        self.reads.append(path)
        if self.gone:
            raise Temporary("the store does not answer")
        return super().read(path)


def publish(store: MemoryStore | GcsStore, files: dict[str, bytes]) -> None:
    """Deliver the files."""
    Modules(store).publish(made(files), files, "", NOW)


@pytest.fixture
def store() -> Counting:
    """A bucket in memory, before the first delivery."""
    return Counting()


@pytest.fixture
def following(store: Counting) -> Following:
    """The models of the archive, and the bucket."""
    return Following(SPECS, Modules(store))


def test_before_the_first_delivery_the_archive_counts(following: Following) -> None:
    """There is no pointer to follow."""
    following.refresh()

    assert dict(following) == SPECS
    assert following.digest == ""


def test_a_delivered_set_replaces_the_archive(following: Following, store: Counting) -> None:
    """As a whole: a model that is not in it is gone."""
    publish(store, LESS)
    following.refresh()

    assert list(following) == ["flights"]
    assert following.digest == made(LESS).digest


def test_an_unchanged_pointer_costs_one_read(following: Following, store: Counting) -> None:
    """However many messages come."""
    publish(store, FILES)
    following.refresh()
    store.reads.clear()
    following.refresh()

    assert store.reads == [names.MODULES_POINTER]


def test_a_store_that_is_gone_leaves_the_last_models(
    following: Following, store: Counting, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so as an error."""
    publish(store, LESS)
    following.refresh()
    store.gone = True
    following.refresh()

    assert list(following) == ["flights"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["severity"] == "ERROR"


def damage(store: Counting, path: str, body: str) -> None:
    """Somebody wrote into the bucket."""
    stored = store.read(path)
    assert stored is not None
    store.replace(path, body, stored.version)


def broken_pointer(store: Counting) -> None:
    """What is there is no pointer."""
    publish(store, LESS)
    damage(store, names.MODULES_POINTER, "not JSON")


def missing_list(store: Counting) -> None:
    """The pointer leads nowhere."""
    publish(store, LESS)
    damage(store, names.MODULES_POINTER, Current(digest="1" * 64, sequence=2).to_json())


def changed_file(store: Counting) -> None:
    """A model file is not the one of the list."""
    publish(store, QUICK)
    file = next(file for file in made(QUICK).models if "flights" in file.path)
    damage(store, names.module_file_path(file.sha256), FLIGHTS.decode())


def wrong_model(store: Counting) -> None:
    """Somebody delivered a set without checking it first."""
    publish(store, changed(models__flights=b"name: flights\n"))


@pytest.mark.parametrize("harm", [broken_pointer, missing_list, changed_file, wrong_model])
@pytest.mark.parametrize("cold", [True, False])
def test_no_harm_in_the_bucket_reaches_the_functions(
    following: Following, store: Counting, harm: object, cold: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last good models stay; at a cold start, the archive's."""
    if not cold:
        publish(store, FILES)
        following.refresh()
    assert callable(harm)
    harm(store)
    following.refresh()
    following.refresh()

    assert set(following) == {"bikes", "flights"}
    assert following.digest == ("" if cold else made(FILES).digest)
    assert [json.loads(line)["severity"] for line in capsys.readouterr().out.splitlines()][-2:] == ["ERROR"] * 2


def test_a_good_delivery_after_a_bad_one_is_followed(following: Following, store: Counting) -> None:
    """Without a restart."""
    wrong_model(store)
    following.refresh()
    publish(store, LESS)
    following.refresh()

    assert list(following) == ["flights"]


@pytest.fixture
def environment(gcs: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsStore]:
    """The settings of an installation that follows its bucket; that bucket."""
    client, bucket = connect("shop-prod", gcs), fresh("artifacts")
    client.create_bucket(bucket)
    settings = {
        "STORAGE_EMULATOR_HOST": gcs,
        "RETRAIN_PROJECT": "shop-prod",
        "RETRAIN_REGION": "us-central1",
        "RETRAIN_STATE_BUCKET": bucket,
        "RETRAIN_ARTIFACT_BUCKET": bucket,
        "RETRAIN_DATASET": "retraining",
        "RETRAIN_MODULES": "current",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    wiring.process_world.cache_clear()
    yield GcsStore(client, bucket)
    wiring.process_world.cache_clear()


def test_the_next_message_sees_the_delivery(environment: GcsStore) -> None:
    """In the same process, and in what was built from the models already."""
    before = wiring.world()
    names_before = set(before.intake.models)
    publish(environment, LESS)
    after = wiring.world()

    assert names_before == {"bikes", "flights"}
    assert after is before
    assert set(after.intake.models) == {"flights"}


def test_without_the_setting_the_bucket_counts_for_nothing(
    environment: GcsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model files and code are as packaged."""
    monkeypatch.setenv("RETRAIN_MODULES", "")
    publish(environment, LESS)

    assert set(wiring.world().intake.models) == {"bikes", "flights"}


def test_a_wrong_setting_is_named(environment: GcsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was expected."""
    monkeypatch.setenv("RETRAIN_MODULES", "latest")

    with pytest.raises(BadConfig, match="RETRAIN_MODULES: expected current or nothing, got 'latest'"):
        wiring.world()


def words(cloud: Cloud) -> dict[str, list[str]]:
    """The arguments of each job that say which code it runs."""
    plans = [cloud.jobs.plan(job.name) for job in cloud.jobs.all()]
    return {plan.kind: [word for word in plan.args if word.startswith("--modules")] for plan in plans}


def followed(digests: list[str]) -> Cloud:
    """A cloud in which new runs take the last of these sets."""
    from dataclasses import replace

    cloud = Cloud()
    cloud.runs = replace(cloud.runs, modules=lambda: digests[-1])
    return cloud


def test_all_jobs_of_a_run_run_the_same_code() -> None:
    """Although a delivery comes between training and evaluation."""
    digests = ["a" * 64]
    cloud = followed(digests)
    cloud.trigger()
    while "train" not in words(cloud):
        cloud.tick()
    digests.append("b" * 64)
    cloud.settle()
    expected = [f"--modules=gs://artifacts/modules/sets/{'a' * 64}.json", f"--modules-digest={'a' * 64}"]

    assert words(cloud) == {"train": expected, "evaluate": expected}
    assert cloud.all_runs[-1].modules == "a" * 64


def test_the_next_run_takes_the_delivered_code() -> None:
    """It was frozen after the delivery."""
    digests = ["a" * 64]
    cloud = followed(digests)
    cloud.promoted()
    digests.append("b" * 64)
    cloud.trigger()
    cloud.settle()

    assert [run.modules[0] for run in cloud.all_runs] == ["a", "b"]


def test_without_a_set_jobs_run_the_code_of_the_image() -> None:
    """They are told nothing."""
    cloud = Cloud()
    cloud.promoted()

    assert words(cloud) == {"train": [], "evaluate": []}


def test_a_run_of_an_older_version_is_readable() -> None:
    """It knows nothing of sets."""
    cloud = Cloud()
    cloud.train_state = JobState.FAILED
    cloud.trigger()
    cloud.settle()
    path = cloud.store.list("runs/")[0]
    stored = cloud.store.read(path)
    assert stored is not None
    older = {name: value for name, value in json.loads(stored.body).items() if name != "modules"}
    cloud.store.replace(path, json.dumps(older), stored.version)
    found = read_run(cloud.store, older["run_id"])
    assert found is not None

    assert found[0].modules == ""
