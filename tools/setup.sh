#!/usr/bin/env bash
# Make .venv what the requirement files say. Does nothing when it is that already.
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
stamp=.venv/made-from
files=(requirements-uv.txt requirements-dev.txt requirements-data.txt pyproject.toml tools/setup.sh)

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

digest() { { pwd; cat "${files[@]}"; } | cksum; }

# uv is quick but reads no settings of pip's:
# where only those lead to the packages (a proxy, an index of one's own), pip itself does it.
install() {
    "$python" -m uv pip install --quiet --compile-bytecode --python "$python" "$@" && return
    say "uv could not; trying pip, which takes longer"
    "$python" -m pip install --quiet --disable-pip-version-check "$@"
}

# A Python of our own below build/, for machines that have another version only.
fetch_python() {
    local helper=build/uv
    command -v python3 >/dev/null || return 1
    python3 -m venv "$helper" >&2 && "$helper/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes -r requirements-uv.txt >&2 || return 1
    export UV_PYTHON_INSTALL_DIR="$PWD/build/python"
    "$helper/bin/uv" python install 3.13 >&2 || return 1
    "$helper/bin/uv" python find --managed-python 3.13
}

find_python() {
    local found
    found=$(tools/find-python.sh)
    if [ -z "$found" ]; then
        say "no Python 3.13 here; fetching one"
        found=$(fetch_python) || fail "Python 3.13 is needed: install it (python.org, or: pyenv install 3.13)"
    fi
    printf '%s\n' "$found"
}

make_environment() {
    local base
    base=$(find_python)
    if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
        say "making .venv with $base"
        "$base" -m venv --clear .venv || fail "$base cannot make .venv: on Debian and Ubuntu, install python3.13-venv"
    fi
    say "installing packages (2.6 GB; a minute or a few)"
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
    install --require-hashes -r requirements-dev.txt
    install --require-hashes --no-deps -r requirements-data.txt
    install --no-deps --no-build-isolation --editable . # for the retrain command
}

# Two commands at once must not both install.
mkdir -p build
exec 9>build/setup.lock
if command -v flock >/dev/null; then flock 9; fi

wanted=$(digest)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || [ ! -x .venv/bin/retrain ]; then
    make_environment
    printf '%s\n' "$wanted" >"$stamp"
    say "ready"
fi
