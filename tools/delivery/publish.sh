#!/bin/sh
# One submit: after the infrastructure, modules and image become current together, and each model concerned is asked once.
set -eu
commit=$1
if grep -qxE '(modules|image)=true' build/delivery/plan || ! grep -qsF "\"$(cat build/delivery/image)\"" build/delivery/last.json; then
  python3 -m tools.delivery.settings build/delivery/settings.json \
    .venv/bin/retrain modules publish --commit "$commit" --image "$(cat build/delivery/image)" --by delivery
else
  echo "nothing to submit"
fi
