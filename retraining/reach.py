"""Which files a program imports, read from their text: what tells a change that reaches it from one that does not.

Standard library only, because the delivery asks before anything is installed.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping

SERVING = ("trainer/serve.py", "trainer/bootstrap.py")  # what runs as it is in the image, never from a module set
JOBS = ("trainer/__main__.py", "trainer/evaluate.py")  # what runs from a module set when a run has one


def reachable(sources: Mapping[str, str], roots: Iterable[str]) -> frozenset[str]:
    """The paths of ``sources`` (path such as ``trainer/data.py`` → text) that the ``roots`` import, with the roots.

    Imports inside functions count. A file that is not Python may import anything, so then everything is reachable.
    """
    found: set[str] = set()
    todo = [root for root in roots if root in sources]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        try:
            tree = ast.parse(sources[path])
        except (SyntaxError, ValueError):
            return frozenset(sources)
        for module in _imported(tree, path):
            todo += [name for name in _files(module) if name in sources]
    return frozenset(found)


def _imported(tree: ast.AST, path: str) -> Iterator[str]:
    package = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files(module: str) -> Iterator[str]:
    """The files that importing ``module`` may run: itself, and the packages above it."""
    parts = module.split(".")
    yield "/".join(parts) + ".py"
    for length in range(1, len(parts) + 1):
        yield "/".join([*parts[:length], "__init__.py"])
