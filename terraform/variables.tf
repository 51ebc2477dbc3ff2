variable "alert_emails" {
  description = "Addresses that alarms are sent to."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "alert_emails: expected e-mail addresses such as team@example.com."
  }
}

variable "archive" {
  description = "The archive of the functions, as made by `make package`. Functions change only when its bytes do."
  type        = string
  default     = "../build/functions.zip"

  validation {
    condition     = fileexists(var.archive)
    error_message = "archive: expected a file; make it with: make package."
  }
}

variable "audit_publishes" {
  description = "Whether the audit log names who published each message. Costs log volume in projects with much other Pub/Sub traffic."
  type        = bool
  default     = true
}

variable "billing_account" {
  description = "Billing account of the budget alert, for example 01ABCD-234567-89EF01; null for no alert."
  type        = string
  default     = null

  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account: expected an id such as 01ABCD-234567-89EF01, or null."
  }
}

variable "environment" {
  description = "Name of this installation, for example production; a label of everything in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.environment))
    error_message = "environment: expected a short name of lower-case letters, digits and dashes, such as production."
  }
}

variable "log_days" {
  description = "Days that logged requests are kept. The longest window of monitoring and of a rollout must fit."
  type        = number
  default     = 90

  validation {
    condition     = var.log_days >= 30
    error_message = "log_days: expected at least 30: drift is judged against the weeks before."
  }
}

variable "models_folder" {
  description = "Folder of the model files. A new file adds its endpoint, request log, schedules and access."
  type        = string
  default     = "../models"

  validation {
    condition     = length(fileset(var.models_folder, "*.yaml")) > 0
    error_message = "models_folder: expected a folder with at least one model file (*.yaml)."
  }
}

variable "monthly_budget" {
  description = "Money a month, in the billing account's currency, at which the budget alert calls (at 50, 90 and 100 %). The system's own limits are those of the model files; this one also sees what it does not know."
  type        = number
  default     = 500

  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget: expected more than zero."
  }
}

variable "operators" {
  description = "Who may use `retrain` against this installation: members such as group:ml-operators@example.com."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.operators : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", member))])
    error_message = "operators: expected members such as group:ml-operators@example.com; nobody can be made an operator by allUsers."
  }
}

variable "project" {
  description = "Project id. One project holds one installation."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: expected a project id: 6 to 30 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of functions, topics, buckets, tables, jobs, models and endpoints."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]$", var.region))
    error_message = "region: expected a region such as europe-west1."
  }
}

variable "scheduled_queries" {
  description = "Scheduled queries that fill source tables and tell the system when they have, by name. `account` runs the query."
  type = map(object({
    query    = string
    schedule = string
    dataset  = string
    account  = string
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.scheduled_queries) : can(regex("^[a-z][a-z0-9-]{1,62}$", name))])
    error_message = "scheduled_queries: expected names of lower-case letters, digits and dashes."
  }
}

variable "trainer_image" {
  description = "Image of training, evaluation and serving, by digest: REGION-docker.pkg.dev/PROJECT/retrain/trainer@sha256:..."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.trainer_image))
    error_message = "trainer_image: expected an image by its digest, ending in @sha256: and 64 digits; a tag may change under a running system."
  }
}
