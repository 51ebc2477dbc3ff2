"""What a range of commits asks to be delivered, on real git repositories."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.delivery.changes import NotAnswered, Overtaken, plan
from tools.delivery.plan import Plan

ROOT = Path(__file__).parents[2]
ZEROS = "0" * 40
MODEL = "name: flights\nendpoint: flights\ntriggers:\n  schedule: {cron: 0 4 * * *}\ntraining:\n  window: 30d\n"
FILES = {
    "README.md": "words\n",
    "docs/deploy.md": "words\n",
    "Makefile": "test:\n",
    "functions/main.py": "import gcp.store\n",
    "gcp/store.py": "",
    "requirements.txt": "pydantic==2\n",
    "terraform/main.tf": "",
    "trainer/__init__.py": "",
    "trainer/Dockerfile": "FROM python\n",
    "trainer/requirements.txt": "numpy==2\n",
    "trainer/__main__.py": "from trainer import data\n",
    "trainer/data.py": "import retraining.record\nROWS = 1\n",
    "trainer/serve.py": "def main():\n    from trainer.predictor import Predictor\n",
    "trainer/predictor.py": "Predictor = 1\n",
    "trainer/bootstrap.py": "",
    "retraining/__init__.py": "",
    "retraining/record.py": "RECORD = 1\n",
    "models/flights.yaml": MODEL,
    ".github/workflows/check.yml": "on: push\n",
}


class Repository:
    """A git repository and short ways to make its history."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        """What git answers."""
        who = {
            f"GIT_{role}_{what}": "ann@example.com"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(
            ["git", *words], cwd=self.folder, env=os.environ | who | quiet, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: dict[str, str | None] | None = None) -> str:
        """Write (or, for None, delete) the files and commit; the commit's id."""
        for name, text in (files or {}).items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def plan(self, base: str, head: str = "HEAD") -> Plan:
        """What the range asks for."""
        return plan(self.folder, base, head)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A small one, laid out like ours, with one commit."""
    made = Repository(tmp_path / "repository")
    made.commit(dict(FILES))
    return made


def asked(found: Plan) -> set[str]:
    """The parts that a plan asks for."""
    return {line.removesuffix("=true") for line in found.lines() if line.endswith("=true")} - {"deliver"}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("README.md", {"docs_only"}),
        ("docs/new.md", {"docs_only"}),
        ("functions/README.md", {"docs_only"}),
        (".github/workflows/check.yml", set()),
        ("tests/test_new.py", set()),
        ("Makefile", set()),
        ("requirements.in", set()),
        ("functions/main.py", {"archive", "terraform"}),
        ("gcp/new.sql", {"archive", "terraform"}),
        ("requirements.txt", {"archive", "terraform"}),
        ("terraform/main.tf", {"terraform"}),
        ("terraform/resources.yaml", {"terraform"}),
        ("trainer/Dockerfile", {"image", "terraform"}),
        ("trainer/requirements.txt", {"image", "terraform"}),
        ("trainer/data.py", {"modules"}),
        ("trainer/new.py", {"modules"}),
        ("trainer/serve.py", {"image", "terraform", "modules"}),
        ("trainer/predictor.py", {"image", "terraform", "modules"}),
        ("trainer/bootstrap.py", {"image", "terraform", "modules"}),
        ("retraining/record.py", {"archive", "terraform", "modules"}),
        ("retraining/messages/new.py", {"archive", "terraform", "modules"}),
        ("models/new.yaml", {"terraform", "modules"}),
        ("a-folder-nobody-thought-of/file", {"image", "archive", "terraform", "modules"}),
    ],
)
def test_one_changed_file_asks_for_its_parts(repository: Repository, path: str, parts: set[str]) -> None:
    """Whatever lies at the path."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({path: "CHANGED = 2\n"})

    assert asked(repository.plan(base)) == parts


def test_documents_beside_code_are_not_documents_only(repository: Repository) -> None:
    """The code decides."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"README.md": "more\n", "trainer/data.py": "ROWS = 2\n"})

    assert asked(repository.plan(base)) == {"modules"}


def test_documents_beside_tests_deliver_nothing(repository: Repository) -> None:
    """And it is not said that only documents changed."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"README.md": "more\n", "tests/test_a.py": "A = 1\n"})

    assert asked(repository.plan(base)) == set()


def test_code_and_modules_together_are_one_plan(repository: Repository) -> None:
    """So that there is one delivery and one submit."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"trainer/Dockerfile": "FROM other\n", "models/flights.yaml": MODEL.replace("30d", "60d")})

    assert asked(repository.plan(base)) == {"image", "terraform", "modules"}


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("30d", "60d", {"modules"}),
        ("training:", "# a comment\ntraining:", {"modules"}),
        ("0 4 * * *", "0 5 * * *", {"modules", "terraform"}),
        ("endpoint: flights", "endpoint: other", {"modules", "terraform"}),
        ("endpoint: flights\n", "", {"modules", "terraform"}),
    ],
)
def test_a_model_file_needs_terraform_when_infrastructure_follows(
    repository: Repository, before: str, after: str, parts: set[str]
) -> None:
    """A schedule or an endpoint, not a window of training."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"models/flights.yaml": MODEL.replace(before, after)})

    assert asked(repository.plan(base)) == parts


def test_a_merge_asks_for_what_the_branch_changed(repository: Repository) -> None:
    """And not for what both sides had."""
    base = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "-q", "-b", "topic")
    repository.commit({"trainer/data.py": "ROWS = 3\n"})
    repository.git("checkout", "-q", "main")
    delivered = repository.commit({"functions/main.py": "NEW = 1\n"})
    repository.git("merge", "-q", "--no-ff", "-m", "merge", "topic")

    assert asked(repository.plan(delivered)) == {"modules"}
    assert asked(repository.plan(base)) == {"modules", "archive", "terraform"}


def test_a_rename_asks_for_both_names(repository: Repository) -> None:
    """A file that leaves the image's code and arrives among documents changed the code."""
    base = repository.git("rev-parse", "HEAD")
    repository.git("mv", "trainer/predictor.py", "docs/predictor.py")
    repository.commit()

    assert asked(repository.plan(base)) == {"image", "terraform", "modules"}


def test_a_deletion_counts(repository: Repository) -> None:
    """The model's endpoint and schedules must go."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"models/flights.yaml": None})

    assert asked(repository.plan(base)) == {"modules", "terraform"}


def test_a_revert_within_the_range_delivers_nothing(repository: Repository) -> None:
    """What is delivered is what is there already."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"trainer/Dockerfile": "FROM other\n"})
    repository.git("revert", "--no-edit", "HEAD")

    assert asked(repository.plan(base)) == set()


def test_a_revert_after_a_delivery_is_delivered(repository: Repository) -> None:
    """It is a change like any other."""
    delivered = repository.commit({"trainer/Dockerfile": "FROM other\n"})
    repository.git("revert", "--no-edit", "HEAD")

    assert asked(repository.plan(delivered)) == {"image", "terraform"}


def test_commits_that_were_never_delivered_are_made_up_for(repository: Repository) -> None:
    """The last delivery is the base, however many pushes came between."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"functions/main.py": "NEW = 1\n"})
    repository.commit({"README.md": "more\n"})

    assert asked(repository.plan(base)) == {"archive", "terraform"}


@pytest.mark.parametrize("base", [ZEROS, "", "1" * 40, "no-such-branch", "--output=stolen"])
def test_an_unknown_base_asks_for_everything(repository: Repository, base: str) -> None:
    """The first push, a history that was rewritten, a wrong word."""
    assert asked(repository.plan(base)) == {"image", "archive", "terraform", "modules"}


def test_a_shallow_clone_asks_for_everything(repository: Repository, tmp_path: Path) -> None:
    """It does not have the commit that was delivered before."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"README.md": "more\n"})
    shallow = Repository(tmp_path / "shallow")
    shallow.git("fetch", "-q", "--depth=1", f"file://{repository.folder}", "main")

    assert asked(shallow.plan(base, "FETCH_HEAD")) == {"image", "archive", "terraform", "modules"}


def test_odd_characters_in_a_name_change_nothing(repository: Repository) -> None:
    """Spaces, quotes, line ends and letters that are not ASCII."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({'docs/a "b"\nimage=true é.md': "words\n", "trainer/ä ö\n.py": "A = 1\n"})
    found = repository.plan(base)

    assert asked(found) == {"modules"}


def test_a_line_end_in_a_name_cannot_forge_a_line(repository: Repository) -> None:
    """The lines go to GITHUB_OUTPUT, which believes every line."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"docs/a\nimage=true\n.md": "words\n"})
    done = run(repository, "--base", base)

    assert done.stdout.splitlines() == [
        "image=false",
        "archive=false",
        "terraform=false",
        "modules=false",
        "docs_only=true",
        "deliver=false",
    ]


def test_a_file_that_is_not_python_builds_the_image(repository: Repository) -> None:
    """Nobody can say what it imports."""
    base = repository.git("rev-parse", "HEAD")
    repository.commit({"trainer/serve.py": "def (:\n", "trainer/data.py": "ROWS = 5\n"})

    assert "image" in asked(repository.plan(base))


def test_an_unknown_head_is_an_error(repository: Repository) -> None:
    """Nothing can be delivered from a commit that is not there."""
    with pytest.raises(NotAnswered, match="expected a git repository with commit"):
        repository.plan(ZEROS, "1" * 40)


def test_an_older_commit_is_not_delivered_over_a_newer_one(repository: Repository) -> None:
    """Whoever says yes late must not take production back."""
    older = repository.git("rev-parse", "HEAD")
    newer = repository.commit({"trainer/data.py": "ROWS = 2\n"})

    with pytest.raises(Overtaken, match="going back takes a revert"):
        repository.plan(newer, older)


def test_the_same_commit_again_delivers_nothing(repository: Repository) -> None:
    """It is there."""
    assert asked(repository.plan(repository.git("rev-parse", "HEAD"))) == set()


def run(repository: Repository, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command, as a process."""
    command = [sys.executable, "-m", "tools.delivery", "--repository", str(repository.folder), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_reads_the_last_delivery(repository: Repository, tmp_path: Path) -> None:
    """From the file that the last delivery wrote."""
    last = tmp_path / "last.json"
    last.write_text(json.dumps({"commit": repository.git("rev-parse", "HEAD"), "image": "x"}))
    repository.commit({"trainer/data.py": "ROWS = 2\n"})
    done = run(repository, "--last", str(last), "--json")

    assert json.loads(done.stdout)["modules"] is True
    assert json.loads(done.stdout)["image"] is False
    assert "modules: trainer/data.py" in done.stderr


@pytest.mark.parametrize("text", [None, "", "[]", "{}"])
def test_without_a_last_delivery_everything_is_delivered(
    repository: Repository, tmp_path: Path, text: str | None
) -> None:
    """A missing or broken file is no reason to deliver less."""
    last = tmp_path / "last.json"
    if text is not None:
        last.write_text(text)
    done = run(repository, "--last", str(last))

    assert "image=true" in done.stdout.splitlines()


def test_a_failed_command_prints_no_plan(repository: Repository) -> None:
    """An empty plan would look like nothing to do."""
    done = run(repository, "--base", ZEROS, "--head", "1" * 40)

    assert done.returncode == 2
    assert done.stdout == ""


def test_every_tracked_file_of_this_repository_has_a_rule() -> None:
    """A new folder must be thought of; until then it builds everything."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a checkout")
    from tools.delivery.plan import EVERYTHING, decide

    paths = [path for path in done.stdout.split("\0") if path]
    forgotten = [path for path in paths if set(decide([path], frozenset(), frozenset()).reasons) == EVERYTHING]

    assert forgotten == []
