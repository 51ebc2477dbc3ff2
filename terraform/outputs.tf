output "buckets" {
  description = "Bucket names by purpose: state (records), artifacts (rows, models, reports), source (archives)."
  value       = { for name, bucket in google_storage_bucket.this : name => bucket.name }
}

output "dashboard" {
  description = "Id of the dashboard with this system's own metrics."
  value       = google_monitoring_dashboard.this.id
}

output "endpoints" {
  description = "Resource names of the endpoints by display name."
  value       = { for name, endpoint in google_vertex_ai_endpoint.this : name => endpoint.id }
}

output "functions" {
  description = "Addresses of the functions; only the push account may call them."
  value       = { for name, function in google_cloudfunctions2_function.this : name => function.service_config[0].uri }
}

output "images" {
  description = "Repository of images; the trainer's image goes to <this>/trainer."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "settings" {
  description = "What the functions read, and what `retrain` needs to work against this installation: eval \"$(retrain deploy env)\"."
  value       = merge(local.shape.settings, { RETRAIN_TRAINER_IMAGE = var.trainer_image })
}
