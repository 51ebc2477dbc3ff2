#!/bin/sh
# Go on only if ENVIRONMENT has COMMIT, and take the image that was tried there: nothing is built twice.
set -eu
environment=$1 commit=$2
mkdir -p build/delivery
bucket=$(sed -n 's/^bucket *= *"\(.*\)"$/\1/p' "terraform/environments/$environment.gcs.tfbackend")
gcloud storage cat "gs://$bucket/delivery/$environment.json" > build/delivery/before.json
python3 - "$environment" "$commit" <<'PYTHON'
import json, pathlib, sys
environment, commit = sys.argv[1:]
folder = pathlib.Path("build/delivery")
found = json.loads((folder / "before.json").read_text())
if found["commit"] != commit:
    sys.exit(f"expected commit {commit} in {environment} first, found {found['commit']}")
(folder / "given").write_text(found["image"] + "\n")
PYTHON
