"""What a module set is, when two are the same, and which models a delivery concerns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining.errors import BadConfig, BadRecord
from retraining.modules import Current, ModuleFile, ModuleSet, affected, check_file, move, request_id, specs
from tests.delivery.sets import BIKES, FILES, FLIGHTS, NOW, changed, made, sources


def pointer(files: dict[str, bytes], before: Current | None = None, image: str = "") -> Current:
    """The pointer after these files were delivered."""
    after = move(before, made(files), image, NOW)
    assert after is not None
    return after


def concerned(before: dict[str, bytes], after: dict[str, bytes], images: tuple[str, str] = ("a", "a")) -> list[str]:
    """The models that a delivery of ``after`` concerns."""
    current = pointer(after, pointer(before, image=images[0]), images[1])
    return affected(current, made(before), made(after), sources(after))


def test_the_same_files_have_the_same_digest() -> None:
    """In whatever order they are given and from whichever commit."""
    other = ModuleSet.of(dict(reversed(FILES.items())), "another", NOW)

    assert other.digest == made(FILES).digest


@pytest.mark.parametrize(
    "files",
    [changed(trainer__data=b"ROWS = 2\n"), changed(trainer__data=None), changed(trainer__new=b"")],
    ids=["changed", "removed", "added"],
)
def test_other_files_have_another_digest(files: dict[str, bytes]) -> None:
    """Content, absence and presence count."""
    assert made(files).digest != made(FILES).digest


def test_a_moved_file_has_another_digest() -> None:
    """The path is part of what a set says."""
    assert ModuleSet.of({"trainer/a.py": b"A"}).digest != ModuleSet.of({"trainer/b.py": b"A"}).digest


def test_a_set_is_read_back() -> None:
    """As it was written."""
    assert ModuleSet.from_json(made(FILES).to_json()).checked(made(FILES).digest) == made(FILES)


@pytest.mark.parametrize(
    "path",
    [
        "../trainer/data.py",
        "/trainer/data.py",
        "trainer/../../etc/passwd.py",
        "trainer//data.py",
        "trainer/data.py\n",
        "trainer/.hidden.py",
        "trainer/data.so",
        "trainer/data.py/",
        "gcp/store.py",
        "models/a/b.yaml",
        "models/flights.json",
        "models\\flights.yaml",
        "",
    ],
)
def test_only_known_folders_and_endings_are_paths(path: str) -> None:
    """A set is unpacked where its paths say."""
    with pytest.raises(BadRecord, match="expected paths such as"):
        ModuleSet.of({path: b""})


@given(st.text(max_size=30))
def test_no_path_leaves_its_folder(path: str) -> None:
    """Whatever a set's list says."""
    try:
        ModuleSet.of({f"trainer/{path}.py": b""})
    except BadRecord:
        return

    assert ".." not in path
    assert not path.startswith("/")


def test_a_forged_list_is_refused() -> None:
    """Its digest does not follow from its files."""
    forged = made(FILES).but(files=(ModuleFile(path="trainer/data.py", sha256="0" * 64),))

    with pytest.raises(BadRecord, match="its files have"):
        forged.checked()


def test_a_sound_list_of_another_set_is_refused() -> None:
    """Its digest is not the one that was asked for."""
    with pytest.raises(BadRecord, match="expected digest"):
        made(FILES).checked("1" * 64)


@pytest.mark.parametrize("files", [(), (ModuleFile(path="trainer/a.py", sha256="0" * 64),) * 2])
def test_a_list_without_files_or_with_one_twice_is_refused(files: tuple[ModuleFile, ...]) -> None:
    """Nobody publishes such a set."""
    with pytest.raises(BadRecord, match="different sorted paths"):
        ModuleSet(digest="", files=files).checked()


def test_a_large_file_is_refused() -> None:
    """A model file has the limit of model files."""
    with pytest.raises(BadRecord, match=r"models/flights\.yaml: expected at most"):
        ModuleSet.of({"models/flights.yaml": b"#" * 70_000})


@pytest.mark.parametrize("body", [None, b"other"])
def test_a_file_with_other_content_is_refused(body: bytes | None) -> None:
    """Or with none."""
    file = made(FILES).files[0]

    with pytest.raises(BadRecord, match=file.path):
        check_file(file, body)


def test_delivering_the_same_again_moves_nothing() -> None:
    """And the requests of a repeat are those of the first time."""
    current = pointer(FILES, image="a")

    assert move(current, made(FILES), "a", NOW) is None
    assert move(current, made(FILES), "", NOW) is None


def test_going_back_is_a_new_fact() -> None:
    """So a reverted delivery trains again."""
    first = pointer(FILES)
    second = pointer(changed(trainer__data=b"ROWS = 2\n"), first)
    third = pointer(FILES, second)

    assert len({request_id(current) for current in (first, second, third)}) == 3
    assert third.digest == first.digest


def test_the_first_delivery_concerns_every_model() -> None:
    """There is nothing to compare with."""
    assert affected(pointer(FILES), None, made(FILES), sources(FILES)) == ["bikes", "flights"]


def test_a_model_file_concerns_its_model() -> None:
    """And no other."""
    assert concerned(FILES, changed(models__flights=FLIGHTS + b"# words\n")) == ["flights"]


def test_what_jobs_import_concerns_every_model() -> None:
    """All are trained by it."""
    assert concerned(FILES, changed(trainer__data=b"ROWS = 2\n")) == ["bikes", "flights"]


def test_what_jobs_do_not_import_concerns_no_model() -> None:
    """A new policy changes no candidate."""
    assert concerned(FILES, changed(retraining__policy=b"COOLDOWN = 2\n")) == []


def test_a_new_image_concerns_every_model() -> None:
    """Its libraries train."""
    assert concerned(FILES, changed(retraining__policy=b"COOLDOWN = 2\n"), ("a", "b")) == ["bikes", "flights"]


def test_a_removed_model_is_not_asked_to_train() -> None:
    """Nobody could."""
    assert concerned(FILES, changed(models__bikes=None)) == []


def test_code_and_a_model_file_concern_each_model_once() -> None:
    """One delivery, one request for each."""
    both = changed(trainer__data=b"ROWS = 2\n", models__flights=FLIGHTS + b"# words\n")

    assert concerned(FILES, both, ("a", "b")) == ["bikes", "flights"]


def test_model_files_become_models() -> None:
    """By their name."""
    assert set(specs({"models/flights.yaml": FLIGHTS, "models/bikes.yaml": BIKES})) == {"flights", "bikes"}


@pytest.mark.parametrize(
    ("bodies", "why"),
    [
        ({}, "at least one model file"),
        ({"models/other.yaml": FLIGHTS}, "expected 'other', like the file"),
        ({"models/flights.yaml": b"\xff"}, "expected UTF-8"),
        ({"models/flights.yaml": b"name: flights"}, "models/flights.yaml: owner"),
    ],
)
def test_unusable_model_files_are_refused(bodies: dict[str, bytes], why: str) -> None:
    """With the file's name."""
    with pytest.raises(BadConfig, match=why):
        specs(bodies)
