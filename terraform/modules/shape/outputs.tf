output "accounts" {
  description = "Service accounts by name: id, e-mail address, what for."
  value       = local.accounts
}

output "buckets" {
  description = "Bucket names by purpose."
  value       = local.buckets
}

output "dataset" {
  description = "The system's own BigQuery dataset."
  value       = local.dataset
}

output "endpoints" {
  description = "Endpoints by display name: id, model, table of logged requests."
  value       = { for name, claimed in local.endpoints : name => claimed[0] }

  precondition {
    condition     = alltrue([for claimed in local.endpoints : length(claimed) == 1])
    error_message = "models: expected one model per endpoint, got ${join("; ", [for name, claimed in local.endpoints : "${name} of ${join(" and ", claimed[*].model)}" if length(claimed) > 1])}"
  }

  precondition {
    condition     = alltrue([for name, model in var.models : model.name == name])
    error_message = "models: expected the name of each file inside it, got ${join("; ", [for name, model in var.models : "${model.name} in ${name}.yaml" if model.name != name])}"
  }

  precondition {
    condition     = alltrue([for name, model in var.models : can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", name)) && can(regex("^[a-z][a-z0-9-]{1,62}$", model.endpoint))])
    error_message = "models: expected names of 3 to 40 lower-case letters, digits and dashes, and endpoints likewise."
  }
}

output "grants" {
  description = "Custom roles by account and grant: where, which permissions, under which condition."
  value       = local.grants

  precondition {
    condition     = alltrue([for name, grant in local.grants : contains(keys(local.accounts), grant.account) || grant.account == "operator"])
    error_message = "permissions: expected accounts of resources.yaml or operator, got ${join(", ", setsubtract([for grant in local.grants : grant.account], keys(local.accounts)))}"
  }

  precondition {
    condition     = alltrue([for grant in local.grants : contains(["project", "state", "artifacts", "dataset", "sources", "topic", "account"], grant.kind)])
    error_message = "permissions: where: expected project, state, artifacts, dataset, sources, topic/<name> or account/<name>."
  }

  precondition {
    # Cloud Storage refuses a condition with more than 12 operators.
    condition     = alltrue([for grant in local.grants : length(grant.under) <= 13])
    error_message = "permissions: under: expected at most 13 folders in one grant; split the grant."
  }

  precondition {
    condition     = alltrue([for grant in local.grants : !(contains(grant.may, "storage.objects.list") && length(grant.may) > 1 && length(grant.under) > 0)])
    error_message = "permissions: expected storage.objects.list in a grant of its own: its condition is on the listed prefix, not on an object."
  }

  precondition {
    condition     = alltrue([for grant in local.grants : length(grant.role) <= 64])
    error_message = "permissions: expected names that keep role ids within 64 characters."
  }
}

output "jobs" {
  description = "Cloud Scheduler jobs by name: cron, time zone, topic, body."
  value       = local.jobs
}

output "labels" {
  description = "Labels of everything in this installation."
  value       = local.labels
}

output "settings" {
  description = "Environment of the functions, less the trainer's image."
  value       = local.settings
}

output "sinks" {
  description = "Log sinks by name: topic and filter."
  value       = local.sinks
}

output "source_grants" {
  description = "Grants on the models' source tables, one for each dataset."
  value       = local.source_grants
}

output "sources" {
  description = "Datasets that hold the models' source tables."
  value       = local.sources
}
