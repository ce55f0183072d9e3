"""What a format is: how a file is written, and how it is loaded and run again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.export._pruned_model import PrunedModel

__all__ = ["Format", "Load", "Run", "Write"]

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
        usage: a few lines of Python that load it without this library, where `x` is the input; the
            file's name stands for `FILE`.
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
