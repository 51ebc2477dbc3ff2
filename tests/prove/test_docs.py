"""docs/reliability.md: every promise names a test, and every named test exists."""

import ast
import re
from pathlib import Path

import pytest

from tests.prove.__main__ import PAGE, PROOFS, put
from tests.prove.report import Part

ROOT = Path(__file__).parents[2]
TEXT = PAGE.read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", TEXT)))


def test_every_promise_names_a_test() -> None:
    promises = [line for line in TEXT.splitlines() if line.startswith("| P")]

    assert len(promises) == 12
    assert [line for line in promises if "`tests/" not in line] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    path, _, test = name.partition("::")
    functions = {
        node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)
    }

    assert not test or test in functions


@pytest.mark.parametrize("name", PROOFS)
def test_every_proof_has_its_place(name: str) -> None:
    part = Part(title="A title", header=("a",), rows=(("b",),), how="again")

    assert "### A title" in put(TEXT, name, part)
