#!/bin/sh
# Remember what was delivered: the next delivery starts from here, however many pushes come between.
set -eu
commit=$1
printf '{"commit": "%s", "image": "%s"}\n' "$commit" "$(cat build/delivery/image)" > build/delivery/done.json
gcloud storage cp build/delivery/done.json "$(cat build/delivery/record)"
