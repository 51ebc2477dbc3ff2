# state: records. artifacts: frozen rows, models, reports, module sets. source: archives of the functions.

locals {
  _lifecycles = {
    # Old versions of records are their history; the records themselves stay.
    state = [{ action = "Delete", condition = { days_since_noncurrent_time = 90 } }]
    artifacts = [
      { action = "Delete", condition = { age = 180, matches_prefix = ["snapshots/"] } },
      { action = "Delete", condition = { days_since_noncurrent_time = 30 } },
    ]
    source = [{ action = "Delete", condition = { age = 365 } }]
  }
}

resource "google_storage_bucket" "this" {
  for_each = local.shape.buckets

  name                        = each.value
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  depends_on                  = [google_project_service.api]

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  dynamic "lifecycle_rule" {
    for_each = local._lifecycles[each.key]
    content {
      action {
        type = lifecycle_rule.value.action
      }
      condition {
        age                        = try(lifecycle_rule.value.condition.age, null)
        days_since_noncurrent_time = try(lifecycle_rule.value.condition.days_since_noncurrent_time, null)
        matches_prefix             = try(lifecycle_rule.value.condition.matches_prefix, null)
      }
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}
