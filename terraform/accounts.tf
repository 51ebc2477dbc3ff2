# One account for each function and job, custom roles with exactly what each of them uses (permissions.yaml), and
# nothing else: no primitive role anywhere.

resource "google_service_account" "this" {
  for_each = local.shape.accounts

  account_id   = each.value.id
  display_name = "retrain: ${each.value.about}"
  depends_on   = [google_project_service.api]
}

resource "google_project_iam_custom_role" "grant" {
  for_each = local.shape.grants

  role_id     = each.value.role
  title       = "retrain ${each.key}"
  description = "What ${each.value.account} does on ${each.value.kind}${each.value.target == null ? "" : " ${each.value.target}"}."
  permissions = each.value.may
}

# Addresses and role names follow from their ids, so a plan shows who gets what before anything exists; what uses them
# waits for the real thing by depends_on.
locals {
  members = { for name, account in local.shape.accounts : name => "serviceAccount:${account.email}" }

  # People share the account name "operator" in permissions.yaml; everything else has one member.
  _members = merge(
    { for name, member in local.members : name => { self = member } },
    { operator = { for member in var.operators : member => member } },
  )
  _bindings = merge([
    for name, grant in local.shape.grants : {
      for key, member in local._members[grant.account] : key == "self" ? name : "${name}/${key}" =>
      merge(grant, { member = member, role_name = "projects/${var.project}/roles/${grant.role}" })
    }
  ]...)
  bindings = {
    for kind in ["project", "state", "artifacts", "dataset", "topic", "account"] :
    kind => { for name, binding in local._bindings : name => binding if binding.kind == kind }
  }
  source_bindings = merge([
    for name, grant in local.shape.source_grants : {
      for key, member in local._members[grant.account] : key == "self" ? name : "${name}/${key}" => {
        dataset   = grant.dataset
        member    = member
        role_name = "projects/${var.project}/roles/${grant.role}"
      }
    }
  ]...)
}

resource "google_project_iam_member" "grant" {
  for_each = local.bindings.project

  project    = var.project
  role       = each.value.role_name
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_iam_custom_role.grant]
}

resource "google_storage_bucket_iam_member" "grant" {
  for_each = merge(local.bindings.state, local.bindings.artifacts)

  bucket     = google_storage_bucket.this[each.value.kind].name
  role       = each.value.role_name
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_iam_custom_role.grant]

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]
    content {
      title      = "folders"
      expression = condition.value
    }
  }
}

resource "google_bigquery_dataset_iam_member" "own" {
  for_each = local.bindings.dataset

  dataset_id = google_bigquery_dataset.own.dataset_id
  role       = each.value.role_name
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_iam_custom_role.grant]
}

resource "google_bigquery_dataset_iam_member" "source" {
  for_each = local.source_bindings

  dataset_id = each.value.dataset
  role       = each.value.role_name
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_iam_custom_role.grant]
}

resource "google_pubsub_topic_iam_member" "grant" {
  for_each = local.bindings.topic

  topic      = google_pubsub_topic.this[each.value.target].name
  role       = each.value.role_name
  member     = each.value.member
  depends_on = [google_service_account.this, google_project_iam_custom_role.grant]
}

resource "google_service_account_iam_member" "grant" {
  for_each = local.bindings.account

  service_account_id = google_service_account.this[each.value.target].name
  role               = each.value.role_name
  member             = each.value.member
  depends_on         = [google_service_account.this, google_project_iam_custom_role.grant]
}
