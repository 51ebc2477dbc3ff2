"""``retrain modules``: what a delivery copies, whom it asks, and that a repeat asks for nothing new."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import Result

from functions.following import Following
from gcp.modules import Modules
from retraining.intake import Intake, accept
from retraining.messages import manual
from retraining.messages.context import Context
from retraining.triggers import Trigger
from tests.console.conftest import PROJECT, Desk
from tests.delivery.sets import NOW, ROOT
from tests.unit.build import SPECS


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout that a test may change."""
    for name in ("trainer", "retraining", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def edit(path: Path, text: str = "\n# a word more\n") -> None:
    """Change a file."""
    path.write_text(path.read_text() + text)


def modules(desk: Desk, *words: str) -> Result:
    """``retrain modules ...`` on an installation with one bucket for all."""
    bucket = str(desk.environ["RETRAIN_STATE_BUCKET"])
    return desk.type("modules", *words, RETRAIN_ARTIFACT_BUCKET=bucket)


def publish(desk: Desk, source: Path, *words: str) -> list[dict[str, object]]:
    """Deliver; the requests that were published."""
    result = modules(desk, "publish", "--source", str(source), "--by", "ann", *words)
    assert result.exit_code == 0, result.output
    return sorted(desk.messages("retrain-requests"), key=lambda one: str(one["model"]))


def test_the_first_delivery_asks_once_for_each_model(desk: Desk, source: Path) -> None:
    """With the commit as the reason, and one tick for all."""
    asked = publish(desk, source, "--commit", "1a2b3c4d5e6f7890")

    assert [one["model"] for one in asked] == ["bikes", "flights"]
    assert {one["reason"] for one in asked} == {"delivery 1 of commit 1a2b3c4d5e6f"}
    assert {one["actor"] for one in asked} == {"ann"}
    assert desk.messages("ticks") == [{"kind": "tick"}]


def test_a_changed_model_file_asks_for_its_model(desk: Desk, source: Path) -> None:
    """And copies one file."""
    publish(desk, source)
    edit(source / "models" / "flights.yaml")
    result = modules(desk, "publish", "--source", str(source))

    assert [one["model"] for one in desk.messages("retrain-requests")] == ["flights"]
    assert "1 files copied" in result.output


def test_changed_code_of_the_jobs_asks_for_every_model(desk: Desk, source: Path) -> None:
    """The data loader is such code."""
    publish(desk, source)
    edit(source / "trainer" / "data.py")

    assert [one["model"] for one in publish(desk, source)] == ["bikes", "flights"]


def test_changed_code_of_the_functions_asks_for_nobody(desk: Desk, source: Path) -> None:
    """No job runs it."""
    publish(desk, source)
    desk.messages("ticks")
    edit(source / "retraining" / "policy.py")

    assert publish(desk, source) == []
    assert desk.messages("ticks") == []


def test_a_new_image_and_new_modules_are_one_request(desk: Desk, source: Path) -> None:
    """For each model, whatever changed."""
    publish(desk, source, "--image", "trainer@sha256:1")
    edit(source / "models" / "flights.yaml")
    edit(source / "trainer" / "data.py")
    asked = publish(desk, source, "--image", "trainer@sha256:2")

    assert [one["model"] for one in asked] == ["bikes", "flights"]


def test_a_new_image_alone_asks_for_every_model(desk: Desk, source: Path) -> None:
    """Its libraries train."""
    publish(desk, source, "--image", "trainer@sha256:1")

    assert [one["model"] for one in publish(desk, source, "--image", "trainer@sha256:2")] == ["bikes", "flights"]


def triggers(asked: list[dict[str, object]]) -> list[Trigger]:
    """What the receivers make of the requests."""
    context = Context(SPECS, PROJECT, message_id="m", published=NOW)
    parsed = [manual.parse(one, {}, context) for one in asked]
    return [trigger for found in parsed if isinstance(found, list) for trigger in found]


def keys(asked: list[dict[str, object]]) -> set[str]:
    """What the requests mean."""
    return {trigger.model + trigger.key for trigger in triggers(asked)}


def test_a_repeated_delivery_is_the_same_fact(desk: Desk, source: Path) -> None:
    """So a delivery that broke off can be repeated, and trains once."""
    first = publish(desk, source)
    again = publish(desk, source, "--commit", "another")
    intake = Intake(SPECS, desk.store, lambda: NOW)
    taken = [accept(intake, trigger) for trigger in triggers([*first, *again])]

    assert keys(first) == keys(again)
    assert taken == [True, True, False, False]


def test_going_back_to_an_earlier_commit_asks_again(desk: Desk, source: Path) -> None:
    """It is another fact than the first delivery of the same files."""
    first = publish(desk, source)
    text = (source / "models" / "flights.yaml").read_text()
    edit(source / "models" / "flights.yaml")
    publish(desk, source)
    (source / "models" / "flights.yaml").write_text(text)
    back = publish(desk, source)

    assert [one["model"] for one in back] == ["flights"]
    assert not keys(back) & keys(first)


def test_the_functions_know_a_new_model_when_its_request_arrives(desk: Desk, source: Path) -> None:
    """The pointer moves before anybody is asked."""
    publish(desk, source)
    text = (source / "models" / "flights.yaml").read_text()
    (source / "models" / "trains.yaml").write_text(text.replace("name: flights", "name: trains"))
    asked = publish(desk, source)
    following = Following(SPECS, Modules(desk.store))
    following.refresh()

    assert [one["model"] for one in asked] == ["trains"]
    assert "trains" in following


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("models/flights.yaml", "\nnonsense: 1\n", "nonsense"),
        ("trainer/data.py", "\ndef (:\n", "trainer/data.py: invalid syntax"),
        ("trainer/data.py", "\n#" + "x" * 1_000_000, "expected at most 1000000 bytes"),
    ],
)
def test_what_could_not_run_is_not_delivered(desk: Desk, source: Path, path: str, text: str, why: str) -> None:
    """Nothing is copied and nobody is asked."""
    edit(source / path, text)
    result = modules(desk, "publish", "--source", str(source))

    assert result.exit_code == 2
    assert why in result.output
    assert desk.store.list("modules/") == []
    assert desk.messages("retrain-requests") == []


def test_a_folder_without_code_is_not_delivered(desk: Desk, tmp_path: Path) -> None:
    """It is not a checkout."""
    result = modules(desk, "publish", "--source", str(tmp_path))

    assert result.exit_code == 2
    assert "expected the folders trainer, retraining and models" in result.output


def test_show_tells_what_is_current(desk: Desk, source: Path) -> None:
    """For people and for programs."""
    publish(desk, source, "--commit", "1a2b3c", "--image", "trainer@sha256:1")
    people, programs = modules(desk, "show"), modules(desk, "show", "--json")
    told = json.loads(programs.output)

    assert "1a2b3c" in people.output
    assert "no: RETRAIN_MODULES is not set to current" in people.output
    assert told["sequence"] == 1
    assert "models/flights.yaml" in told["files"]


def test_show_before_the_first_delivery(desk: Desk) -> None:
    """One plain sentence."""
    result = modules(desk, "show")

    assert result.exit_code == 1
    assert "no module set was published yet" in result.output
