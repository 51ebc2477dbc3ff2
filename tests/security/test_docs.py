"""The page on security promises tests; each must exist."""

import ast
import re

import pytest

from tools.supply.locks import ROOT

PAGE = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:terraform/)?tests/[\w/.]+(?:::\w+)*)`", PAGE)))


def test_every_threat_names_its_test() -> None:
    rows = [
        line for line in PAGE.partition("## Threats")[2].partition("###")[0].splitlines() if line.startswith("| ")
    ]

    assert len(rows) > 15
    assert [row for row in rows[1:] if row.rpartition(" | ")[2].strip("`| ") not in NAMED] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name: str) -> None:
    path, *parts = name.split("::")
    text = (ROOT / path).read_text()
    body: list[ast.stmt] = ast.parse(text).body if path.endswith(".py") else []
    for part in parts:
        found = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part]

        assert found, f"{name}: {part} is not there"
        body = found[0].body

    assert text


@pytest.mark.parametrize("mark", ["<!-- permissions -->", "<!-- /permissions -->"])
def test_the_place_of_the_permission_table_is_marked_once(mark: str) -> None:
    assert PAGE.count(mark) == 1
