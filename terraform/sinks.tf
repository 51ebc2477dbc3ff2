# Log sinks publish through writers of their own.

resource "google_logging_project_sink" "this" {
  for_each = local.shape.sinks

  name                   = "retrain-${each.key}"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.this[each.value.topic].id}"
  filter                 = each.value.filter
  unique_writer_identity = true
}

resource "google_pubsub_topic_iam_member" "sink" {
  for_each = local.shape.sinks

  topic  = google_pubsub_topic.this[each.value.topic].name
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.this[each.key].writer_identity
}
