"""Texts and times become series that can be counted; what is only watched never reaches the model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import ValidationError

from gcp.snapshots import query
from gcp.sql import Sql
from retraining.modelspec import Feature, ModelSpec
from retraining.policy import features_digest
from retraining.series import script, series, tokens, unknown
from tests.monitoring.traffic import MONDAY, spec
from trainer.baseline import baseline
from trainer.data import read_dataset
from trainer.derived import vocabulary


def _watching() -> ModelSpec:
    plain = spec("plain").model_dump(mode="json", by_alias=True)
    plain["features"] |= {"comment": {"type": "text"}, "booked": {"type": "timestamp", "path": "trip.booked"}}
    return ModelSpec.model_validate(plain)


def test_each_type_has_its_series() -> None:
    """A value is counted under its feature's name, the rest under <feature>:<what>."""
    kinds = ("numeric", "boolean", "timestamp", "text")
    found = [one.name for kind in kinds for one in series("x", Feature.model_validate({"type": kind}))]

    assert found == ["x", "x", "x:hour", "x:weekday", "x:age", "x:length", "x:script", "x:tokens"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Guten Tag!", "latin"),
        ("Привет, OK", "cyrillic"),
        ("你好 hi", "latin"),  # two letters each: the earlier script counts
        ("日本語のテキスト", "kana"),
        ("שלום", "hebrew"),
        ("12:30 🙂", "none"),
    ],
)
def test_the_script_is_that_of_most_letters(text: str, expected: str) -> None:
    """Digits, signs and unknown scripts have none."""
    assert script(text) == expected


def test_words_are_runs_and_ideographs_stand_alone() -> None:
    """A to Z are lowered, punctuation separates."""
    assert tokens("Don't PANIC: 42 Öfen, 日本") == ["don", "t", "panic", "42", "Öfen", "日", "本"]


def test_unknown_tokens_are_a_whole_percentage() -> None:
    """One of three is 33; a text without a word says nothing."""
    assert (unknown(["a", "b", "c"], {"a", "b"}), unknown([], {"a"})) == (33, None)


def test_rare_tokens_do_not_enter_the_vocabulary() -> None:
    """Four times is too rare, five times is enough."""
    found = vocabulary(np.array(["often rare"] * 4 + ["often"], dtype=object))

    assert found == ("often",)


@pytest.mark.parametrize("path", ["customer.address.country", "tags[0]", "[3]", "a[2].b_c"])
def test_paths_into_a_payload_are_accepted(path: str) -> None:
    """Names and places, nothing else."""
    assert Feature(type="numeric", path=path).path == path


@pytest.mark.parametrize("path", ["a'b", "a.", ".a", "$.a", "a b", "a[x]", 'a"]', "a[1", "a\n"])
def test_other_paths_are_refused(path: str) -> None:
    """What could leave the quotes of a statement never enters it."""
    with pytest.raises(ValidationError):
        Feature(type="numeric", path=path)


def test_what_is_watched_is_no_input() -> None:
    """The digest of the inputs, by which hyperparameters are known to fit, does not change."""
    model = _watching()

    assert list(model.inputs) == ["delay", "hour", "weekend", "carrier"]
    assert features_digest(model) == features_digest(spec("plain"))


def test_a_model_needs_an_input() -> None:
    """A model of watched values alone is a mistake."""
    plain = spec("plain").model_dump(mode="json", by_alias=True) | {"features": {"comment": {"type": "text"}}}

    with pytest.raises(ValidationError, match="at least one"):
        ModelSpec.model_validate(plain)


def test_the_snapshot_holds_what_is_watched() -> None:
    """Its columns are exported in their own types, so that the baseline can be computed."""
    sql = query(_watching(), "run-1", Sql("`p.d.t`"), MONDAY, "gs://b/x").sql

    assert "CAST(`comment` AS STRING)" in sql
    assert "CAST(`booked` AS TIMESTAMP)" in sql


def test_the_trainer_reads_watched_columns_and_describes_them(tmp_path: Path) -> None:
    """They stand beside the inputs, and the baseline has their series."""
    n, model = 50, _watching()
    table = pa.table(
        {
            "y": [0, 1] * (n // 2),
            "at": pa.array([MONDAY] * n, pa.timestamp("us", "UTC")),
            "delay": np.arange(n, dtype=float),
            "hour": np.arange(n) % 24,
            "weekend": [True] * n,
            "carrier": ["AA"] * n,
            "comment": ["late again"] * (n - 1) + [None],
            "booked": pa.array([MONDAY.replace(hour=0)] * n, pa.timestamp("us", "UTC")),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    rows = read_dataset(str(tmp_path / "rows.parquet"), model, tmp_path)
    made = baseline(model, "run-1", rows, np.zeros(n), [])

    assert (set(rows.features), set(rows.watched)) == (set(model.inputs), {"comment", "booked"})
    assert made.vocabularies == {"comment": ("again", "late")}
    assert made.features["booked:weekday"].categories == ("1",)
    assert (made.features["comment:length"].n_null, made.features["comment:tokens"].values) == (1, ("0",))
    assert set(made.pairs) == {
        "delay × hour",
        "delay × weekend",
        "delay × carrier",
        "hour × weekend",
        "hour × carrier",
        "weekend × carrier",
    }
