# What a plan must hold, whoever changes it. Needs a provider: Google's own, or a stand-in with its schema.

variables {
  project         = "acme-models"
  environment     = "test"
  region          = "europe-west1"
  operators       = ["group:operators@example.com"]
  alert_emails    = ["operators@example.com"]
  billing_account = "01ABCD-234567-89EF01"
  trainer_image   = "europe-west1-docker.pkg.dev/acme-models/retrain/trainer@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  archive         = "resources.yaml" # any file: its bytes do not matter here
}

run "functions" {
  command = plan

  assert {
    condition     = length(google_cloudfunctions2_function.this) == 7
    error_message = "one function for each entry point"
  }
  assert {
    condition     = length(distinct([for function in google_cloudfunctions2_function.this : function.service_config[0].service_account_email])) == 7
    error_message = "every function has an account of its own"
  }
  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"])
    error_message = "functions are not reached from outside"
  }
  assert {
    condition     = alltrue([for name in ["on_tick", "on_candidate", "on_monitor"] : google_cloudfunctions2_function.this[name].service_config[0].max_instance_count * google_cloudfunctions2_function.this[name].service_config[0].max_instance_request_concurrency == 1])
    error_message = "what ticks runs once at a time"
  }
  assert {
    condition     = strcontains(google_storage_bucket_object.archive.name, filesha256(var.archive))
    error_message = "functions change when the archive's bytes change, and only then"
  }
}

run "access" {
  command = plan

  assert {
    condition     = length(google_cloud_run_v2_service_iam_member.push) == 7 && alltrue([for member in google_cloud_run_v2_service_iam_member.push : member.role == "roles/run.invoker" && strcontains(member.member, "retrain-push@")])
    error_message = "the push account, and nobody else, may call the functions"
  }
  assert {
    condition = length(setintersection(["roles/owner", "roles/editor", "roles/viewer"], concat(
      [for member in google_project_iam_member.grant : member.role], [google_project_iam_member.build.role],
      [for member in google_storage_bucket_iam_member.grant : member.role],
    ))) == 0
    error_message = "no primitive role"
  }
  assert {
    condition     = alltrue([for role in google_project_iam_custom_role.grant : alltrue([for permission in role.permissions : !strcontains(permission, "*") && !endswith(permission, "setIamPolicy")])])
    error_message = "no role may change access"
  }
  assert {
    condition = length(setintersection(
      [for name, role in google_project_iam_custom_role.grant : split("/", name)[0] if contains(role.permissions, "aiplatform.customJobs.create")],
      [for name, role in google_project_iam_custom_role.grant : split("/", name)[0] if contains(role.permissions, "aiplatform.endpoints.deploy")],
    )) == 0
    error_message = "nobody can both train and deploy"
  }
  assert {
    condition     = alltrue([for member in google_storage_bucket_iam_member.grant : length(member.condition) == 1 || alltrue([for name, role in google_project_iam_custom_role.grant : alltrue([for permission in role.permissions : startswith(permission, "storage.objects.list")]) if role.role_id == reverse(split("/", member.role))[0]])])
    error_message = "objects are granted by folder; only names may be listed without one"
  }
}

run "topics" {
  command = plan

  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.this : length(subscription.dead_letter_policy) == 1 && length(subscription.retry_policy) == 1])
    error_message = "every subscription retries and has a dead letter topic"
  }
  assert {
    condition     = google_pubsub_subscription.dead_letters.expiration_policy[0].ttl == "" && google_pubsub_subscription.dead_letters.message_retention_duration == "2678400s"
    error_message = "dead letters are kept by a subscription that never expires"
  }
  assert {
    condition     = alltrue([for subscription in google_pubsub_subscription.this : length(subscription.push_config[0].oidc_token) == 1])
    error_message = "Pub/Sub proves who it is"
  }
  assert {
    condition = toset(keys(google_pubsub_topic.this)) == toset(concat(
      [for publisher in google_pubsub_topic_iam_member.publisher : publisher.topic],
      [for publisher in google_pubsub_topic_iam_member.grant : publisher.topic],
      [for publisher in google_pubsub_topic_iam_member.sink : publisher.topic],
    ))
    error_message = "every topic has publishers, and they are listed"
  }
  assert {
    condition = alltrue([
      for member in concat(
        [for one in google_pubsub_topic_iam_member.publisher : one.member], [for one in google_project_iam_member.grant : one.member],
      ) : !contains(["allUsers", "allAuthenticatedUsers"], member)
    ])
    error_message = "nothing is open to everybody"
  }
  assert {
    condition     = alltrue([for topic in google_pubsub_topic.this : topic.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west1"]) || tolist(topic.message_storage_policy[0].allowed_persistence_regions) == tolist(["europe-west1"])])
    error_message = "messages stay in the region"
  }
}

run "settings" {
  command = plan

  assert {
    condition     = alltrue([for function in google_cloudfunctions2_function.this : function.service_config[0].environment_variables == tomap(output.settings)])
    error_message = "all functions read the same settings"
  }
  assert {
    condition     = alltrue([for value in values(output.settings) : value != ""])
    error_message = "no setting is empty"
  }
}

run "data" {
  command = plan

  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && bucket.versioning[0].enabled])
    error_message = "buckets are private and keep old versions"
  }
  assert {
    condition     = alltrue([for endpoint in google_vertex_ai_endpoint.this : endpoint.predict_request_response_logging_config[0].enabled])
    error_message = "every endpoint logs its requests"
  }
  assert {
    condition     = alltrue([for name, table in google_bigquery_table.own : length(table.time_partitioning) == 1 if name != "drift_baseline"])
    error_message = "what grows is partitioned by day"
  }
}

run "alarms" {
  command = plan

  assert {
    condition     = length(google_monitoring_alert_policy.this) == length(yamldecode(file("resources.yaml")).alarms)
    error_message = "every alarm of the file is there"
  }
  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.this : length(policy.conditions[0].condition_absent) + length(policy.conditions[0].condition_threshold) == 1])
    error_message = "every alarm has one condition"
  }
  assert {
    condition     = length(google_billing_budget.this) == 1
    error_message = "spending is watched when there is a billing account"
  }
}

run "without_a_billing_account" {
  command = plan
  variables {
    billing_account = null
  }

  assert {
    condition     = length(google_billing_budget.this) == 0
    error_message = "no billing account, no budget alert"
  }
}

run "an_image_by_tag" {
  command = plan
  variables {
    trainer_image = "europe-west1-docker.pkg.dev/acme-models/retrain/trainer:latest"
  }
  expect_failures = [var.trainer_image]
}

run "everybody_as_operator" {
  command = plan
  variables {
    operators = ["allAuthenticatedUsers"]
  }
  expect_failures = [var.operators]
}

run "no_archive" {
  command = plan
  variables {
    archive = "build/nothing.zip"
  }
  expect_failures = [var.archive]
}

run "no_models" {
  command = plan
  variables {
    models_folder = "environments"
  }
  expect_failures = [var.models_folder]
}
