"""A crash at every effect: before it, after it, with its answer lost, or waking late. The same end is reached."""

import pytest

from tests.prove import crashes
from tests.prove.crashes import AFTER, BEFORE, BEYOND, LONG, LOST, SHORT, Faults, Story

EFFECTS = crashes.fault_free()


@pytest.mark.parametrize("mode", [BEFORE, AFTER, LOST, SHORT])
@pytest.mark.parametrize("at", range(1, len(EFFECTS) + 1))
def test_one_fault_changes_no_end(at: int, mode: str) -> None:
    """Two facts end in two promoted runs, the second serves alone, no training counts twice, no money is owed."""
    assert not crashes.tell({at: mode})


@pytest.mark.parametrize("at", range(1, len(EFFECTS) + 1, 4))
@pytest.mark.parametrize("mode", [LONG, BEYOND])
def test_whoever_wakes_late_does_no_harm(at: int, mode: str) -> None:
    """After four ticks of others, or after a week, which no function lives: what it finds has moved on."""
    assert not crashes.tell({at: mode})


def test_the_story_has_many_effects() -> None:
    """Or the tests above prove little."""
    assert len(EFFECTS) > 80


def test_a_stalled_process_acts_on_what_it_had_read() -> None:
    """It wakes among the others: the effect it stalled at comes again, later, in the list of effects."""
    at = EFFECTS.index("create train job") + 1
    faults = Faults({at: LONG})
    said = Story(faults).tell()

    assert not said
    assert faults.names.count("create train job") == EFFECTS.count("create train job") + 1


def test_a_story_that_ends_otherwise_is_told() -> None:
    """The judge of the stories sees a model that nobody promoted."""
    story = Story(Faults())
    story.cloud.difference = 0.05

    assert "runs ended" in story.tell()
