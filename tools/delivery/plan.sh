#!/bin/sh
# Decide what ENVIRONMENT needs for COMMIT. Writes build/delivery/plan (key=true|false), beside the last delivery.
set -eu
environment=$1 commit=$2
mkdir -p build/delivery
bucket=$(sed -n 's/^bucket *= *"\(.*\)"$/\1/p' "terraform/environments/$environment.gcs.tfbackend")
echo "gs://$bucket/delivery/$environment.json" > build/delivery/record
# No record, or none that can be read: everything is delivered.
gcloud storage cat "$(cat build/delivery/record)" > build/delivery/last.json || rm -f build/delivery/last.json
python3 -m tools.delivery --last build/delivery/last.json --head "$commit" > build/delivery/plan
cat build/delivery/plan
