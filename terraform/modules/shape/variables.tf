# What the shape of an installation depends on. Nothing here touches a provider, so all of it is tested anywhere.

variable "environment" {
  description = "Which installation this is, for example production; a label of everything in it."
  type        = string
}

variable "models" {
  description = "The model files, decoded, by file name without .yaml."
  type        = any
}

variable "permissions" {
  description = "permissions.yaml, decoded: account → grant → where, which folders, which permissions."
  type = map(map(object({
    where = string
    under = optional(list(string), [])
    may   = list(string)
  })))
}

variable "project" {
  description = "Project id."
  type        = string
}

variable "region" {
  description = "Region of jobs, models, endpoints, functions and topics."
  type        = string
}

variable "resources" {
  description = "resources.yaml, decoded: topics, subscriptions, functions, accounts, delivery, Scheduler jobs."
  type        = any
}
