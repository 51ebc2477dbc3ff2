"""Whole deliveries on a real git history: the real scripts, with programs that write down how they were called.

What stands for gcloud keeps its objects in a folder; the others only answer what the scripts ask them.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.delivery.sets import ROOT
from tests.delivery.test_plan import FILES, Repository

DIGEST = "a" * 64
PROGRAMS = {
    "gcloud": """
case "$2 $3" in
  "cat gs://"*) cat "$FAKE/objects/${3#gs://}" ;;
  "cp "*) mkdir -p "$(dirname "$FAKE/objects/${4#gs://}")" && cp "$3" "$FAKE/objects/${4#gs://}" ;;
esac
""",
    "docker": """
if [ "$1" = inspect ]; then echo "example.pkg.dev/p/retrain/trainer@sha256:$(cat "$FAKE/digest")"; fi
""",
    "terraform": """
if [ "$2" = output ]; then echo '{"RETRAIN_PROJECT": "example-models"}'; fi
""",
    "retrain": """
test "$RETRAIN_PROJECT" = example-models
test ! -e "$FAKE/fail" || exit 1
""",
}


class Delivery:
    """A repository that is delivered with the real scripts, and what they called."""

    def __init__(self, folder: Path) -> None:
        self.fake = folder / "fake"
        (self.fake / "bin").mkdir(parents=True)
        (self.fake / "digest").write_text(DIGEST)
        self.repository = Repository(folder / "repository")
        self.work = self.repository.folder
        for name, body in PROGRAMS.items():
            place = self.work / ".venv" / "bin" if name == "retrain" else self.fake / "bin"
            place.mkdir(parents=True, exist_ok=True)
            text = f'#!/bin/sh\nset -e\necho "{name} $*" >> "$FAKE/log"\n{body}'
            (place / name).write_text(text)
            (place / name).chmod(0o755)
        shutil.copytree(ROOT / "tools" / "delivery", self.work / "tools" / "delivery")
        backends = {
            f"terraform/environments/{name}.gcs.tfbackend": f'bucket = "{name}-terraform"\nprefix = "retrain"\n'
            for name in ("pre-production", "production")
        }
        reach = (ROOT / "retraining" / "reach.py").read_text()
        ignored = {".gitignore": ".venv/\nbuild/\n__pycache__/\n"}
        self.repository.commit({**FILES, **backends, **ignored, "retraining/reach.py": reach})

    def script(self, name: str, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run one script in the repository."""
        path = f"{self.fake / 'bin'}:{os.environ['PATH']}"
        env = {**os.environ, "FAKE": str(self.fake), "PATH": path, **environ}
        command = [f"tools/delivery/{name}.sh", *words]
        return subprocess.run(command, cwd=self.work, env=env, capture_output=True, text=True, check=False)

    def deliver(self, environment: str = "pre-production", commit: str = "", **environ: str) -> list[str]:
        """A whole delivery in the order of the workflows; what was called. Fails when a script does."""
        shutil.rmtree(self.work / "build", ignore_errors=True)
        (self.fake / "log").write_text("")
        commit = commit or self.repository.git("rev-parse", "HEAD")
        for name, *words in (
            ("plan", environment, commit),
            ("image", "example.pkg.dev/p/retrain", commit),
            ("apply", environment),
            ("publish", commit),
            ("smoke",),
            ("record", commit),
        ):
            done = self.script(name, *words, **environ)
            assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return (self.fake / "log").read_text().splitlines()


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """One that delivered nothing yet."""
    return Delivery(tmp_path)


@pytest.fixture
def delivered(delivery: Delivery) -> Delivery:
    """One that delivered its first commit."""
    delivery.deliver()
    return delivery


def did(calls: list[str]) -> list[str]:
    """The calls that change something, by their first words."""
    words = {
        "docker build": "build",
        "terraform -chdir=terraform apply": "apply",
        "retrain modules publish": "publish",
        "retrain smoke": "smoke",
        "gcloud storage cp": "record",
    }
    return [short for call in calls for begin, short in words.items() if call.startswith(begin)]


def test_the_first_delivery_does_everything_in_order(delivery: Delivery) -> None:
    """The submit comes after the infrastructure, and once."""
    assert did(delivery.deliver()) == ["build", "apply", "publish", "smoke", "record"]


def test_the_image_is_applied_by_digest(delivery: Delivery) -> None:
    """From the plan that was made for this environment."""
    calls = delivery.deliver()
    image = f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}"
    plan = next(call for call in calls if call.startswith("terraform -chdir=terraform plan"))

    assert f"-var=trainer_image={image}" in plan
    assert "-var-file=environments/pre-production.tfvars" in plan
    assert "-out=delivery.tfplan" in plan
    assert any(call.endswith("delivery.tfplan") for call in calls if " apply " in call)
    assert any(f"--image {image}" in call for call in calls if call.startswith("retrain modules publish"))


def test_model_code_is_delivered_without_image_and_infrastructure(delivered: Delivery) -> None:
    """Its modules are published, and that is all."""
    delivered.repository.commit({"trainer/data.py": "ROWS = 2\n"})

    assert did(delivered.deliver()) == ["publish", "smoke", "record"]


def test_functions_are_delivered_without_image_and_submit(delivered: Delivery) -> None:
    """No candidate would be another."""
    delivered.repository.commit({"functions/main.py": "NEW = 1\n"})

    assert did(delivered.deliver()) == ["apply", "smoke", "record"]


def test_an_image_and_modules_are_one_submit(delivered: Delivery) -> None:
    """After the apply."""
    delivered.repository.commit({"trainer/requirements.txt": "numpy==3\n", "trainer/data.py": "ROWS = 2\n"})

    assert did(delivered.deliver()) == ["build", "apply", "publish", "smoke", "record"]


def test_documents_deliver_nothing(delivered: Delivery) -> None:
    """But the record moves on."""
    delivered.repository.commit({"README.md": "more\n"})

    assert did(delivered.deliver()) == ["smoke", "record"]


def test_a_delivery_that_never_happened_is_made_up_for(delivered: Delivery) -> None:
    """The record, not the push, says where to start."""
    delivered.repository.commit({"trainer/Dockerfile": "FROM other\n"})
    delivered.repository.commit({"README.md": "more\n"})

    assert "build" in did(delivered.deliver())


def test_production_takes_the_image_that_was_tried(delivered: Delivery) -> None:
    """It builds none, whatever its own plan says."""
    image = f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}"
    calls = delivered.deliver("production", IMAGE=image)

    assert did(calls) == ["apply", "publish", "smoke", "record"]
    assert any(f"-var=trainer_image={image}" in call for call in calls)


def test_production_applies_an_image_that_it_does_not_have(delivered: Delivery) -> None:
    """Although none of the paths since its last delivery asks for it."""
    image = f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}"
    delivered.deliver("production", IMAGE=image)
    delivered.repository.commit({"README.md": "more\n"})

    assert did(delivered.deliver("production", IMAGE=image.replace("a" * 64, "b" * 64)))[:2] == ["apply", "publish"]


def test_environments_have_records_of_their_own(delivered: Delivery) -> None:
    """Production is behind, and has its own way to go."""
    delivered.repository.commit({"functions/main.py": "NEW = 1\n"})
    delivered.deliver()
    delivered.repository.commit({"trainer/data.py": "ROWS = 2\n"})
    delivered.deliver()
    image = f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}"

    assert did(delivered.deliver("production", IMAGE=image)) == ["apply", "publish", "smoke", "record"]


def test_a_bad_answer_fails_the_delivery(delivered: Delivery) -> None:
    """So that nothing is recorded, and production does not follow."""
    (delivered.fake / "fail").touch()
    done = delivered.script("smoke")

    assert done.returncode == 1


def test_every_model_is_asked_although_one_answers_badly(delivered: Delivery) -> None:
    """One report for all."""
    (delivered.work / "models" / "other.yaml").write_text("")
    (delivered.fake / "fail").touch()
    (delivered.fake / "log").write_text("")
    delivered.script("smoke")

    assert (delivered.fake / "log").read_text().splitlines() == ["retrain smoke flights", "retrain smoke other"]


def test_an_image_without_digest_is_refused(delivered: Delivery) -> None:
    """A tag may change under a running system."""
    done = delivered.script(
        "image", "example.pkg.dev/p/retrain", "c1", IMAGE="example.pkg.dev/p/retrain/trainer:new"
    )

    assert done.returncode == 1
    assert "expected an image by digest" in done.stderr


def test_an_old_delivery_is_refused_after_a_newer_one(delivered: Delivery) -> None:
    """A late yes must not take anything back."""
    older = delivered.repository.git("rev-parse", "HEAD")
    delivered.repository.commit({"trainer/data.py": "ROWS = 2\n"})
    delivered.deliver()
    done = delivered.script("plan", "pre-production", older)

    assert done.returncode == 2
    assert "is delivered already and is newer" in done.stderr


def test_production_waits_for_pre_production(delivered: Delivery) -> None:
    """And takes the image from its record."""
    commit = delivered.repository.git("rev-parse", "HEAD")
    good = delivered.script("after", "pre-production", commit)
    given = (delivered.work / "build" / "delivery" / "given").read_text().strip()
    early = delivered.script("after", "pre-production", "1" * 40)
    never = delivered.script("after", "production", commit)

    assert good.returncode == 0
    assert given == f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}"
    assert early.returncode != 0
    assert f"expected commit {'1' * 40} in pre-production first, found {commit}" in early.stderr
    assert never.returncode != 0


def test_the_record_is_read_as_it_was_written(delivered: Delivery) -> None:
    """Commit and image, in the bucket of the state."""
    record = delivered.fake / "objects" / "pre-production-terraform" / "delivery" / "pre-production.json"

    assert json.loads(record.read_text()) == {
        "commit": delivered.repository.git("rev-parse", "HEAD"),
        "image": f"example.pkg.dev/p/retrain/trainer@sha256:{DIGEST}",
    }


@pytest.mark.parametrize("settings", ['{"PATH": "/elsewhere"}', '{"RETRAIN_PROJECT": 1}', "[1]", "{"])
def test_settings_that_are_none_are_refused(delivered: Delivery, settings: str) -> None:
    """Nothing else reaches the command's environment."""
    (delivered.work / "build" / "delivery" / "settings.json").write_text(settings)
    (delivered.fake / "log").write_text("")
    done = delivered.script("smoke")

    assert done.returncode == 1
    assert (delivered.fake / "log").read_text() == ""
