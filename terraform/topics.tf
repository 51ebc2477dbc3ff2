# Topics, who may publish, and subscriptions of our own: Eventarc's would have no dead letters and forget after a day.

resource "google_pubsub_topic" "this" {
  for_each = local.resources.topics

  name                       = each.key
  message_retention_duration = "${local.resources.delivery.retention_s}s"
  depends_on                 = [google_project_service.api]

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

locals {
  _publishers = {
    scheduler = { self = local.agents.scheduler }
    transfers = { self = local.agents.transfers }
    incidents = { self = local.agents.incidents }
    pubsub    = { self = local.agents.pubsub }
    people    = {} # operators publish by their role; see permissions.yaml
    sink      = {} # each sink has a writer of its own; see sinks.tf
  }
  publishers = merge([
    for topic, settings in local.resources.topics : merge([
      for kind in settings.publishers : {
        for key, member in local._publishers[kind] :
        key == "self" ? "${topic}/${kind}" : "${topic}/${kind}/${key}" => { topic = topic, member = member }
      }
    ]...)
  ]...)
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  topic  = google_pubsub_topic.this[each.value.topic].name
  role   = "roles/pubsub.publisher" # one permission: pubsub.topics.publish
  member = each.value.member
  # Cloud Monitoring's account exists once the first channel that publishes does.
  depends_on = [google_monitoring_notification_channel.incidents]
}

resource "google_pubsub_subscription" "this" {
  for_each = local.resources.subscriptions

  name                       = each.key
  topic                      = google_pubsub_topic.this[each.value.topic].id
  ack_deadline_seconds       = local.resources.delivery.ack_deadline_s
  message_retention_duration = "${local.resources.delivery.retention_s}s"

  push_config {
    push_endpoint = google_cloudfunctions2_function.this[each.value.function].service_config[0].uri

    oidc_token {
      service_account_email = local.shape.accounts.push.email
      audience              = google_cloudfunctions2_function.this[each.value.function].service_config[0].uri
    }
  }

  expiration_policy {
    ttl = "" # never
  }

  retry_policy {
    minimum_backoff = "${local.resources.delivery.min_backoff_s}s"
    maximum_backoff = "${local.resources.delivery.max_backoff_s}s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.this[local.resources.delivery.dead_letter_topic].id
    max_delivery_attempts = local.resources.delivery.max_attempts
  }
}

# Dead letters wait here until somebody has looked; without a subscription Pub/Sub would drop them.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = local.resources.delivery.dead_letter_subscription
  topic                      = google_pubsub_topic.this[local.resources.delivery.dead_letter_topic].id
  message_retention_duration = "2678400s" # 31 days, the longest there is
  retain_acked_messages      = false

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub takes a message from its subscription when it moves it to the dead letters.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  for_each = google_pubsub_subscription.this

  subscription = each.value.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
}

# Pub/Sub signs its calls of the functions as the push account.
resource "google_service_account_iam_member" "push" {
  service_account_id = google_service_account.this["push"].name
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = local.agents.pubsub
}
