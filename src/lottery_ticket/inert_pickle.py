"""Pickles read without running anything that is in them.

A pickle names the functions that rebuild its objects. Here every name stands for an inert class,
which only records what it is called with; any other name is refused.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

__all__ = ["Recorded", "RefusedError", "read_pickle"]


class RefusedError(Exception):
    """A pickle names what has no stand-in.

    Args:
        name: of the function or class, with its module.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Recorded:
    """Keeps the arguments and the state that the real object would have been given.

    Classes, not functions, and each with `__setstate__`: a pickle can then not alter them either.
    """

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


# the one in Python: the one in C makes room for what an opcode claims before it reads it
class _InertUnpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """An unpickler that knows stand-ins and nothing else."""

    # these make room for what they claim; arrays and tensors are not written with them
    dispatch: ClassVar = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()  # type: ignore[attr-defined]
        if bytes([code]) not in (pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)
    }
    stand_ins: Mapping[tuple[str, str], Any]
    stored: Callable[[Any], Any] | None = None

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a global; raises `RefusedError` for any other."""
        try:
            return self.stand_ins[module, name]
        except KeyError:
            raise RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        """What stands elsewhere in the file."""
        if self.stored is None:
            raise pickle.UnpicklingError("it speaks of what is not in it")
        return self.stored(pid)

    def get_extension(self, code: int) -> None:
        """No names of other programs are known here."""
        raise RefusedError(f"extension {code}")


def read_pickle(
    file: io.BytesIO,
    stand_ins: Mapping[tuple[str, str], Any],
    *,
    encoding: str = "bytes",
    stored: Callable[[Any], Any] | None = None,
) -> Any:
    """What the next pickle in a file holds.

    Takes memory for what is in the file, whatever it claims.

    Args:
        file: in memory, where more than there is cannot be read.
        stand_ins: (module, name) → a class that is called instead, or a value.
        encoding: of strings of Python 2.
        stored: gives what a persistent id names.

    Raises:
        RefusedError: it names something else.
        Exception: whatever a damaged pickle makes of the unpickler.
    """
    unpickler = _InertUnpickler(file, encoding=encoding)
    unpickler.stand_ins, unpickler.stored = stand_ins, stored
    return unpickler.load()
