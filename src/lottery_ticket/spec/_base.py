"""What the records of a spec share: unknown keys and values of the wrong type are errors."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.registry import Registry, shown
from lottery_ticket.steps import Duration

__all__ = ["DurationText", "Float", "Record", "flushes", "one_of"]

# the normal numbers of float32, in which trainings compute; what is below becomes 0
_SMALLEST, _LARGEST = 2.0**-126, 3.4028234663852886e38


class Record(BaseModel):
    """A frozen, strictly validated value."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    _repr_html_ = notebook_html


def one_of(names: Registry[Any]) -> Any:
    """A validator that refuses a name that is not registered, with the nearest that is."""

    def check(value: object) -> object:
        if isinstance(value, str):
            names.entry(value)
        return value

    return BeforeValidator(check)


def flushes(value: float) -> bool:
    """Whether a number is 0 in a training, though it is written as another."""
    return 0 < abs(value) < _SMALLEST


def _in_float32(value: float) -> float:
    if flushes(value):
        raise ValueError(f"{value:g} is 0 in float32, so it has no effect; write a larger number")
    if abs(value) > _LARGEST:
        raise ValueError(f"{value:g} is infinite in float32; write a smaller number")
    return value


Float = Annotated[float, AfterValidator(_in_float32)]
"""A number that float32 can hold."""


def _duration(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_short = 0 <= value < 1e12 and value == int(value)
        whole = str(int(value)) if is_short else "20"
        raise ValueError(
            f"got {shown(value)}, wanted a unit: {whole}ep (epochs) or {whole}it (iterations)"
        )
    return str(Duration.parse(value)) if isinstance(value, str) else value


DurationText = Annotated[str, BeforeValidator(_duration)]
"""A length such as `"20ep"` or `"500it"`, in one spelling."""
