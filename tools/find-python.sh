#!/usr/bin/env bash
# Print the path of a Python 3.13, or nothing. Each candidate is run: a shim that does not answer is no Python.
set -euo pipefail

is_python_313() {
    local version
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' </dev/null 2>/dev/null) || return 1
    [ "$version" = "3.13" ]
}

candidates() {
    local folder
    type -aP python3.13 python3 python || true
    for folder in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
        [ -n "$folder" ] && printf '%s\n' "$folder"/versions/3.13*/bin/python
    done
}

while IFS= read -r candidate; do
    if [ -x "$candidate" ] && is_python_313 "$candidate"; then
        printf '%s\n' "$candidate"
        exit 0
    fi
done < <(candidates)
