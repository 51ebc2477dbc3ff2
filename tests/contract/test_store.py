"""What every Store promises, in memory and on Cloud Storage's protocol."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gcp.storage import connect
from gcp.store import GcsStore
from local.memory.store import MemoryStore
from retraining.errors import Conflict, Exists, Temporary
from retraining.ports import Store
from retraining.views import Stored
from tests.servers import free_port, gcs_server

RACERS = 16
ROUNDS = 5
BUCKETS = itertools.count(1)


def race(act: Callable[[int], object]) -> list[object]:
    """Call ``act`` with 0..15 in as many threads at the same moment; what each returned or raised."""
    answers: list[object] = [None] * RACERS
    start = threading.Barrier(RACERS)

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = act(number)
        except Conflict as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class StoreContract:
    """Facts about any Store; ``store`` is empty at the start of each test."""

    def test_a_created_record_is_read_back(self, store: Store) -> None:
        version = store.create("runs/a.json", '{"state": "waiting", "note": "naïve"}')

        assert store.read("runs/a.json") == Stored('{"state": "waiting", "note": "naïve"}', version)

    def test_a_missing_record_is_none(self, store: Store) -> None:
        assert store.read("runs/none.json") is None

    def test_creating_over_another_body_fails_and_changes_nothing(self, store: Store) -> None:
        version = store.create("claims/k.json", "first")

        with pytest.raises(Exists, match=r"claims/k\.json"):
            store.create("claims/k.json", "second")
        assert store.read("claims/k.json") == Stored("first", version)

    def test_creating_the_same_body_again_is_the_same_success(self, store: Store) -> None:
        version = store.create("claims/k.json", "mine")

        assert store.create("claims/k.json", "mine") == version

    def test_replacing_the_read_version_gives_a_new_version(self, store: Store) -> None:
        first = store.create("runs/a.json", "one")

        second = store.replace("runs/a.json", "two", first)

        assert second != first
        assert store.read("runs/a.json") == Stored("two", second)

    def test_replacing_a_stale_version_fails_and_changes_nothing(self, store: Store) -> None:
        first = store.create("runs/a.json", "one")
        second = store.replace("runs/a.json", "two", first)

        with pytest.raises(Conflict, match=r"runs/a\.json"):
            store.replace("runs/a.json", "three", first)
        assert store.read("runs/a.json") == Stored("two", second)

    def test_replacing_again_with_the_same_body_succeeds(self, store: Store) -> None:
        first = store.create("runs/a.json", "one")
        second = store.replace("runs/a.json", "two", first)

        assert store.replace("runs/a.json", "two", first) == second

    def test_replacing_a_deleted_record_fails(self, store: Store) -> None:
        version = store.create("runs/a.json", "one")
        store.delete("runs/a.json")

        with pytest.raises(Conflict):
            store.replace("runs/a.json", "two", version)
        assert store.read("runs/a.json") is None

    def test_a_version_does_not_come_back_after_delete_and_create(self, store: Store) -> None:
        old = store.create("runs/a.json", "one")
        store.delete("runs/a.json")
        store.create("runs/a.json", "another")

        with pytest.raises(Conflict):
            store.replace("runs/a.json", "two", old)

    def test_deleting_twice_is_fine(self, store: Store) -> None:
        store.create("active/a.json", "{}")

        store.delete("active/a.json")
        store.delete("active/a.json")

        assert store.read("active/a.json") is None

    def test_listing_is_sorted_and_bound_by_its_prefix(self, store: Store) -> None:
        for path in ("inbox/b/2.json", "inbox/b/10.json", "inbox/a/1.json", "runs/inbox/b.json"):
            store.create(path, "{}")

        assert store.list("inbox/b/") == ["inbox/b/10.json", "inbox/b/2.json"]
        assert store.list("nothing/") == []

    def test_a_race_to_create_has_exactly_one_winner(self, store: Store) -> None:
        for turn in range(ROUNDS):
            path = f"claims/{turn}.json"

            def create(number: int, path: str = path) -> str:
                return store.create(path, f"racer {number}")

            answers = race(create)

            winners = [number for number, answer in enumerate(answers) if isinstance(answer, str)]
            assert len(winners) == 1
            assert store.read(path) == Stored(f"racer {winners[0]}", str(answers[winners[0]]))

    def test_a_race_to_replace_has_exactly_one_winner(self, store: Store) -> None:
        for turn in range(ROUNDS):
            path = f"runs/{turn}.json"
            version = store.create(path, "start")

            def replace(number: int, path: str = path, version: str = version) -> str:
                return store.replace(path, f"racer {number}", version)

            answers = race(replace)

            winners = [number for number, answer in enumerate(answers) if isinstance(answer, str)]
            assert len(winners) == 1
            assert store.read(path) == Stored(f"racer {winners[0]}", str(answers[winners[0]]))

    def test_no_increment_is_lost_between_writers(self, store: Store) -> None:
        store.create("budget/m.json", "0")

        def add(_: int) -> None:
            while True:
                stored = store.read("budget/m.json")
                assert stored is not None
                try:
                    # The writer's mark keeps two equal sums from passing for one write.
                    total = int(stored.body.split()[0]) + 1
                    store.replace("budget/m.json", f"{total} {threading.get_ident()}", stored.version)
                except Conflict:
                    continue
                return

        race(add)

        stored = store.read("budget/m.json")
        assert stored is not None
        assert stored.body.split()[0] == str(RACERS)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Storage server that keeps its objects in files."""
    with gcs_server(tmp_path_factory.mktemp("objects")) as address:
        yield address


class TestMemoryStore(StoreContract):
    """The promises in memory."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestGcsStore(StoreContract):
    """The promises over Cloud Storage's protocol, objects in memory."""

    @pytest.fixture
    def store(self, gcs: str) -> GcsStore:
        return new_store(gcs)


class TestGcsStoreOnDisk(StoreContract):
    """The promises over Cloud Storage's protocol, objects in files."""

    @pytest.fixture
    def store(self, disk: str) -> GcsStore:
        return new_store(disk)


def new_store(address: str) -> GcsStore:
    """A store over a new, empty bucket."""
    client = connect("local", address)
    bucket = f"state-{next(BUCKETS)}"
    client.create_bucket(bucket)
    return GcsStore(client, bucket)


def test_listing_reads_all_pages(gcs: str) -> None:
    """More records than one page of answers holds are all listed."""
    store = new_store(gcs)
    paths = [f"events/{number:04d}.json" for number in range(1100)]
    for path in paths:
        store.create(path, "{}")

    assert store.list("events/") == paths


def test_versions_survive_a_restart(tmp_path: Path) -> None:
    """A record read before the server restarted can be replaced after it, and once only."""
    with gcs_server(tmp_path) as address:
        client = connect("local", address)
        client.create_bucket("kept")
        version = GcsStore(client, "kept").create("runs/a.json", "one")

    with gcs_server(tmp_path) as address:
        store = GcsStore(connect("local", address), "kept")

        assert store.read("runs/a.json") == Stored("one", version)
        store.replace("runs/a.json", "two", version)
        with pytest.raises(Conflict):
            store.replace("runs/a.json", "three", version)


def test_an_unreachable_server_is_temporary() -> None:
    """Nobody listening is a fault that passes, once the store's patience has ended."""
    store = GcsStore(connect("local", f"http://127.0.0.1:{free_port()}"), "state", patience_s=0.5)

    with pytest.raises(Temporary, match=r"reading record runs/a\.json"):
        store.read("runs/a.json")
