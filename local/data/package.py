"""Files inside an installed package, found without importing it, and frames that are prepared once."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def package_file(package: str, path: str) -> Path:
    """The file ``path`` of an installed package. Raises FileNotFoundError saying what to install."""
    spec = importlib.util.find_spec(package)
    found = Path(spec.origin).parent / path if spec and spec.origin else None
    if found is None or not found.is_file():
        raise FileNotFoundError(f"{package}/{path}: expected the file of an installed package: run 'make setup'")
    return found


def prepared(cache: Path | None, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The frame ``make`` gives, kept as Parquet in ``cache`` when one is given."""
    if cache is None:
        return make()
    path = cache / f"{name}.parquet"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        make().to_parquet(temporary, index=False)
        temporary.replace(path)
    return pd.read_parquet(path)
