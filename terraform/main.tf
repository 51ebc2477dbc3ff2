# The shared files and the model files, worked out by a module that needs no provider. The other files read like
# forms: each holds one kind of thing.

module "shape" {
  source = "./modules/shape"

  environment = var.environment
  models      = local._models
  permissions = yamldecode(file("${path.module}/permissions.yaml"))
  project     = var.project
  region      = var.region
  resources   = local.resources
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  _models = {
    for file in fileset(var.models_folder, "*.yaml") :
    trimsuffix(file, ".yaml") => yamldecode(file("${var.models_folder}/${file}"))
  }
  resources = yamldecode(file("${path.module}/resources.yaml"))
  shape     = module.shape

  # Google's own accounts that act for this project.
  _agent = "serviceAccount:service-${data.google_project.this.number}@"
  agents = {
    incidents = "${local._agent}gcp-sa-monitoring-notification.iam.gserviceaccount.com"
    pubsub    = "${local._agent}gcp-sa-pubsub.iam.gserviceaccount.com"
    scheduler = "${local._agent}gcp-sa-cloudscheduler.iam.gserviceaccount.com"
    transfers = "${local._agent}gcp-sa-bigquerydatatransfer.iam.gserviceaccount.com"
  }
}

resource "google_project_service" "api" {
  for_each = toset([
    "aiplatform", "artifactregistry", "bigquery", "cloudbuild", "cloudfunctions", "cloudresourcemanager",
    "cloudscheduler", "iam", "logging", "monitoring", "pubsub", "run", "storage",
  ])

  service            = "${each.value}.googleapis.com"
  disable_on_destroy = false # others in the project may use it
}

# What the audit log needs to hold: who published a request, and every change of access.
resource "google_project_iam_audit_config" "pubsub" {
  count = var.audit_publishes ? 1 : 0

  project = var.project
  service = "pubsub.googleapis.com"

  audit_log_config {
    log_type = "DATA_WRITE"
  }
}
