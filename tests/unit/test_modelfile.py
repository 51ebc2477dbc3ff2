"""Model files: every mistake gets one line with file, field, what was expected and what came."""

from pathlib import Path

import pytest

from retraining.errors import BadConfig
from retraining.modelfile import load_models, parse_model
from retraining.modelspec import ModelSpec, RequestLog
from tests.unit.build import FLIGHTS

TEXT = (Path(__file__).parents[2] / "models" / "flights.yaml").read_text()


def mistake(text: str) -> str:
    """What reading ``text`` complains about."""
    with pytest.raises(BadConfig) as caught:
        parse_model(text, "flights.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("type: boolean", "type: bool", "features.is_weekend.type: Input should be", id="feature type"),
        pytest.param(
            "cooldown: 3d", "cooldown: soon", "policy.cooldown: expected a number with m, h or d", id="time"
        ),
        pytest.param("owner: flights-team", "", "owner: Field required", id="missing field"),
        pytest.param("owner:", "colour: red\nowner:", "colour: no such field", id="unknown field"),
        pytest.param("name: flights", "name: Flights!", "name: String should match", id="name"),
        pytest.param("table: flights.history", "table: 'a.b; DROP'", "source.table: String should match", id="SQL"),
        pytest.param("  dep_delay:", "  ontime:", "cannot be a feature", id="label as feature"),
        pytest.param(
            "metric: log_loss\n  margin", "metric: rmse\n  margin", "does not fit task binary", id="metric"
        ),
        pytest.param("steps: [5, 25, 50, 100]", "steps: [50, 25]", "rising steps that end at 100", id="steps"),
        pytest.param("by: [carrier, origin]", "by: [colour]", "which is not a feature", id="slice"),
        pytest.param("{by: day,", "{by: day, column: data_split,", "exactly one of column and by", id="split"),
        pytest.param('cron: "0 3 1 * *"', 'cron: "monthly"', "five cron fields", id="cron"),
        pytest.param("min: 512, max: 4096", "min: 4096, max: 512", "min < max", id="range"),
        pytest.param("per_run: 5", "per_run: -5", "policy.budget.per_run: Input should be greater", id="money"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, said: str) -> None:
    """The line names the file and the field."""
    assert old in TEXT

    text = mistake(TEXT.replace(old, new, 1))

    assert text.startswith("flights.yaml: ")
    assert said in text


def test_all_mistakes_are_named_at_once() -> None:
    """Nobody mends one mistake to meet the next."""
    text = mistake(TEXT.replace("cooldown: 3d", "cooldown: x").replace("per_run: 5", "per_run: -5"))

    assert len(text.splitlines()) == 2


BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]" for i in range(20)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(BOMB, "YAML alias", id="a bomb of aliases"),
        pytest.param("name: a\nname: b", "given twice", id="a field given twice"),
        pytest.param("x" * 70_000, "at most 65536 bytes", id="too long"),
        pytest.param("[" * 5000, "flights.yaml: ", id="too deep"),
        pytest.param("- a", "got list", id="not fields"),
        pytest.param("a: [", "not YAML", id="not YAML"),
        pytest.param("name: &a flights", "YAML alias or anchor", id="an anchor"),
        pytest.param("a: " + "9" * 5000, "number of at most 40 characters", id="a number without end"),
        pytest.param("a: 0x" + "f" * 60_000, "number of at most 40 characters", id="a hexadecimal without end"),
        pytest.param("a: " + "1:" * 20_000 + "1.5", "number of at most 40 characters", id="base sixty"),
        pytest.param("a: 2001-99-99", "month must be in 1..12", id="a date that is none"),
        pytest.param(TEXT.replace("per_run: 5", "per_run: .inf"), "finite number", id="a budget without end"),
        pytest.param(TEXT.replace("per_run: 5", "per_run: 1e400"), "finite number", id="an infinite exponent"),
        pytest.param(TEXT.replace("cooldown: 3d", f"cooldown: {'9' * 30}d"), "too large", id="a time without end"),
        pytest.param("name: a\x00b", "special characters are not allowed", id="a zero byte"),
        pytest.param("name: a\x1b[31mb", "special characters are not allowed", id="a terminal's escape"),
        pytest.param('name: "flights\\n"', "name: String should match", id="a line break in a name"),
        pytest.param("- " * 30_000, "nested too deeply", id="deep lists"),
        pytest.param("? [a]\n: b", "plain field name", id="a list as field name"),
        pytest.param("!!python/object/apply:os.system [ls]", "not YAML", id="an object"),
        pytest.param("", "got NoneType", id="empty"),
    ],
)
def test_hostile_text_is_refused(text: str, said: str) -> None:
    """At once, and without expanding anything."""
    assert said in mistake(text)


def test_a_model_file_has_the_name_of_its_model(tmp_path: Path) -> None:
    """So that nobody looks for flights in cars.yaml."""
    (tmp_path / "cars.yaml").write_text(TEXT)

    with pytest.raises(BadConfig, match=r"cars\.yaml: name: expected 'cars'"):
        load_models(tmp_path)


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    """A deployment without models does nothing, which nobody wants."""
    with pytest.raises(BadConfig, match="found none"):
        load_models(tmp_path)


def test_a_model_survives_its_json() -> None:
    """The run's jobs read the same model that the functions read."""
    assert ModelSpec.model_validate_json(FLIGHTS.model_dump_json(by_alias=True)) == FLIGHTS


def test_the_digest_follows_the_content() -> None:
    """Any change of the file changes it."""
    other = parse_model(TEXT.replace("cooldown: 3d", "cooldown: 4d"), "flights.yaml")

    assert other.digest != FLIGHTS.digest


@pytest.mark.parametrize(
    ("log", "endpoint", "watched"),
    [
        pytest.param({}, "own.flights_requests", "own.flights_requests", id="our own"),
        pytest.param({"table": "logs.all"}, "logs.all", "logs.all", id="a shared one"),
        pytest.param(
            {"table": "old.log", "format": "ai_platform"}, "own.flights_requests", "old.log", id="an older one"
        ),
    ],
)
def test_a_model_file_says_where_requests_are_logged(log: dict[str, str], endpoint: str, watched: str) -> None:
    """Vertex AI writes its own format alone; a log in an older one is only watched."""
    spec = FLIGHTS.model_copy(update={"log": RequestLog.model_validate(log)})

    assert (spec.endpoint_log("own"), spec.watched_log("own")) == (endpoint, watched)
