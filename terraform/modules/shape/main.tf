# Names, merging and access of an installation, worked out from the shared files and the model files.
# Locals that start with an underscore are steps on the way.

terraform {
  required_version = ">= 1.9"
}

locals {
  labels = { app = "retrain", environment = var.environment }

  buckets = {
    state     = "${var.project}-retrain-state"
    artifacts = "${var.project}-retrain-artifacts"
    source    = "${var.project}-retrain-source"
  }
  dataset = "retraining"
}

# Accounts: one for each function, and those that the file names --------------------

locals {
  _accounts = merge(
    { for name, function in var.resources.functions : name => function.about },
    { for name, account in var.resources.accounts : name => account.about },
  )
  accounts = {
    for name, about in local._accounts : name => {
      id    = "retrain-${replace(name, "_", "-")}"
      about = about
      email = "retrain-${replace(name, "_", "-")}@${var.project}.iam.gserviceaccount.com"
    }
  }
}

# What each model adds ------------------------------------------------------------

locals {
  endpoints = {
    for name, model in var.models : model.endpoint => {
      # The provider wants digits; a hash of the name never changes with the other models.
      id    = tostring(1000000000 + parseint(substr(sha256(model.endpoint), 0, 12), 16) % 9000000000)
      model = name
      table = "${replace(model.endpoint, "-", "_")}_requests"
      # A log that the model file names is somebody else's table; one in the older format is only read.
      log           = try(model.log.format, "vertex") == "vertex" ? try(model.log.table, null) : null
      sampling_rate = try(model.log.sampling_rate, 1)
    }...
  }

  sources = toset([for model in var.models : split(".", model.source.table)[0]])

  _jobs = { for name, job in var.resources.jobs : name => merge(job, { model = null, time_zone = "Etc/UTC" }) }
  _model_jobs = merge([
    for kind, job in var.resources.model_jobs : {
      for name, model in var.models : "${kind}-${name}" => {
        topic     = job.topic
        cron      = try(job.cron, model.triggers.schedule.cron)
        time_zone = try(job.cron, null) != null ? "Etc/UTC" : try(model.triggers.schedule.time_zone, "Etc/UTC")
        model     = name
        body = merge(job.body, { model = name },
        contains(keys(job.body), "schedule") ? { action = try(model.triggers.schedule.action, "auto") } : {})
      } if try(job.cron, model.triggers.schedule.cron, null) != null
    }
  ]...)
  jobs = merge(local._jobs, local._model_jobs)
}

# Access ---------------------------------------------------------------------------

locals {
  _grants = merge([
    for account, grants in var.permissions : {
      for name, grant in grants : "${account}/${name}" => {
        account = account
        role    = "retrain_${account}_${name}"
        kind    = split("/", grant.where)[0]
        target  = try(split("/", grant.where)[1], null)
        under   = grant.under
        may     = toset(grant.may)
      }
    }
  ]...)

  # A grant on a bucket holds for some folders: by the object's name, or for lists by the prefix that is asked for.
  grants = {
    for name, grant in local._grants : name => merge(grant, {
      condition = length(grant.under) == 0 || !contains(["state", "artifacts"], grant.kind) ? null : join(" || ", [
        for folder in grant.under : contains(grant.may, "storage.objects.list")
        ? "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"${folder}/\")"
        : "resource.name.startsWith(\"projects/_/buckets/${local.buckets[grant.kind]}/objects/${folder}/\")"
      ])
    })
  }

  # Grants on the models' source tables are repeated for every dataset that holds some.
  source_grants = merge([
    for name, grant in local.grants : {
      for dataset in local.sources : "${name}/${dataset}" => merge(grant, { dataset = dataset })
    } if grant.kind == "sources"
  ]...)
}

# What the functions read ----------------------------------------------------------

locals {
  settings = {
    RETRAIN_PROJECT           = var.project
    RETRAIN_REGION            = var.region
    RETRAIN_STATE_BUCKET      = local.buckets.state
    RETRAIN_ARTIFACT_BUCKET   = local.buckets.artifacts
    RETRAIN_DATASET           = local.dataset
    RETRAIN_MODELS            = "models"
    RETRAIN_MODULES           = "current"
    RETRAIN_TRAINER_ACCOUNT   = local.accounts.trainer.email
    RETRAIN_EVALUATOR_ACCOUNT = local.accounts.evaluator.email
    RETRAIN_SERVER_ACCOUNT    = local.accounts.server.email
    RETRAIN_CANDIDATES_TOPIC  = "candidates"
    RETRAIN_DRIFT_TOPIC       = "drift"
    RETRAIN_TICKS_TOPIC       = "ticks"
    RETRAIN_MANUAL_TOPIC      = "retrain-requests"
    RETRAIN_OWN_PRINCIPALS    = join(",", sort([for account in local.accounts : account.email]))
  }
}

# What the log sinks let through ------------------------------------------------------

locals {
  _own = join(" ", [for email in sort([for account in local.accounts : account.email]) : "\"${email}\""])

  sinks = {
    # Rows that a job added to a dataset of the models. Streamed rows leave no entry: the watermark finds those.
    data-changes = {
      topic = "data-changes"
      filter = join("\n", [
        "protoPayload.metadata.\"@type\"=\"type.googleapis.com/google.cloud.audit.BigQueryAuditMetadata\"",
        "protoPayload.metadata.tableDataChange.insertedRowsCount:*", # zero is left out; the number itself is a string
        "resource.labels.dataset_id=(${join(" OR ", [for dataset in sort(local.sources) : "\"${dataset}\""])})",
        "NOT protoPayload.authenticationInfo.principalEmail=(${replace(local._own, " ", " OR ")})",
      ])
    }
    anomalies = {
      topic  = "drift"
      filter = "jsonPayload.\"@type\"=\"type.googleapis.com/google.cloud.aiplatform.logging.ModelMonitoringAnomaliesLogEntry\""
    }
  }
}
