"""In what patterns weights are pruned: one by one, n of m, in blocks, or whole channels."""

import re
from dataclasses import dataclass

from lottery_ticket.errors import UsageError, nearest

__all__ = ["Structure"]

_FORMS = "'unstructured', 'channel', 'n:m' like '2:4', 'block:RxC' like 'block:4x4'"
_N_OF_M = re.compile(r"(\d+):(\d+)")
_BLOCK = re.compile(r"block:(\d+)x(\d+)")


@dataclass(frozen=True)
class Structure:
    """In what pattern weights are pruned, and so which counts are exact.

    | text | what is pruned at once | exact |
    |---|---|---|
    | `"unstructured"` | a weight | the number of weights |
    | `"n:m"` | all but the n best of every m weights along the inputs | n of every m |
    | `"block:RxC"` | R × C weights of the view (outputs, inputs · kernel) | the number of blocks |
    | `"channel"` | all weights of one output | whole channels, the nearest number of weights |

    Args:
        kind: `"unstructured"`, `"n:m"`, `"block"` or `"channel"`.
        size: (n, m) or (rows, columns); empty for the others.

    Raises:
        UsageError: a kind that does not exist, or sizes that do not make sense.

    >>> Structure.parse("2:4")
    Structure(kind='n:m', size=(2, 4))
    >>> str(Structure("block", (4, 1)))
    'block:4x1'
    """

    kind: str = "unstructured"
    size: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        num_sizes = {"unstructured": 0, "channel": 0, "n:m": 2, "block": 2}
        if self.kind not in num_sizes:
            raise UsageError(
                f"structure: unknown kind {self.kind!r}{nearest(self.kind, num_sizes)}"
            )
        if len(self.size) != num_sizes[self.kind]:
            raise UsageError(f"structure: {self.kind!r} does not take the sizes {self.size}")
        if self.kind == "n:m" and not 0 < self.size[0] < self.size[1]:
            raise UsageError(f"structure '{self}' keeps n of every m weights, 0 < n < m")
        if self.kind == "block" and min(self.size) < 1:
            raise UsageError(f"structure '{self}': a block has 1 or more rows and columns")

    @classmethod
    def parse(cls, text: "str | Structure") -> "Structure":
        """From `"unstructured"`, `"2:4"`, `"block:4x4"` or `"channel"`.

        Raises:
            UsageError: it is none of these.
        """
        if isinstance(text, Structure):
            return text
        if text in ("unstructured", "channel"):
            return cls(text)
        for kind, form in (("n:m", _N_OF_M), ("block", _BLOCK)):
            if isinstance(text, str) and (match := form.fullmatch(text)):
                return cls(kind, (int(match[1]), int(match[2])))
        raise UsageError(f"structure: got {text!r}, wanted one of {_FORMS}")

    def __str__(self) -> str:
        if self.kind == "n:m":
            return "{}:{}".format(*self.size)
        return "block:{}x{}".format(*self.size) if self.kind == "block" else self.kind
