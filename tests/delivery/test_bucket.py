"""Module sets in a bucket: what is copied, in which order, and what a reader refuses."""

import json

import pytest

from gcp.modules import Modules
from gcp.storage import connect
from gcp.store import GcsStore
from local.memory.store import MemoryStore
from retraining import names
from retraining.errors import BadRecord, Conflict, Temporary
from retraining.modules import specs
from tests.contract.vertex import fresh
from tests.delivery.sets import FILES, NOW, changed, made

NEW = changed(trainer__data=b"ROWS = 2\n")


@pytest.fixture
def store(gcs: str) -> GcsStore:
    """An empty bucket."""
    client, bucket = connect("acme", gcs), fresh("modules")
    client.create_bucket(bucket)
    return GcsStore(client, bucket)


def publish(store: GcsStore | MemoryStore, files: dict[str, bytes], image: str = "") -> tuple[str, ...]:
    """Deliver the files; those that were copied."""
    return Modules(store).publish(made(files), files, image, NOW).copied


def test_only_changed_files_are_copied(store: GcsStore) -> None:
    """The others are there already."""
    first = publish(store, FILES)
    second = publish(store, NEW)

    assert sorted(first) == sorted(FILES)
    assert second == ("trainer/data.py",)


def test_the_pointer_leads_to_checked_model_files(store: GcsStore) -> None:
    """What functions read."""
    publish(store, NEW)
    modules = Modules(store)
    current = modules.current()
    assert current is not None

    assert current.digest == made(NEW).digest
    assert set(specs(modules.model_files(modules.read_set(current.digest)))) == {"flights", "bikes"}


def test_publishing_again_changes_nothing(store: GcsStore) -> None:
    """Not one object."""
    publish(store, FILES, "a")
    before = [(path, store.read(path)) for path in store.list("")]
    again = Modules(store).publish(made(FILES, "another commit"), FILES, "a", NOW)

    assert not again.moved
    assert [(path, store.read(path)) for path in store.list("")] == before


def test_an_empty_bucket_has_no_pointer(store: GcsStore) -> None:
    """Before the first delivery."""
    assert Modules(store).current() is None


def test_a_repeat_after_the_pointer_moved_knows_what_was_before(store: GcsStore) -> None:
    """So that it asks for the same runs as the delivery whose end was lost."""
    publish(store, FILES)
    first = Modules(store).publish(made(NEW), NEW, "", NOW)
    again = Modules(store).publish(made(NEW), NEW, "", NOW)

    assert again.before == first.before == made(FILES)
    assert again.current == first.current.but(nonce=again.current.nonce)


class Failing(MemoryStore):
    """A store that fails at one path, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = ""

    def create(self, path: str, body: str) -> str:
        if self.broken and path.startswith(self.broken):
            raise Temporary(f"{path}: the store does not answer")
        return super().create(path, body)


@pytest.mark.parametrize("broken", ["modules/files/", "modules/sets/", "modules/current"])
def test_a_delivery_that_breaks_off_leaves_nothing_half_visible(broken: str) -> None:
    """The pointer moves last; a repeat completes it."""
    store = Failing()
    store.broken = broken
    with pytest.raises(Temporary):
        publish(store, FILES)
    seen = Modules(store).current()
    store.broken = ""
    publish(store, FILES)
    current = Modules(store).current()

    assert seen is None
    assert current is not None
    assert current.digest == made(FILES).digest


class Racing(MemoryStore):
    """A store in which somebody else delivers just before the pointer moves."""

    def replace(self, path: str, body: str, version: str) -> str:
        stored = self.read(path)
        assert stored is not None
        super().replace(path, json.dumps(json.loads(stored.body) | {"nonce": "other"}), version)
        return super().replace(path, body, version)


def test_two_deliveries_at_once_do_not_overwrite_each_other() -> None:
    """The slower one is told."""
    store = Racing()
    publish(store, FILES)

    with pytest.raises(Conflict):
        publish(store, NEW)


@pytest.mark.parametrize("body", ["", "[]", '{"digest": 1}', made(NEW).to_json()])
def test_a_wrong_list_is_refused(store: GcsStore, body: str) -> None:
    """Also a sound one under another set's name."""
    digest = made(FILES).digest
    store.create(names.module_set_path(digest), body)

    with pytest.raises(BadRecord):
        Modules(store).read_set(digest)


def test_a_changed_model_file_is_refused(store: GcsStore) -> None:
    """Its content is checked before it is read."""
    publish(store, FILES)
    file = made(FILES).models[0]
    path = names.module_file_path(file.sha256)
    stored = store.read(path)
    assert stored is not None
    store.replace(path, stored.body + "# added\n", stored.version)

    with pytest.raises(BadRecord, match=file.path):
        Modules(store).model_files(made(FILES))


def test_a_delivery_after_a_lost_list_concerns_every_model() -> None:
    """What the set before held can no longer be read, so everything may have changed."""
    store = MemoryStore()
    publish(store, FILES)
    first = Modules(store).current()
    assert first is not None
    store.delete(names.module_set_path(first.digest))

    later = changed(models__flights=FILES["models/flights.yaml"] + b"# later\n")

    assert Modules(store).publish(made(later), later, "", NOW).before is None
