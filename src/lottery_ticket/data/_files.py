"""Reading files that may be damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lottery_ticket.errors import DataError, LotteryError

__all__ = ["REPLACE", "damaged", "reading"]

REPLACE = (
    "Replace it with an intact copy; a file in the cache may also be deleted, it is then "
    "downloaded again (with --data-dir and LOTTERY_DATA unset)."
)


def damaged(path: Path, problem: str, remedy: str = REPLACE) -> DataError:
    """The error for a file whose content is not what it should be."""
    return DataError(f"{path}: {problem}. {remedy}")


@contextmanager
def reading(path: Path, remedy: str = REPLACE) -> Iterator[None]:
    """Turn whatever goes wrong inside into a `DataError` naming `path`."""
    try:
        yield
    except LotteryError:
        raise
    # Exception, as a damaged file makes the decoders (gzip, zip, pickle, numpy) raise nearly any
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".rstrip(".: ")
        raise damaged(path, f"cannot be read: {problem}", remedy) from error
