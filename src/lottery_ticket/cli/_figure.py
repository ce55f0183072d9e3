"""One figure in a file: what commands with `--out FILE` have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.files import check_replaceable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_figure", "save_figure"]

_SUFFIXES = (".png", ".svg", ".pdf")


def check_figure(out: Path | None, look: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a file that cannot be a figure, and for looks of none."""
    for option, given in look.items():
        if given is not None and out is None:
            raise UsageError(f"--{option}: is of the figure, and has an effect with --out alone")
    if out is not None and out.suffix not in _SUFFIXES:
        raise UsageError(f"--out: got {str(out)!r}, wanted a file that ends in {_SUFFIXES}")
    if out is not None:
        check_replaceable(out)


def save_figure(figure: "Figure", out: Path) -> None:
    """Write it; raises `LotteryError` where that cannot be done."""
    from lottery_ticket.plots import save

    try:
        save(figure, out)
    except OSError as error:
        raise LotteryError(f"{out}: cannot write it ({error.strerror or error})") from None
