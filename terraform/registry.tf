# Images of training and of the functions. Jobs name images by digest, so old ones may go when nothing new was built.

resource "google_artifact_registry_repository" "images" {
  repository_id          = "retrain"
  location               = var.region
  format                 = "DOCKER"
  description            = "Images of the trainer and of the functions."
  cleanup_policy_dry_run = false
  depends_on             = [google_project_service.api]

  docker_config {
    immutable_tags = false # builds of functions move their own tag
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = 20 # a champion's image must outlive its rollouts
    }
  }
}
