# Every target sets up what it needs first; nothing else has to be installed or started.
.PHONY: demo test prove prove-deep check terraform-check audit sbom local package bench setup clean

# Replay a year of flights: training, drift, retraining, canary, promotion and rollback, on this machine.
demo: setup
	@.venv/bin/retrain demo

test: setup
	@.venv/bin/python -m pytest tests

# Searches, simulations and statistics behind the promises of docs/reliability.md: some minutes, or hours.
prove: setup
	@.venv/bin/python -m tests.prove

prove-deep: setup
	@.venv/bin/python -m tests.prove --deep

check: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

# What can be known of the Terraform code without a cloud; says what it had to skip.
terraform-check: setup
	@.venv/bin/python -m tools.terraform.check

# Known vulnerabilities and licences of everything in the lock files; says so when no service can be asked.
audit: setup
	@.venv/bin/python -m tools.supply audit

# What the functions and the image are made of, as CycloneDX lists in build/.
sbom: setup
	@.venv/bin/python -m tools.supply sbom

# The whole system on this machine until Ctrl-C; in another terminal: eval "$(.venv/bin/retrain local env)"
local: setup
	@.venv/bin/retrain local up --foreground

# The archive that Cloud Functions deploys.
package: setup
	@.venv/bin/python -m functions.package --out build/functions.zip

bench: setup
	@.venv/bin/python -m benchmarks

setup:
	@tools/setup.sh

# Forget what the local stack stored and what was built; Python and .venv stay.
clean: setup
	@.venv/bin/retrain local down
	@rm -rf .local out dist build/functions.zip
