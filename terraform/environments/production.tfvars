# Put your own values here; see docs/deploy.md.
environment   = "production"
project       = "example-models"
region        = "europe-west1"
alert_emails  = ["ml-operators@example.com"]
operators     = ["group:ml-operators@example.com"]
trainer_image = "europe-west1-docker.pkg.dev/example-models/retrain/trainer@sha256:0000000000000000000000000000000000000000000000000000000000000000"
