"""Packages of others: silence for what they say."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator

from lottery_ticket.process import alone

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor logging below errors; both are put back afterwards, and so is where
    modules are looked for, which ONNX Runtime's quantisation adds to."""
    with alone():
        before, path = logging.root.manager.disable, list(sys.path)
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(before)
            sys.path[:] = path
