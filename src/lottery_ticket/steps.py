"""`"20ep"` / `"500it"` → optimiser steps: the only place where epochs become steps."""

import re
from dataclasses import dataclass

from lottery_ticket.errors import UsageError

__all__ = ["Duration", "steps_per_epoch"]


_MAX_DIGITS = 12


def steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Steps in one pass over the data; the last, smaller batch counts.

    >>> steps_per_epoch(60_000, 64)
    938
    """
    return -(-num_examples // batch_size)


@dataclass(frozen=True)
class Duration:
    """A length of training, in epochs or in iterations (optimiser steps).

    >>> Duration.parse("20ep").steps(938)
    18760
    >>> str(Duration.parse("500it"))
    '500it'
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """Read `"20ep"` or `"500it"`; anything else raises `UsageError`."""
        match = re.fullmatch(r"([0-9]+)(ep|it)", text) if isinstance(text, str) else None
        if match is None:
            number = re.fullmatch(r"\s*([0-9]{1,12})\s*[a-z]*\s*", str(text), re.I)
            epochs, iterations = (number[1], number[1]) if number else ("20", "500")
            shown = repr(text) if len(repr(text)) <= 60 else f"{repr(text)[:60]}…"
            raise UsageError(
                f"{shown} is not a duration; write epochs as '{epochs}ep' or iterations as "
                f"'{iterations}it'"
            )
        if len(match[1].lstrip("0")) > _MAX_DIGITS:
            raise UsageError(f"{text[:20]}… is longer than any training; write less")
        return cls(int(match[1]), match[2])

    def steps(self, steps_per_epoch: int) -> int:
        """The duration in optimiser steps."""
        return self.count * (steps_per_epoch if self.unit == "ep" else 1)

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"
