# The system's own dataset: logged requests, drift counts, and views over the records for people.

locals {
  _tables = { for file in fileset("${path.module}/tables", "*.json") : trimsuffix(file, ".json") => jsondecode(file("${path.module}/tables/${file}")) }
  tables = merge(
    { for name in ["drift_counts", "drift_baseline", "drift_performance"] : name => merge(local._tables[name], { days = null, model = null }) },
    { for name, endpoint in local.shape.endpoints : endpoint.table => merge(local._tables.request_log, { days = var.log_days, model = endpoint.model }) },
  )
  # Each record is one line of JSON in one object: read as one column, cut up by the views.
  record_files = { events = "events/*", runs = "runs/*" }
}

resource "google_bigquery_dataset" "own" {
  dataset_id                 = local.shape.dataset
  location                   = var.region
  description                = "Retraining: logged requests, drift counts, views over runs and audit."
  delete_contents_on_destroy = false
  depends_on                 = [google_project_service.api]

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_bigquery_table" "own" {
  for_each = local.tables

  dataset_id          = google_bigquery_dataset.own.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode(each.value.schema)
  clustering          = length(each.value.cluster) == 0 ? null : each.value.cluster
  labels              = each.value.model == null ? null : { model = each.value.model }
  deletion_protection = true # a removed model keeps its log until somebody decides; see docs/deploy.md

  dynamic "time_partitioning" {
    for_each = each.value.partition == "" ? [] : [each.value.partition]
    content {
      type          = "DAY"
      field         = time_partitioning.value
      expiration_ms = each.value.days == null ? null : each.value.days * 86400000
    }
  }
}

resource "google_bigquery_routine" "json_or_null" {
  dataset_id      = google_bigquery_dataset.own.dataset_id
  routine_id      = "json_or_null"
  routine_type    = "SCALAR_FUNCTION"
  language        = "SQL"
  description     = "A payload as JSON, or null when it is none."
  definition_body = "SAFE.PARSE_JSON(payload, wide_number_mode => 'round')"
  return_type     = jsonencode({ typeKind = "JSON" })

  arguments {
    name      = "payload"
    data_type = jsonencode({ typeKind = "STRING" })
  }
}

resource "google_bigquery_table" "record_files" {
  for_each = local.record_files

  dataset_id          = google_bigquery_dataset.own.dataset_id
  table_id            = "${each.key}_files"
  description         = "Files of ${each.value} in the bucket of records, a line each. Read the view ${each.key} instead."
  deletion_protection = false # holds nothing itself

  schema = jsonencode([{ name = "line", type = "STRING", mode = "NULLABLE" }])

  external_data_configuration {
    source_format = "CSV"
    source_uris   = ["gs://${google_storage_bucket.this["state"].name}/${each.value}"]
    autodetect    = false

    csv_options {
      quote           = ""
      field_delimiter = "\u0001" # in no JSON text
    }
  }
}

resource "google_bigquery_table" "view" {
  for_each = local.record_files

  dataset_id          = google_bigquery_dataset.own.dataset_id
  table_id            = each.key
  description         = { events = "The audit: every decision, effect and action of a person.", runs = "Every run: why, what it did, how it ended, what it cost." }[each.key]
  deletion_protection = false

  view {
    use_legacy_sql = false
    query          = templatefile("${path.module}/views/${each.key}.sql", { files = "${var.project}.${local.shape.dataset}.${each.key}_files" })
  }

  depends_on = [google_bigquery_table.record_files]
}
