"""Build the archive that Cloud Functions deploys: ``python -m functions.package --out build/functions.zip``.

``main.py`` and ``requirements.txt`` lie at the root and the packages beside them, which is what the framework finds
without any setting. The same files give the same bytes: order, times and modes are fixed.
"""

import argparse
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATTERNS = (
    "functions/**/*.py",
    "gcp/**/*.py",
    "gcp/**/*.sql",
    "monitoring/**/*.py",
    "monitoring/**/*.sql",
    "retraining/**/*.py",
    "models/*.yaml",
)
_LEFT_OUT = {"functions/package.py"}
_RENAMED = {"main.py": "functions/main.py", "requirements.txt": "requirements.txt"}
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip file can say


def contents(root: Path = ROOT) -> dict[str, Path]:
    """Path in the archive → file, sorted by path in the archive."""
    found = {path.relative_to(root).as_posix(): path for pattern in PATTERNS for path in root.glob(pattern)}
    kept = {name: path for name, path in found.items() if name not in _LEFT_OUT and path.is_file()}
    kept |= {name: root / source for name, source in _RENAMED.items()}
    return dict(sorted(kept.items()))


def build(out: Path, root: Path = ROOT) -> list[str]:
    """Write the archive to ``out`` and return the paths in it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    files = contents(root)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return list(files)


def main() -> None:
    """Build the archive where the command line says."""
    parser = argparse.ArgumentParser(description="Build the archive of the functions.")
    parser.add_argument("--out", type=Path, default=Path("build/functions.zip"), help="file to write")
    out: Path = parser.parse_args().out
    files = build(out)
    print(f"{out}: {len(files)} files, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
