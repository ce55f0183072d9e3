"""What a format is: how a file is written, loaded and run again; and what several make once."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from lottery_ticket.export._pruned_model import PrunedModel

__all__ = ["Format", "Load", "Run", "Write", "made_once", "shared"]

_T = TypeVar("_T")
_made: ContextVar[dict[Any, Any] | None] = ContextVar("made", default=None)

Run = Callable[[torch.Tensor], torch.Tensor]
"""Inputs `(N, …)` → outputs."""
Write = Callable[..., None]
"""(pruned, path, options by name): writes the file."""
Load = Callable[[Path, PrunedModel, int | None], Run]
"""(path, pruned, CPU threads or None for all): loads the file, as a service would."""


@dataclass(frozen=True)
class Format:
    """A row of the table of formats.

    Args:
        about: what it is, in a few words.
        file_name: of its file in a folder.
        tolerance: how far its outputs may be from the model's, as a part of the largest of these.
        write: writes the file.
        load: loads it again, to be compared and measured.
        usage: a few lines of Python that load and run it, where `x` is the input; `FILE` stands for
            the file's name, `LAYERS` for the fact `on_gpu`.
        extra: which of this library's extras it needs.
        options: names of the options that `write` takes.
        prepare: what the model becomes before it is written, with equal outputs.
        facts: (prepared, path) → what the card says of the file besides, plain JSON values; a
            `note` among them is printed.
        skips: those facts → names of the weights whose zeros are not multiplied with.
        fits: whether it is one of the forms of a model when nobody asks for it by name.
        rounding: how far they may always be: what is lost in sums of larger values.
    """

    about: str
    file_name: str
    tolerance: float
    write: Write
    load: Load
    usage: str
    extra: str | None = None
    options: frozenset[str] = frozenset()
    prepare: Callable[[PrunedModel], PrunedModel] = lambda pruned: pruned
    facts: Callable[[PrunedModel, Path], Mapping[str, Any]] = lambda prepared, path: {}
    skips: Callable[[Mapping[str, Any]], Collection[str]] = lambda facts: ()
    fits: Callable[[PrunedModel], bool] = lambda pruned: True
    rounding: float = 0.0


@contextmanager
def made_once() -> Iterator[None]:
    """A block in which what is `shared` is made once of each model, which must not change."""
    before = _made.set({})
    try:
        yield
    finally:
        _made.reset(before)


def shared(make: Callable[..., _T]) -> Callable[..., _T]:
    """A function of a pruned model and options that is called once for each in `made_once`.

    Nobody may change what it returns: others are given the same.
    """

    @functools.wraps(make)
    def found(pruned: PrunedModel, **options: Any) -> _T:
        made = _made.get()
        if made is None:
            return make(pruned, **options)
        key = (make, pruned, *options.items())  # a model equals itself alone
        if key not in made:
            made[key] = make(pruned, **options)
        return made[key]

    return found
