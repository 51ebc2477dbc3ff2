# Cloud Scheduler: ticks of all models, and each model's own times.

resource "google_cloud_scheduler_job" "this" {
  for_each = local.shape.jobs

  name        = each.key
  region      = var.region
  schedule    = each.value.cron
  time_zone   = each.value.time_zone
  description = each.value.model == null ? "all models" : "model ${each.value.model}"

  pubsub_target {
    topic_name = google_pubsub_topic.this[each.value.topic].id
    data       = base64encode(jsonencode(each.value.body))
    attributes = { source = "scheduler" }
  }

  retry_config {
    retry_count = 3
  }
}

# Queries that fill source tables and say when they have.
resource "google_bigquery_data_transfer_config" "scheduled_query" {
  for_each = var.scheduled_queries

  display_name              = each.key
  location                  = var.region
  data_source_id            = "scheduled_query"
  schedule                  = each.value.schedule
  destination_dataset_id    = each.value.dataset
  service_account_name      = each.value.account
  notification_pubsub_topic = google_pubsub_topic.this["data-changes"].id
  params                    = { query = each.value.query }
}
