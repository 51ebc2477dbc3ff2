"""The checks around the Terraform code, where they themselves could be wrong."""

from pathlib import Path

import pytest

from tools.terraform.provider import VARIABLE, find_stub
from tools.terraform.scan import problems


def test_a_finding_that_nobody_decided_on_is_a_problem() -> None:
    assert problems({"A", "B"}, {"A": "because"}) == ["B: a finding that nobody has decided on"]


def test_a_decision_that_nothing_needs_is_a_problem() -> None:
    assert problems(set(), {"A": "because"}) == ["A: decided on, and not found any more: take it off the list"]


def test_a_named_stand_in_is_used(tmp_path: Path) -> None:
    (tmp_path / "tfstub").mkdir()

    assert find_stub({VARIABLE: str(tmp_path)}) == tmp_path


def test_a_wrong_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder with a module tfstub"):
        find_stub({VARIABLE: str(tmp_path / "nothing")})


def test_a_stand_in_beside_the_checkout_is_found(tmp_path: Path) -> None:
    (tmp_path / "any" / "tools" / "tfstub" / "tfstub").mkdir(parents=True)

    assert find_stub({}, tmp_path) == tmp_path / "any" / "tools" / "tfstub"


def test_none_is_none(tmp_path: Path) -> None:
    assert find_stub({}, tmp_path) is None
