"""The base of everything that is written as JSON and read again, perhaps by another version."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from retraining.errors import BadRecord


class Record(BaseModel):
    """A frozen value with a JSON form. Fields that this version does not know are kept out, not refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    def to_json(self) -> str:
        """One line of JSON; ``from_json`` reads it back to an equal value."""
        return self.model_dump_json(exclude_defaults=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what ``to_json`` wrote. Raises BadRecord naming the first wrong field."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise BadRecord(f"{cls.__name__}: {field or 'text'}: {first['msg']}") from error

    def but(self, **changes: Any) -> Self:
        """The same value with some fields changed."""
        return self.model_copy(update=changes)
