"""How long a server that is busy or away is waited for."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Patience"]


@dataclass(frozen=True)
class Patience:
    """Pauses between tries: any length up to a limit that doubles (full jitter), so that many
    clients which a server has turned away at once do not come back at once."""

    total_seconds: float = 60.0
    """After which a request is given up."""

    first_seconds: float = 0.1
    """The longest first pause."""

    longest_seconds: float = 5.0
    """The longest of all."""

    answer_seconds: float = 15.0
    """How long a server may say nothing before a try counts as failed."""

    def pauses(self) -> Iterator[float]:
        """How long to pause after each try, until the time is over."""
        end, limit = time.monotonic() + self.total_seconds, self.first_seconds
        while (left := end - time.monotonic()) > 0:
            yield min(left, random.uniform(0, limit))
            limit = min(2 * limit, self.longest_seconds)
