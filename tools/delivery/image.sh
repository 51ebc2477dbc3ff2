#!/bin/sh
# Say in build/delivery/image which image jobs and servers run, by digest: the given one, a new one, or the last one.
set -eu
repository=$1 commit=$2
given=${IMAGE:-$(cat build/delivery/given 2> /dev/null || true)}
if [ -n "$given" ]; then
  echo "$given" > build/delivery/image
elif grep -qx image=true build/delivery/plan; then
  docker build --pull --file trainer/Dockerfile --tag "$repository/trainer:$commit" .
  docker push "$repository/trainer:$commit"
  docker inspect --format '{{index .RepoDigests 0}}' "$repository/trainer:$commit" > build/delivery/image
else
  python3 -c 'import json; print(json.load(open("build/delivery/last.json"))["image"])' > build/delivery/image
fi
grep -Eqx '[a-z0-9._/-]+@sha256:[0-9a-f]{64}' build/delivery/image || {
  echo "expected an image by digest, got: $(cat build/delivery/image)" >&2
  exit 1
}
cat build/delivery/image
