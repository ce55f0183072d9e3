"""Where and how cells are executed; none of it is part of their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """What an executor needs beside the cell; plain values, so that it travels to a worker.

    Args:
        store: the store's folder.
        data_dir: where its files are looked for; None for the defaults.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`.
        threads: CPU threads per cell.
        kernels: how steps are executed: `"auto"`, or one of `lottery_ticket.train.KERNELS`.
        group: trainings of one shape that are trained as one batch, at most.
        keep: `"all"` trained weights, or only those `"needed"` to make masks.
        imports: the user's modules, imported before anything is built.
        registered: what the user registered in code that a worker cannot import
            (kind → name → factory).
        stop_file: work in progress is checkpointed and given back once this file exists.
    """

    store: Path
    data_dir: Path | None = None
    device: str = "cpu"
    threads: int = 1
    kernels: str = "auto"
    group: int = 1
    keep: str = "all"
    imports: tuple[str, ...] = ()
    registered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stop_file: Path | None = None
