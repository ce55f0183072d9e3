"""What the records of a spec share: unknown keys and values of the wrong type are errors."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from lottery_ticket.errors import nearest
from lottery_ticket.steps import Duration

__all__ = ["DurationText", "Record", "one_of"]


class Record(BaseModel):
    """A frozen, strictly validated value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def one_of(kind: str, names: Any) -> Any:
    """A validator that refuses a name that is not among `names`, with the nearest that is."""

    def check(value: object) -> object:
        if isinstance(value, str) and value not in names:
            raise ValueError(f"unknown {kind} {value!r}{nearest(value, names)}")
        return value

    return BeforeValidator(check)


def _duration(value: object) -> object:
    return str(Duration.parse(value)) if isinstance(value, str) else value


DurationText = Annotated[str, BeforeValidator(_duration)]
"""A length such as `"20ep"` or `"500it"`, in one spelling."""
