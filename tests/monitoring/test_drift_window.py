"""One window from file to verdict: the same integers from columns, from logs of JSON and from plain arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.columns import count_columns
from benchmarks.drift_window import describe, look, main
from benchmarks.window_files import source
from monitoring.baseline import Definitions

ROWS = 20_000


def _table(rows: int = ROWS, seed: int = 1, shift: float = 0.0) -> Any:
    draw = np.random.default_rng(seed)

    def holed(values: Any) -> Any:
        return pa.array(values, mask=draw.random(rows) < 0.03)

    return pa.table(
        {
            "size": holed(draw.normal(shift, 1, rows)),
            "price": holed(draw.lognormal(0, 1, rows)),
            "hour": holed(draw.integers(0, 24, rows)),
            "kind": holed(draw.choice([f"k{n}" for n in range(70)], rows)),
            "fresh": holed(draw.random(rows) < 0.3),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference and a current window, as columns and as logs of every form."""
    folder = tmp_path_factory.mktemp("windows")
    pq.write_table(_table(), folder / "reference.parquet")
    current = _table(seed=2)
    pq.write_table(current, folder / "current.parquet")
    texts = [json.dumps(row) for row in current.to_pylist()]
    pq.write_table(pa.table({"request_payload": texts}), folder / "log.parquet")
    pieces = [texts[at : at + 7] for at in range(0, ROWS, 7)]
    pq.write_table(pa.table({"request_payload": pieces}), folder / "lists.parquet")
    (folder / "lines.jsonl").write_text("\n".join(texts), encoding="utf-8")
    rows = "\n".join(json.dumps({"request_payload": piece}) for piece in pieces)
    (folder / "rows.jsonl").write_text(rows, encoding="utf-8")
    objects = current.to_pylist()
    wrapped = [objects[at : at + 7] for at in range(0, ROWS, 7)]
    shapes = {
        "instances": [json.dumps({"parameters": {}, "instances": piece}) for piece in wrapped],
        "list-text": [json.dumps(piece) for piece in wrapped],
        "texts-text": [json.dumps(piece) for piece in pieces],
        "bytes": [text.encode() for text in texts],
        "structs": objects,
        "lists-of-structs": wrapped,
        "struct-instances": [{"instances": piece} for piece in wrapped],
    }
    shapes["coded"] = pa.array(texts).dictionary_encode()
    for name, payloads in shapes.items():
        pq.write_table(pa.table({"request_payload": payloads}), folder / f"{name}.parquet")
    (folder / "instances.jsonl").write_text("\n".join(shapes["instances"]), encoding="utf-8")
    rows = "\n".join(json.dumps({"request_payload": {"instances": piece}}) for piece in wrapped)
    (folder / "row-instances.jsonl").write_text(rows, encoding="utf-8")
    return folder


SHAPES = (
    *("log.parquet", "lists.parquet", "lines.jsonl", "rows.jsonl", "instances.parquet", "list-text.parquet"),
    *("texts-text.parquet", "bytes.parquet", "structs.parquet", "lists-of-structs.parquet"),
    *("struct-instances.parquet", "coded.parquet", "instances.jsonl", "row-instances.jsonl"),
)


@pytest.fixture(scope="module")
def cells(folder: Path) -> Definitions:
    """The baseline of the reference."""
    return describe(source(folder / "reference.parquet", log=False))


def test_columns_are_counted_as_arrays_are(folder: Path, cells: Definitions) -> None:
    """Every series and pair; the arrays go another way to the same integers."""
    found = look(cells, source(folder / "current.parquet", log=False))
    frame = pq.read_table(folder / "current.parquet").to_pydict()
    arrays = {name: np.array(values, dtype=object) for name, values in frame.items()}
    expected = count_columns(cells, arrays)

    assert {
        n: (c.n, c.n_null, c.n_unparseable, c.n_unseen, c.n_low, c.n_high, c.cells) for n, c in found.items()
    } == {n: (c.n, c.n_null, c.n_unparseable, c.n_unseen, c.n_low, c.n_high, c.cells) for n, c in expected.items()}
    assert {n: (c.sum, c.sum_sq) for n, c in found.items()} == {
        n: pytest.approx((c.sum, c.sum_sq)) for n, c in expected.items()
    }
    assert sum(one.kind == "pair" for one in cells.features.values()) == 10


@pytest.mark.parametrize(
    "written", [{"row_group_size": 300}, {"use_dictionary": False}, {"dictionary_pagesize_limit": 64}], ids=str
)
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.binary()], ids=str)
def test_counts_do_not_depend_on_how_words_are_stored(
    written: dict[str, Any], text: Any, folder: Path, tmp_path: Path, cells: Definitions
) -> None:
    """Batches of one dictionary share the look-up of its words; those of another one do not."""
    table = pq.read_table(folder / "current.parquet")
    kinds = table["kind"].cast(text)
    pq.write_table(table.set_column(3, "kind", kinds), tmp_path / "stored.parquet", **written)
    stored = look(cells, source(tmp_path / "stored.parquet", log=False))
    expected = look(cells, source(folder / "current.parquet", log=False))

    assert {name: (one.n, one.n_null, one.n_unseen, one.cells) for name, one in stored.items()} == {
        name: (one.n, one.n_null, one.n_unseen, one.cells) for name, one in expected.items()
    }


@pytest.mark.parametrize("name", SHAPES)
def test_a_log_is_counted_as_its_columns_are(name: str, folder: Path, cells: Definitions) -> None:
    """Text, bytes, structs, lists of them or instances, in Parquet or in lines."""
    typed = look(cells, source(folder / "current.parquet", log=False))
    logged = look(cells, source(folder / name, log=True))

    assert {n: (c.n, c.n_null, c.cells) for n, c in logged.items()} == {
        n: (c.n, c.n_null, c.cells) for n, c in typed.items()
    }


@pytest.mark.parametrize("form", ["text.parquet", "bytes.parquet", "text.jsonl"])
def test_what_cannot_be_read_is_not_missing(form: str, tmp_path: Path, cells: Definitions) -> None:
    """No JSON, no object, text for a number; null and absent and empty are missing."""
    texts = [
        '{"size": 1, "kind": "k1"}',
        "broken",
        "[1]",
        '{"size": "x"}',
        '{"size": null, "kind": ""}',
        '{"size": ""}',
    ]
    if form == "text.jsonl":
        (tmp_path / form).write_text("\n".join(texts), encoding="utf-8")
    else:
        held = texts if form == "text.parquet" else [b"\xff" if t == "broken" else t.encode() for t in texts]
        pq.write_table(pa.table({"request_payload": held}), tmp_path / form)
    found = look(cells, source(tmp_path / form, log=True))

    assert (found["size"].n, found["size"].n_null, found["size"].n_unparseable) == (6, 2, 3)
    assert (found["kind"].n_null, found["kind"].n_unparseable, sum(found["kind"].cells)) == (3, 2, 1)
    assert (found["hour"].n_null, found["hour"].n_unparseable) == (4, 2)


def test_a_log_describes_itself_as_its_columns_do(folder: Path, tmp_path: Path) -> None:
    """Names and kinds are told from the requests; the cells are the same."""
    texts = [json.dumps(row) for row in _table().to_pylist()]
    pq.write_table(pa.table({"request_payload": texts}), tmp_path / "log.parquet")
    logged = describe(source(tmp_path / "log.parquet", log=False))
    typed = describe(source(folder / "reference.parquet", log=False))

    assert logged == typed


def test_numbers_of_many_listed_values_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells are then fewer than values; only a value that the reference never had is unseen."""
    draw = np.random.default_rng(4)
    listed = [5 * draw.poisson(50, ROWS) for _ in range(2)]
    pq.write_table(pa.table({"count": listed[0]}), tmp_path / "reference.parquet")
    pq.write_table(pa.table({"count": np.append(listed[1], [251, 10**6])}), tmp_path / "current.parquet")
    cells = describe(source(tmp_path / "reference.parquet", log=False))
    found = look(cells, source(tmp_path / "current.parquet", log=False))["count"]
    rare = int((~np.isin(listed[1], listed[0])).sum())
    main([str(tmp_path / "reference.parquet"), str(tmp_path / "current.parquet")])
    told = json.loads(capsys.readouterr().out)

    assert len(cells.features["count"].values) > 50
    assert found.n_unseen == rare + 2
    assert not told["features"]["count"]["flag"]


def _judged(folder: Path, reference: Any, current: Any, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the tool prints of two tables."""
    pq.write_table(reference, folder / "judged-reference.parquet")
    pq.write_table(current, folder / "judged-current.parquet")
    assert main([str(folder / "judged-reference.parquet"), str(folder / "judged-current.parquet")]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.list_(pa.string()), ["a", "b"], ["a"]),
        (pa.struct([("x", pa.int64()), ("y", pa.timestamp("us"))]), {"x": 1, "y": None}, {"x": 2, "y": None}),
        (pa.map_(pa.string(), pa.int64()), [("a", 1)], [("a", 2)]),
        (pa.binary(), b"a", b"b"),
        (pa.null(), None, None),
    ],
)
def test_a_column_of_any_type_is_a_category(
    kind: Any, one: Any, other: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lists, structs and maps are told apart by their JSON text."""
    even = pa.table({"held": pa.array([one, other] * 500, kind), "n": range(1000)})
    uneven = pa.table({"held": pa.array([one, one, one, other] * 250, kind), "n": range(1000)})

    assert not _judged(tmp_path, even, even, capsys)["features"]["held"]["flag"]
    assert _judged(tmp_path, even, uneven, capsys)["features"]["held"]["flag"] == (one != other)


@pytest.mark.parametrize(
    "became",
    [
        pa.array([f"word {n % 7}" for n in range(1000)]),
        pa.array(["x"] * 1000).dictionary_encode(),
        pa.array([[n] for n in range(1000)]),
        pa.array([{"n": n} for n in range(1000)]),
    ],
    ids=["words", "coded words", "lists", "structs"],
)
@pytest.mark.parametrize("distinct", [1000, 10])
def test_a_number_that_became_something_else_cannot_be_read(
    became: Any, distinct: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is flagged, as words are when two arrays are compared."""
    numbers = pa.table({"size": [float(n % distinct) for n in range(1000)]})
    told = _judged(tmp_path, numbers, pa.table({"size": became}), capsys)
    cells = describe(source(tmp_path / "judged-reference.parquet", log=False))
    found = look(cells, source(tmp_path / "judged-current.parquet", log=False))["size"]

    assert (found.n, found.n_null, found.n_unparseable) == (1000, 0, 1000)
    assert told["features"]["size"]["flag"]


def test_text_that_reads_as_a_number_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty text is missing, as in a log."""
    numbers = [float(n) for n in range(1000)]
    texts = [str(n) for n in numbers]
    told = _judged(tmp_path, pa.table({"size": numbers}), pa.table({"size": texts}), capsys)
    pq.write_table(pa.table({"size": ["", None, "1", "one"]}), tmp_path / "few.parquet")
    cells = describe(source(tmp_path / "judged-reference.parquet", log=False))
    found = look(cells, source(tmp_path / "few.parquet", log=False))["size"]

    assert not told["features"]["size"]["flag"]
    assert (found.n, found.n_null, found.n_unparseable, sum(found.cells)) == (4, 2, 1, 1)


def test_one_line_tells_every_feature(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Effect, p-value and flag; the moved feature is flagged, the others are not; CPU by part."""
    pq.write_table(_table(seed=3, shift=0.3), tmp_path / "moved.parquet")
    code = main([str(folder / "reference.parquet"), str(tmp_path / "moved.parquet")])
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)

    assert (code, told["rows"]) == (0, ROWS)
    assert {name for name, one in told["features"].items() if one["flag"]} == {"size"}
    assert told["features"]["size"]["effect"] == pytest.approx(0.3, abs=0.05)
    assert set(told["cpu_seconds"]) == {"imports", "reference", "window", "judging"}


def test_a_file_without_requests_is_no_log(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the file and the column that was expected."""
    code = main([str(folder / "reference.parquet"), str(folder / "current.parquet"), "--log"])

    assert code == 2
    assert "current.parquet: expected a column request_payload" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("payloads", "came"),
    [
        (
            [1, 2],
            "expected request_payload to hold requests in JSON (text, binary, structs, or lists of them), "
            "got int64",
        ),
        (
            ['{"data": {"size": 1}}'] * 2,
            "expected requests with size, price, hour, kind, fresh; got none of them, but data",
        ),
    ],
)
def test_requests_of_another_shape_are_refused(
    payloads: Any, came: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what was expected and what came."""
    pq.write_table(pa.table({"request_payload": payloads}), tmp_path / "log.parquet")
    code = main([str(folder / "reference.parquet"), str(tmp_path / "log.parquet"), "--log"])
    said = capsys.readouterr()

    assert (code, said.out) == (2, "")
    assert said.err == f"{tmp_path / 'log.parquet'}: {came}\n"


def _lack(names: str) -> str:
    return f"nothing can be said: the {names} has no rows"


@pytest.mark.parametrize(
    ("reference", "current", "note"),
    [(ROWS, 0, _lack("window")), (0, ROWS, _lack("reference")), (0, 0, _lack("reference and the window"))],
)
def test_of_no_rows_nothing_can_be_said(
    reference: int, current: int, note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says so, and judges no feature."""
    told = _judged(tmp_path, _table().slice(0, reference), _table().slice(0, current), capsys)

    assert (told["rows"], told["reference_rows"], told["note"]) == (current, reference, note)
    assert told["features"] == told["pairs"] == {}


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl"])
def test_of_a_log_without_requests_nothing_can_be_said(
    name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day without traffic is no error."""
    if name == "log.jsonl":
        (tmp_path / name).write_text("", encoding="utf-8")
    else:
        pq.write_table(pa.table({"request_payload": pa.array([], pa.string())}), tmp_path / name)
    code = main([str(folder / "reference.parquet"), str(tmp_path / name), "--log"])
    told = json.loads(capsys.readouterr().out)

    assert (code, told["rows"], told["note"]) == (0, 0, _lack("window"))
