#!/bin/sh
# Ask every model's endpoint as its clients do. All are asked; one bad answer fails the delivery.
set -eu
failed=
for file in models/*.yaml; do
  python3 -m tools.delivery.settings build/delivery/settings.json \
    .venv/bin/retrain smoke "$(basename "$file" .yaml)" || failed=yes
done
test -z "$failed"
