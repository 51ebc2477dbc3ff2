# What can go wrong before Google is asked: names, merging, access.

variables {
  project     = "acme-models"
  region      = "europe-west1"
  environment = "production"
  resources   = yamldecode(file("../../resources.yaml"))
  permissions = {
    on_tick = {
      runs = { where = "state", under = ["runs", "active"], may = ["storage.objects.get", "storage.objects.create"] }
      list = { where = "state", under = ["inbox"], may = ["storage.objects.list"] }
      rows = { where = "sources", may = ["bigquery.tables.getData"] }
      tell = { where = "topic/candidates", may = ["pubsub.topics.publish"] }
    }
  }
  models = {
    churn = { name = "churn", endpoint = "churn-live", source = { table = "crm.customers" }, log = { table = "logs.requests", sampling_rate = 0.1 }, triggers = { schedule = { cron = "0 3 * * 1", time_zone = "Europe/Paris", action = "tune" } } }
    fraud = { name = "fraud", endpoint = "fraud", source = { table = "payments.cards" }, triggers = { data = { min_new_rows = 10 } } }
  }
}

run "names" {
  command = plan

  assert {
    condition     = output.accounts["on_tick"].email == "retrain-on-tick@acme-models.iam.gserviceaccount.com"
    error_message = "an account's address follows from its name"
  }
  assert {
    condition     = alltrue([for account in output.accounts : length(account.id) <= 30])
    error_message = "account ids have at most 30 characters"
  }
  assert {
    condition     = output.endpoints["churn-live"].table == "churn_live_requests"
    error_message = "the table of an endpoint's requests is named as the code names it"
  }
  assert {
    condition     = alltrue([for endpoint in output.endpoints : can(regex("^[1-9][0-9]{9}$", endpoint.id))])
    error_message = "endpoint ids are ten digits"
  }
}

run "logs" {
  command = plan

  assert {
    condition     = [output.endpoints["churn-live"].log, output.endpoints["churn-live"].sampling_rate] == ["logs.requests", 0.1]
    error_message = "an endpoint logs where, and what share of requests, its model file says"
  }
  assert {
    condition     = output.endpoints["fraud"].log == null && output.endpoints["fraud"].sampling_rate == 1
    error_message = "an endpoint logs all requests to a table of its own unless its model file says otherwise"
  }
}

run "jobs" {
  command = plan

  assert {
    condition     = join(" ", keys(output.jobs)) == "monitor schedule-churn tick watermark-churn watermark-fraud"
    error_message = "a model without a schedule has no Scheduler job for it"
  }
  assert {
    condition     = output.jobs["schedule-churn"].body == { schedule = "main", model = "churn", action = "tune" }
    error_message = "the schedule's message says model, schedule and action"
  }
  assert {
    condition     = output.jobs["schedule-churn"].time_zone == "Europe/Paris" && output.jobs["watermark-churn"].time_zone == "Etc/UTC"
    error_message = "a model's own time zone is that of its schedule only"
  }
}

run "access" {
  command = plan

  assert {
    condition     = output.grants["on_tick/runs"].condition == "resource.name.startsWith(\"projects/_/buckets/acme-models-retrain-state/objects/runs/\") || resource.name.startsWith(\"projects/_/buckets/acme-models-retrain-state/objects/active/\")"
    error_message = "records are granted by folder"
  }
  assert {
    condition     = output.grants["on_tick/list"].condition == "api.getAttribute(\"storage.googleapis.com/objectListPrefix\", \"\").startsWith(\"inbox/\")"
    error_message = "lists are granted by prefix"
  }
  assert {
    condition     = join(" ", keys(output.source_grants)) == "on_tick/rows/crm on_tick/rows/payments"
    error_message = "a grant on source tables is repeated for each dataset"
  }
}

run "settings_are_those_the_code_reads" {
  command = plan

  assert {
    condition = toset(concat(keys(output.settings), ["RETRAIN_TRAINER_IMAGE"])) == setsubtract(
      [for match in regexall("(?m)^    ([a-z_]+): str", file("../../../retraining/settings.py")) : "RETRAIN_${upper(match[0])}"],
      ["RETRAIN_VERTEX_API", "RETRAIN_MONITORING_API", "RETRAIN_CLOCK"], # of one machine only
    )
    error_message = "every setting that the code reads is set, and none besides"
  }
  assert {
    condition     = alltrue([for account in output.accounts : strcontains(output.settings.RETRAIN_OWN_PRINCIPALS, account.email)])
    error_message = "what this system writes itself never triggers a run"
  }
}

run "sinks" {
  command = plan

  assert {
    condition     = strcontains(output.sinks.data-changes.filter, "resource.labels.dataset_id=(\"crm\" OR \"payments\")")
    error_message = "only changes of the models' datasets pass"
  }
  assert {
    condition     = strcontains(output.sinks.data-changes.filter, "NOT protoPayload.authenticationInfo.principalEmail=(\"retrain-build@")
    error_message = "writes of this system's accounts do not pass"
  }
}

run "fifty_models" {
  command = plan
  variables {
    models = { for number in range(50) : format("model-%02d", number) => {
      name   = format("model-%02d", number), endpoint = format("model-%02d", number)
      source = { table = "warehouse_${number % 3}.rows" }, triggers = { schedule = { cron = "0 3 * * *" } }
    } }
  }

  assert {
    condition     = length(distinct([for endpoint in output.endpoints : endpoint.id])) == 50
    error_message = "fifty models have fifty endpoints with ids of their own"
  }
  assert {
    condition     = length(output.jobs) == 102 && length(output.sources) == 3
    error_message = "two jobs a model and two of all; datasets are counted once"
  }
}

run "two_models_on_one_endpoint" {
  command = plan
  variables {
    models = {
      a = { name = "a", endpoint = "same", source = { table = "d.t" }, triggers = {} }
      b = { name = "b", endpoint = "same", source = { table = "d.t" }, triggers = {} }
    }
  }
  expect_failures = [output.endpoints]
}

run "a_file_named_otherwise" {
  command = plan
  variables {
    models = { churn = { name = "chrun", endpoint = "churn", source = { table = "d.t" }, triggers = {} } }
  }
  expect_failures = [output.endpoints]
}

run "an_unknown_account" {
  command = plan
  variables {
    permissions = { on_tik = { runs = { where = "state", under = ["runs"], may = ["storage.objects.get"] } } }
  }
  expect_failures = [output.grants]
}

run "a_list_among_other_permissions" {
  command = plan
  variables {
    permissions = { on_tick = { runs = { where = "state", under = ["runs"], may = ["storage.objects.get", "storage.objects.list"] } } }
  }
  expect_failures = [output.grants]
}
