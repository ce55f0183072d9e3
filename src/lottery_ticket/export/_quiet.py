"""Silence for what exporters of others say to nobody in particular."""

import contextlib
import logging
import warnings
from collections.abc import Iterator

from lottery_ticket.process import alone

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor logging below errors; both are put back afterwards."""
    with alone():
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(before)
