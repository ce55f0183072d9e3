"""Where and how cells are executed; none of it is part of their names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lottery_ticket.store import Store

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """What an executor needs beside the cell; it travels to a worker, who opens the store anew.

    Args:
        store: where cells are, and will be.
        data_dir: where its files are looked for; None for the defaults.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`.
        threads: CPU threads per cell.
        kernels: how steps are executed: `"auto"`, or one of `lottery_ticket.train.KERNELS`.
        group: trainings of one shape that are trained as one batch, at most.
        keep: `"all"` trained weights, or only those `"needed"` to make masks.
        imports: the user's modules, imported before anything is built.
        registered: what the user registered in code that a worker cannot import
            (kind → name → factory).
        run_id: of the run that the cells belong to.
        stops: work in progress is checkpointed and given back once somebody asks for one of these
            (`stop.ask_to_stop`).
    """

    store: Store
    data_dir: Path | None = None
    device: str = "cpu"
    threads: int = 1
    kernels: str = "auto"
    group: int = 1
    keep: str = "all"
    imports: tuple[str, ...] = ()
    registered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    run_id: str = ""
    stops: tuple[str, ...] = ()
