"""The base of everything that is written as JSON and read again, perhaps by another release.

Fields that this release does not know stay in the value and are written back, in nested values too: a newer release
may have put them there, and a compare-and-swap by this one must not lose them (``retraining.migrations``).
"""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from retraining.errors import BadRecord, NewerRecord
from retraining.migrations import Format

_CHOICES = frozenset({"enum", "literal_error"})  # pydantic's words for a value outside an enumeration


class Record(BaseModel):
    """A frozen value with a JSON form. ``format`` belongs to records that are stored on their own."""

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")
    format: ClassVar[Format | None] = None

    def to_json(self) -> str:
        """One line of JSON, with the version of its format; ``from_json`` reads it back to an equal value."""
        if self.format is None:
            return self.model_dump_json()
        body = {"version": self.format.version, **self.model_dump(mode="json")}
        return to_json(body, inf_nan_mode="constants").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote, in this release or another.

        Raises:
            NewerRecord: only a newer release understands it, by its version or by a choice that is unknown here.
            BadRecord: it is no such record; the text names the first wrong field.
        """
        try:
            raw = from_json(text)
        except ValueError as error:
            raise BadRecord(f"{cls.__name__}: text: invalid JSON: {error}") from error
        if cls.format is not None and isinstance(raw, dict):
            raw = cls.format.upgrade(raw)
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise _unreadable(cls.__name__, error) from error

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        return self.model_copy(update=changes)


def _unreadable(name: str, error: ValidationError) -> BadRecord | NewerRecord:
    """Who can read it: a newer release if all that is wrong are choices unknown to this one, else nobody."""
    problems = error.errors(include_url=False)
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"])
    if all(problem["type"] in _CHOICES for problem in problems):
        text = f"{name}: {field}: {first['msg']}, got {first['input']!r:.80}: left to the release that knows it"
        return NewerRecord(text)
    return BadRecord(f"{name}: {field or 'text'}: {first['msg']}")
