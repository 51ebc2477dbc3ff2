"""Installations made and taken away by the real command and Terraform, with a provider that asks nobody."""
