"""Tools around the Terraform code: the provider to check with, the checks, the tables in its README."""
