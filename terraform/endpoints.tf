# An endpoint for each model, which logs its requests. Which models it serves, and how traffic is split, is on_candidate's
# business alone.

resource "google_vertex_ai_endpoint" "this" {
  for_each = local.shape.endpoints

  name         = each.value.id
  display_name = each.key
  location     = var.region
  region       = var.region
  labels       = { model = each.value.model }

  predict_request_response_logging_config {
    enabled       = true
    sampling_rate = each.value.sampling_rate

    bigquery_destination {
      output_uri = "bq://${var.project}.${coalesce(each.value.log, "${local.shape.dataset}.${google_bigquery_table.own[each.value.table].table_id}")}"
    }
  }

  lifecycle {
    ignore_changes = [traffic_split]
  }
}
