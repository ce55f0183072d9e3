"""What is known of a reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.bombs import Bombs
from fuzz.mutations import Mutation

__all__ = ["Reader", "Write"]

Write = Callable[[Path], object]


@dataclass(frozen=True)
class Reader:
    """A reader, and what it reads.

    Args:
        examples: name → writes a good example into an empty folder.
        read: reads the folder; gives plain values, tensors and arrays, which are compared.
        targets: patterns of the files that are changed.
        mutations: changes beside those of any bytes.
        bombs: name → bytes in place of the first target.
        is_sealed: a changed file gives the value that was written, or an error.
        is_right: whether a value makes sense, where it may be another than the written one.
        prepare: what is done with good files before they are changed.
    """

    examples: Mapping[str, Write]
    read: Callable[[Path], Any]
    targets: tuple[str, ...]
    mutations: tuple[Mutation, ...] = ()
    bombs: Bombs = field(default_factory=dict)
    is_sealed: bool = False
    is_right: Callable[[Any], bool] = lambda value: True
    prepare: Callable[[Path], object] = lambda folder: None
