"""``python -m tools.terraform.tables``: the tables of variables and outputs in terraform/README.md, from the code.

``--check`` only says whether they are current.
"""

import re
import sys
from pathlib import Path

from tools.terraform.provider import ROOT

README = ROOT / "terraform" / "README.md"
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_MARKED = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str, str, str]]:
    """(kind, name, description, default) of every variable and output; the default is empty where one is required.

    Raises ValueError for one without a description.
    """
    found = []
    for kind, name, body in _BLOCK.findall(text):
        described = re.search(r'^  description = "((?:[^"\\]|\\.)*)"', body, re.MULTILINE)
        if described is None:
            raise ValueError(f"{kind} {name}: expected a description")
        default = re.search(r"^  default\s+= (.*)$", body, re.MULTILINE)
        found.append((kind, name, described[1].replace('\\"', '"'), default[1] if default else ""))
    return found


def table(kind: str, folder: Path) -> str:
    """The table of all variables or all outputs."""
    found = [one for path in sorted(folder.glob("*.tf")) for one in blocks(path.read_text()) if one[0] == kind]
    if kind == "output":
        return "\n".join(
            ["| output | what |", "|---|---|", *(f"| `{name}` | {text} |" for _, name, text, _ in found)]
        )
    rows = [
        f"| `{name}` | {text} | {f'`{default}`' if default else 'required'} |" for _, name, text, default in found
    ]
    return "\n".join(["| variable | what | default |", "|---|---|---|", *rows])


def rendered(text: str, folder: Path) -> str:
    """``text`` with its marked parts made anew."""
    return _MARKED.sub(lambda part: f"{part[1]}{table(part[2].removesuffix('s'), folder)}\n{part[3]}", text)


def main() -> int:
    """Write the tables, or check them."""
    text = README.read_text()
    wanted = rendered(text, ROOT / "terraform")
    if "--check" in sys.argv[1:]:
        if text != wanted:
            print("terraform/README.md: its tables are old; run python -m tools.terraform.tables")
        return int(text != wanted)
    README.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
