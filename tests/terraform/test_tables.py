"""The tables in terraform/README.md."""

import pytest

from tools.terraform.tables import README, ROOT, blocks, rendered


def test_the_tables_are_those_of_the_code() -> None:
    text = README.read_text()

    assert text == rendered(text, ROOT / "terraform")
    assert "| `project` | Project id. One project holds one installation. | required |" in text


def test_what_has_no_description_is_refused() -> None:
    with pytest.raises(ValueError, match="variable size: expected a description"):
        blocks('variable "size" {\n  type = number\n}\n')
