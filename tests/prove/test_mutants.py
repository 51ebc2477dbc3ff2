"""The list of mutants is true; ``python -m tests.prove.mutants`` hunts them."""

from dataclasses import replace

import pytest

from tests.prove.mutants import ROOT, Untrue, hunt, mutated
from tests.prove.mutations import MUTANTS, Mutant

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    """What it replaces is there, once."""
    text = (ROOT / mutant.file).read_text()

    assert mutated(text, mutant) != text


def test_no_mutant_has_the_name_of_another() -> None:
    """The table names each."""
    assert len(BY_NAME) == len(MUTANTS) >= 20


def test_a_list_that_is_no_longer_true_is_said() -> None:
    """The code changed, and nobody looked at the mutant."""
    gone = replace(MUTANTS[0], old="no such text")

    with pytest.raises(Untrue, match="expected the old text once, found it 0 times"):
        mutated((ROOT / gone.file).read_text(), gone)


def test_a_mistake_that_no_test_asks_about_survives() -> None:
    """The hunt can come home with nothing."""
    idle = Mutant("idle", "retraining/names.py", '"""', '""" ', ("tests/unit/test_names.py",))
    text = (ROOT / idle.file).read_text()
    first = text.splitlines()[0]
    _, wrong = hunt(replace(idle, old=first, new=first.replace(".", "!")))

    assert wrong == "idle: survived in retraining/names.py"
