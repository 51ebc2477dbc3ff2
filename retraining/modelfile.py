"""Reading model files: YAML in, ModelSpec out, and one clear line for each mistake."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from retraining.errors import BadConfig
from retraining.modelspec import ModelSpec

MAX_BYTES = 64 * 1024
_MAX_DIGITS = 40
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Loader(yaml.SafeLoader):
    """Safe YAML without anchors and aliases (which can expand without end), repeated keys and endless numbers."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadConfig(f"line {event.start_mark.line + 1}: expected plain values, got a YAML alias or anchor")
        return super().compose_node(parent, index)

    def construct_scalar(self, node: Any) -> Any:
        if node.tag in _NUMBERS and len(node.value) > _MAX_DIGITS:
            raise BadConfig(
                f"line {node.start_mark.line + 1}: expected a number of at most {_MAX_DIGITS} characters"
            )
        return super().construct_scalar(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (str, int, float, bool)) and key in seen:
                raise BadConfig(f"line {key_node.start_mark.line + 1}: field {key} is given twice")
            if not isinstance(key, (str, int, float, bool)):
                raise BadConfig(f"line {key_node.start_mark.line + 1}: expected a plain field name")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_model(text: str, origin: str) -> ModelSpec:
    """Read one model file's ``text``; ``origin`` names it in errors.

    Raises:
        BadConfig: one line per mistake, each with file, field, what was expected and what came.
    """
    if len(text.encode()) > MAX_BYTES:
        raise BadConfig(f"{origin}: expected at most {MAX_BYTES} bytes, got {len(text.encode())}")
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader, made stricter
    except yaml.YAMLError as error:
        raise BadConfig(f"{origin}: not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BadConfig(f"{origin}: nested too deeply") from error
    except BadConfig as error:
        raise BadConfig(f"{origin}: {error}") from error
    except (ValueError, OverflowError) as error:  # a date or a number that YAML allows and Python does not
        raise BadConfig(f"{origin}: a value cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise BadConfig(f"{origin}: expected fields such as name and source, got {type(raw).__name__}")
    try:
        return ModelSpec.model_validate(raw)
    except ValidationError as error:
        raise BadConfig("\n".join(_lines(error, origin))) from error
    except OverflowError as error:
        raise BadConfig(f"{origin}: a number is too large for what it measures: {error}") from error


def _lines(error: ValidationError, origin: str) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        whole = "version" if problem["type"] == "version" else "(file)"
        field = ".".join(str(part) for part in problem["loc"]) or whole
        text = problem["msg"].removeprefix("Value error, ")
        came = problem["input"]
        shown = "" if isinstance(came, dict) else f"; got {came!r:.80}"
        if problem["type"] == "extra_forbidden":
            text = "no such field"
        yield f"{origin}: {field}: {text}{shown}"


def load_models(folder: Path) -> dict[str, ModelSpec]:
    """Read every ``*.yaml`` in ``folder``, keyed by model name. Raises BadConfig naming all mistakes."""
    specs: dict[str, ModelSpec] = {}
    mistakes: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            spec = parse_model(path.read_text(), path.name)
            if spec.name != path.stem:
                raise BadConfig(f"{path.name}: name: expected {path.stem!r}, like the file; got {spec.name!r}")
            specs[spec.name] = spec
        except BadConfig as error:
            mistakes.append(str(error))
        except UnicodeDecodeError as error:
            mistakes.append(f"{path.name}: expected UTF-8 text: {error.reason}")
    if not specs and not mistakes:
        mistakes.append(f"{folder}: expected at least one model file (*.yaml), found none")
    if mistakes:
        raise BadConfig("\n".join(mistakes))
    return specs
