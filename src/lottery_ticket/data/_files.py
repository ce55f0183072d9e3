"""A data set's files: where they lie, and what is said of those that are missing or damaged."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from lottery_ticket.data._sources import SOURCES
from lottery_ticket.errors import DataError, LotteryError
from lottery_ticket.files import usable_path

__all__ = [
    "REPLACE",
    "Layout",
    "cache_dir",
    "chosen_dir",
    "damaged",
    "find",
    "missing",
    "reading",
    "resolve_data_dir",
]

REPLACE = (
    "Replace it with an intact copy; a file in the cache may also be deleted, it is then "
    "downloaded again (with --data-dir and LOTTERY_DATA unset)."
)


def chosen_dir(data_dir: Path | str | None) -> Path | None:
    """The folder the user chose, by argument or by `LOTTERY_DATA`; None where they did not."""
    chosen = data_dir or os.environ.get("LOTTERY_DATA")
    return usable_path(chosen, "data folder") if chosen else None


def cache_dir() -> Path:
    """Where downloads go."""
    return platformdirs.user_cache_path("lottery_ticket") / "data"


def resolve_data_dir(data_dir: Path | str | None = None) -> Path:
    """The folder data sets are looked for in.

    Args:
        data_dir: a folder, or None for `$LOTTERY_DATA`, else the user's cache.

    Example:
        >>> resolve_data_dir("sets").name
        'sets'
    """
    return chosen_dir(data_dir) or cache_dir()


@dataclass(frozen=True)
class Layout:
    """A way a data set may lie on disk.

    Args:
        folder: below the data folder.
        files: every file wanted, each as the spellings accepted for it, the usual one first.
    """

    folder: str
    files: tuple[tuple[str, ...], ...]

    def lacks(self, root: Path) -> list[str]:
        """The usual names of the files that are not there under any spelling."""
        return [names[0] for names in self.files if self._first(root, names) is None]

    def paths(self, root: Path) -> list[Path]:
        """The files that are there, in the order of `files`."""
        return [path for names in self.files if (path := self._first(root, names)) is not None]

    def _first(self, root: Path, names: tuple[str, ...]) -> Path | None:
        return next((path for name in names if _is_file(path := root / self.folder / name)), None)


def find(root: Path, layouts: Sequence[Layout]) -> tuple[Layout, list[Path]] | None:
    """The first layout that is complete below `root`, and its files; None where none is."""
    for layout in layouts:
        if not layout.lacks(root):
            return layout, layout.paths(root)
    return None


def missing(name: str, root: Path, layouts: Sequence[Layout]) -> DataError:
    """The error for a data set of which no layout is complete."""
    # the layout that misses least is the one the user meant
    nearest_layout = min(layouts, key=lambda layout: len(layout.lacks(root)))
    lacks = nearest_layout.lacks(root)
    places = dict.fromkeys(str(root / layout.folder) for layout in layouts)
    packed = _packed(name, places)
    return DataError(
        f"{name}: cannot find {', '.join(lacks)}. Looked in:\n"
        + "".join(f"  {place}\n" for place in places)
        + f"Put the missing file{'s' * (len(lacks) > 1)} there, or name another folder with "
        f"--data-dir or LOTTERY_DATA; with neither set, the data set is downloaded.{packed}"
    )


def _packed(name: str, places: Iterable[str]) -> str:
    """What to do with an archive of the data set that lies where its files were looked for."""
    for source in SOURCES[name]:
        family = source.file_name.rpartition("-")[0]  # cifar-10 of cifar-10-binary.tar.gz
        for place in places if source.file_name.endswith(".tar.gz") else ():
            for archive in sorted(Path(place).glob(f"{family}-*.tar.gz")):
                return f" Or unpack what is there: tar -xzf {archive} -C {archive.parent}"
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered
        return False


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
