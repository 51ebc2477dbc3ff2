# What to watch and whom to call. Metrics come from the functions' log lines, alarms from resources.yaml.

resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.alert_emails)

  display_name = "retrain: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
  depends_on   = [google_project_service.api]
}

# Alert policies of your own may ask for a retraining: name this channel in them, and the model in a policy label.
resource "google_monitoring_notification_channel" "incidents" {
  display_name = "retrain: incidents that are drift"
  type         = "pubsub"
  labels       = { topic = google_pubsub_topic.this["drift"].id }
}

resource "google_logging_metric" "this" {
  for_each = local.resources.metrics

  name        = "retrain/${each.key}"
  description = each.value.about
  filter = join("\n", compact([
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=(${join(" OR ", [
      for name in try([each.value.function], keys(local.resources.functions)) : "\"${replace(name, "_", "-")}\""
    ])})",
    try("severity>=${each.value.severity}", ""),
    try("jsonPayload.message=~\"${each.value.message}\"", ""),
  ]))
  value_extractor = try("EXTRACT(jsonPayload.${each.value.value})", null)

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = "1"
  }
}

locals {
  _log_series = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/%s\""
  _alarms = {
    for name, alarm in local.resources.alarms : name => {
      say    = alarm.say
      absent = try(alarm.absent_s, null)
      above  = try(alarm.above, null)
      # A value's largest of an hour; a count's sum of an hour; Google's gauges as they are.
      aligner = can(alarm.google) ? "ALIGN_MAX" : can(local.resources.metrics[alarm.metric].value) ? "ALIGN_PERCENTILE_99" : "ALIGN_SUM"
      period  = can(alarm.google) ? "300s" : "3600s"
      filter = can(alarm.google) ? join(" AND ", compact([
        "resource.type=\"pubsub_subscription\"", "metric.type=\"${alarm.google}\"",
        "resource.labels.subscription_id=one_of(${join(",", [for id in try([alarm.subscription], keys(local.resources.subscriptions)) : "\"${id}\""])})",
      ])) : format(local._log_series, google_logging_metric.this[alarm.metric].name)
    }
  }
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local._alarms

  display_name          = "retrain: ${each.key}"
  combiner              = "OR"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]

  documentation {
    content   = each.value.say
    mime_type = "text/markdown"
  }

  conditions {
    display_name = each.key

    dynamic "condition_absent" {
      for_each = each.value.absent == null ? [] : [each.value]
      content {
        filter   = condition_absent.value.filter
        duration = "${condition_absent.value.absent}s"

        aggregations {
          alignment_period     = "300s"
          per_series_aligner   = "ALIGN_SUM"
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }

    dynamic "condition_threshold" {
      for_each = each.value.above == null ? [] : [each.value]
      content {
        filter          = condition_threshold.value.filter
        comparison      = "COMPARISON_GT"
        threshold_value = condition_threshold.value.above
        duration        = "0s"

        aggregations {
          alignment_period     = condition_threshold.value.period
          per_series_aligner   = condition_threshold.value.aligner
          cross_series_reducer = "REDUCE_MAX"
        }
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}

# The page for a glance: one chart for each metric, in a grid two wide.
resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = "Retraining"
    labels      = { app = "" }
    mosaicLayout = {
      columns = 12
      tiles = [
        for place, name in keys(local.resources.metrics) : {
          xPos   = place % 2 * 6
          yPos   = floor(place / 2) * 4
          width  = 6
          height = 4
          widget = {
            title = local.resources.metrics[name].about
            xyChart = {
              dataSets = [{
                plotType   = "LINE"
                targetAxis = "Y1"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = format(local._log_series, google_logging_metric.this[name].name)
                    aggregation = {
                      alignmentPeriod    = "3600s"
                      perSeriesAligner   = can(local.resources.metrics[name].value) ? "ALIGN_PERCENTILE_99" : "ALIGN_SUM"
                      crossSeriesReducer = can(local.resources.metrics[name].value) ? "REDUCE_MAX" : "REDUCE_SUM"
                    }
                  }
                }
              }]
            }
          }
        }
      ]
    }
  })
}

resource "google_billing_budget" "this" {
  count = var.billing_account == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = "retraining, ${var.environment}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"] # all of it: jobs and deployed models bear labels of their own
  }

  amount {
    specified_amount {
      units = tostring(floor(var.monthly_budget))
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.email : channel.name]
    disable_default_iam_recipients   = false
  }
}
