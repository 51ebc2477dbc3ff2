"""The page on security shows the grants as they are."""

from pathlib import Path

import pytest

from local.recording.grants import Grant, Grants
from local.recording.table import BEGIN, END, PAGE, NoPlace, table, with_table

GRANTS: Grants = {
    "trainer": {
        "read": Grant(where="artifacts", under=("runs", "fence"), may=("storage.objects.get",)),
        "tell": Grant(where="topic/ticks", may=("pubsub.topics.publish",)),
    }
}


def test_each_grant_is_a_line_and_an_account_is_named_once() -> None:
    """Where, below which folders, and what."""
    assert table(GRANTS).splitlines()[2:] == [
        "| `trainer` | artefact bucket: `runs/`, `fence/` | `storage.objects.get` |",
        "|  | topic `ticks` | `pubsub.topics.publish` |",
    ]


def test_the_table_stands_between_its_marks() -> None:
    """And the rest of the page stays."""
    assert with_table(f"before\n{BEGIN}\nold\n{END}\nafter", "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter"


def test_a_page_without_the_marks_is_refused() -> None:
    """Rather than written somewhere."""
    with pytest.raises(NoPlace):
        with_table("nothing here", "new")


def test_the_page_on_security_is_current(grants: Grants) -> None:
    """``python -m local.recording.table`` writes it."""
    page = Path(PAGE).read_text()

    assert with_table(page, table(grants)) == page
