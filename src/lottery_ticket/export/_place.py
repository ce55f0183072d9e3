"""Where in a user's code an error was raised."""

import linecache
import traceback
from pathlib import Path

import torch

__all__ = ["with_place"]

_OTHERS = (*torch.__path__, str(Path(__file__).parents[1]))


def with_place(reason: str, error: BaseException) -> str:
    """`"REASON; net.py, line 12: if y.sum() > 0:"`: the line of a `forward` that raised it.

    Of several the innermost that is neither torch's nor ours; the reason alone where there is none.
    """
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        path = frame.f_code.co_filename
        if frame.f_code.co_name == "forward" and not path.startswith(_OTHERS):
            code = linecache.getline(path, number).strip()
            return f"{reason}; {Path(path).name}, line {number}: {code}" if code else reason
    return reason
