"""The file of grants, and how it is compared with what is used."""

from pathlib import Path

import pytest

from local.recording.grants import granted, idle, lacking, load_grants
from local.recording.permissions import Use
from retraining.errors import BadConfig

GET = Use("a", "storage.objects.get", "state", "runs")
LIST = Use("a", "storage.objects.list", "state", "runs")


def test_a_grant_is_every_permission_in_every_folder(tmp_path: Path) -> None:
    path = tmp_path / "permissions.yaml"
    path.write_text("abc: {read_all: { where: state, under: [runs, inbox], may: [storage.objects.get] }}")

    assert set(granted(load_grants(path))) == {
        Use("abc", "storage.objects.get", "state", "runs"),
        Use("abc", "storage.objects.get", "state", "inbox"),
    }


@pytest.mark.parametrize(
    ("grant", "complaint"),
    [
        ("{ where: moon, may: [storage.objects.get] }", "abc.read_all.where"),
        ("{ where: state, may: [storage.objects.get] }", "expected folders"),
        ("{ where: project, under: [runs], may: [storage.objects.get] }", "expected only on state or artifacts"),
        ("{ where: state, under: [runs], may: [storage.objects.get, storage.objects.list] }", "alone"),
        ("{ where: state, under: [runs], may: [everything] }", "abc.read_all.may.0"),
        ("{ where: state, under: [runs], may: [] }", "abc.read_all.may"),
        ("{ where: state, under: [runs], may: [storage.objects.get], to: all }", "abc.read_all.to"),
    ],
)
def test_a_wrong_grant_is_refused_by_name(tmp_path: Path, grant: str, complaint: str) -> None:
    """With what was expected."""
    path = tmp_path / "permissions.yaml"
    path.write_text(f"abc: {{read_all: {grant}}}")

    with pytest.raises(BadConfig, match=complaint):
        load_grants(path)


def test_what_is_used_and_not_granted_is_lacking() -> None:
    """And nothing else."""
    assert lacking([GET, LIST], [GET]) == [LIST]


def test_a_grant_on_the_whole_bucket_covers_its_folders() -> None:
    """A list of all names answers a list of some."""
    whole = Use("a", "storage.objects.list", "state")

    assert lacking([LIST], [whole]) == []
    assert lacking([whole], [LIST]) == [whole]


def test_what_is_granted_and_not_used_is_idle() -> None:
    """A grant on the whole bucket, too, when only a folder was needed."""
    whole = Use("a", "storage.objects.list", "state")

    assert idle([GET, LIST], [GET]) == [LIST]
    assert idle([whole], [LIST]) == [whole]
