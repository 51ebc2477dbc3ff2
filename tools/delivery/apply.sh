#!/bin/sh
# Make ENVIRONMENT's infrastructure what terraform says, if the plan or another image asks for it, and learn its settings.
set -eu
environment=$1
image=$(cat build/delivery/image)
terraform -chdir=terraform init -input=false -backend-config="environments/$environment.gcs.tfbackend"
if grep -qx terraform=true build/delivery/plan || ! grep -qsF "\"$image\"" build/delivery/last.json; then
  terraform -chdir=terraform plan -input=false -lock-timeout=5m -out=delivery.tfplan \
    -var-file="environments/$environment.tfvars" -var="trainer_image=$image"
  terraform -chdir=terraform apply -input=false -lock-timeout=5m delivery.tfplan
else
  echo "nothing to apply"
fi
terraform -chdir=terraform output -json settings > build/delivery/settings.json
