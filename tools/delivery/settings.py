"""``python -m tools.delivery.settings FILE COMMAND...``: run a command with an installation's settings.

FILE holds what ``terraform output -json settings`` printed: an object of environment variables.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Become the command; its exit code is ours."""
    file, command = sys.argv[1], sys.argv[2:]
    settings = json.loads(Path(file).read_text())
    wrong = sorted(
        name for name, value in settings.items() if not name.startswith("RETRAIN_") or type(value) is not str
    )
    if wrong or not command:
        sys.exit(f"{file}: expected RETRAIN_* variables with text, and a command; got {wrong or 'no command'}")
    os.execvpe(command[0], command, os.environ | settings)  # noqa: S606 - no shell, as it should be


if __name__ == "__main__":
    main()
