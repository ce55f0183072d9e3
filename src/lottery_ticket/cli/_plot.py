"""`lottery plot`."""

from pathlib import Path
from typing import Annotated

import typer

from lottery_ticket.cli._options import RunReference, StorePath

__all__ = ["plot"]


def plot(
    run: RunReference = "last",
    out: Annotated[Path, typer.Option(help="The folder to write PNGs into.")] = Path("figures"),
    store: StorePath = None,
) -> None:
    """Draw a run: accuracy and loss against density, density per layer, learning curves."""
    from lottery_ticket.api import load_run
    from lottery_ticket.errors import LotteryError, UsageError

    result = load_run(run, store=store)
    if not result.rows:
        raise UsageError(f"{result.id}: nothing to draw yet, no training is finished")
    try:
        for path in result.plot(out):
            print(path)
    except OSError as error:
        raise LotteryError(f"{out}: cannot write figures ({error.strerror or error})") from None
