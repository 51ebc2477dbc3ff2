# One archive, seven functions. Nobody but the push account may call them.

resource "google_storage_bucket_object" "archive" {
  name   = "functions-${filesha256(var.archive)}.zip" # other bytes, other name: only then are functions deployed anew
  bucket = google_storage_bucket.this["source"].name
  source = var.archive
}

resource "google_cloudfunctions2_function" "this" {
  for_each = local.resources.functions

  name        = replace(each.key, "_", "-")
  location    = var.region
  description = each.value.about
  depends_on = [
    google_service_account.this, google_project_iam_member.build, google_storage_bucket_iam_member.build,
    google_artifact_registry_repository_iam_member.build,
  ]

  build_config {
    runtime           = "python313"
    entry_point       = each.key
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = google_service_account.this["build"].id

    source {
      storage_source {
        bucket = google_storage_bucket_object.archive.bucket
        object = google_storage_bucket_object.archive.name
      }
    }
  }

  service_config {
    available_memory                 = "${each.value.memory_mib}Mi"
    available_cpu                    = "1"
    timeout_seconds                  = each.value.timeout_s
    max_instance_count               = each.value.max_instances
    max_instance_request_concurrency = each.value.concurrency
    ingress_settings                 = "ALLOW_INTERNAL_ONLY" # Pub/Sub of the same project counts as internal
    service_account_email            = local.shape.accounts[each.key].email
    all_traffic_on_latest_revision   = true
    environment_variables            = merge(local.shape.settings, { RETRAIN_TRAINER_IMAGE = var.trainer_image })
  }
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = google_cloudfunctions2_function.this

  name       = each.value.name
  location   = each.value.location
  role       = "roles/run.invoker"
  member     = local.members.push
  depends_on = [google_service_account.this]
}

# What turning the archive into functions takes; see "Custom service account for Cloud Functions builds".

resource "google_project_iam_member" "build" {
  project    = var.project
  role       = "roles/logging.logWriter"
  member     = local.members.build
  depends_on = [google_service_account.this]
}

resource "google_storage_bucket_iam_member" "build" {
  bucket     = google_storage_bucket.this["source"].name
  role       = "roles/storage.objectViewer"
  member     = local.members.build
  depends_on = [google_service_account.this]
}

resource "google_artifact_registry_repository_iam_member" "build" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = local.members.build
  depends_on = [google_service_account.this]
}
