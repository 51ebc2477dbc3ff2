"""Licences of the installed packages that the lock files name: only those on the list may be used."""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions

from tools.supply.locks import normal

# As packages write them. None of these asks for more than a notice when our own code is passed on; the Mozilla
# licence asks for the source of the package's own files, which is public.
ALLOWED = frozenset(
    {
        "0BSD", "3-Clause BSD License", "Apache 2.0", "Apache License 2.0", "Apache Software License", "Apache-2.0",
        "BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "CC0", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT",
        "MIT License", "MIT-0", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0",
        "Python Software Foundation License", "Unlicense", "Zlib",
    }
)  # fmt: skip
# Packages whose metadata says nothing: what the file in their source says, and who looked at it.
READ_BY_HAND = {"namex": "Apache-2.0"}


def licence(package: Distribution) -> str:
    """The licence as ``package`` declares it; empty when it declares none."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    approved = "License :: OSI Approved :: "
    listed = [c.removeprefix(approved) for c in said.get_all("Classifier") or [] if c.startswith(approved)]
    if listed:
        return " AND ".join(listed)
    return str(said.get("License") or "").strip().partition("\n")[0][:80]


def allowed(text: str) -> bool:
    """Whether an expression with AND and OR may be used: all parts of one alternative are on the list."""
    alternatives = re.split(r"\s+OR\s+", text.strip())
    return any(all(part.strip() in ALLOWED for part in re.split(r"\s+AND\s+", one)) for one in alternatives if one)


def problems(names: Iterable[str], packages: Iterable[Distribution] | None = None) -> list[str]:
    """Every package of ``names`` whose licence is not on the list, or that declares none."""
    wanted = set(names)
    found = []
    for package in sorted(packages if packages is not None else distributions(), key=lambda p: p.name.lower()):
        name = normal(package.name)
        if name in wanted and not allowed(said := licence(package) or READ_BY_HAND.get(name, "")):
            found.append(f"{name} {package.version}: licence {said!r} is not on the list")
    return found
