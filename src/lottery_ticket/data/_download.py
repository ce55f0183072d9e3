"""Find a data set's files; download them into the cache when the user named no folder."""

import logging
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lottery_ticket.data._files import Layout, cache_dir, find, missing, reading
from lottery_ticket.data._sources import SOURCES, Source
from lottery_ticket.errors import DataError
from lottery_ticket.tensor_files import check_claim

__all__ = ["located", "unpack"]

TIMEOUT_SECONDS = 10
ARCHIVE = ".tar.gz"


def located(
    name: str, data_dir: Path | None, layouts: Sequence[Layout]
) -> tuple[Layout, list[Path]]:
    """The files of a data set, and the layout they are in.

    Args:
        name: a key of `SOURCES`.
        data_dir: the folder the user chose, which is only read; None for the cache.
        layouts: the layouts accepted, the preferred one first.

    Raises:
        DataError: they are not in `data_dir`, or cannot be downloaded.
    """
    root = cache_dir() if data_dir is None else data_dir
    found = find(root, layouts)
    if found is None and data_dir is None:
        _download(name, root / name)
        found = find(root, layouts)
    if found is None:
        raise missing(name, root, layouts)
    return found


def unpack(archive: Path, target: Path) -> None:
    """Put what a tar archive holds into the folder `target`, whole entries at a time.

    Args:
        archive: a `.tar.gz`; an entry that would land outside `target` is refused.
        target: an existing folder on the same file system as `archive`.

    Raises:
        DataError: the archive is damaged or unsafe.
    """
    with reading(archive), tempfile.TemporaryDirectory(dir=archive.parent) as aside:
        with tarfile.open(archive) as tar:
            _check_size(archive, tar)
            tar.extractall(aside, filter="data")
        for entry in Path(aside).iterdir():
            # another process may have put the very same entry there meanwhile
            if not (target / entry.name).exists():
                entry.rename(target / entry.name)


def _check_size(archive: Path, tar: tarfile.TarFile) -> None:
    """Before anything is written: a small archive can claim files of any size."""
    num_bytes, claimed = archive.stat().st_size, 0
    for member in tar:
        claimed += member.size
        check_claim(archive, claimed, num_bytes, "it is no archive of a data set")


def _download(name: str, folder: Path) -> None:
    for source in SOURCES[name]:
        url = _address(name, source)
        with _explained(name, url, folder):
            folder.mkdir(parents=True, exist_ok=True)
            if source.file_name.endswith(ARCHIVE):
                # to a folder of its own, so that processes side by side do not disturb each other
                with tempfile.TemporaryDirectory(dir=folder) as aside:
                    unpack(_retrieve(url, source, Path(aside)), folder)
            else:
                _retrieve(url, source, folder)


def _address(name: str, source: Source) -> str:
    """Where to fetch `source`: `$LOTTERY_MIRROR/<data set>/<file>`, else its original address."""
    mirror = os.environ.get("LOTTERY_MIRROR")
    return f"{mirror.rstrip('/')}/{name}/{source.file_name}" if mirror else source.url


def _retrieve(url: str, source: Source, folder: Path) -> Path:
    import pooch

    # pooch logs every download to stderr, where the progress bar already says it
    pooch.get_logger().setLevel(logging.WARNING)
    with ExitStack() as stack:

        def close_later(response: Any, **_: Any) -> None:
            stack.callback(response.close)

        downloader: Any = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(),
            timeout=TIMEOUT_SECONDS,
            # pooch leaves the connection of a failed download open
            hooks={"response": close_later},
        )
        path = pooch.retrieve(
            url,
            known_hash=f"sha256:{source.sha256}",
            fname=source.file_name,
            path=folder,
            downloader=downloader,
        )
    return Path(path)


@contextmanager
def _explained(name: str, url: str, folder: Path) -> Iterator[None]:
    """Turn a failed download into a `DataError`."""
    try:
        yield
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash, a value
        raise DataError(
            f"{name}: cannot download {url}: {_reason(error)}. Put the file into {folder} "
            "yourself, or name a folder that has it with --data-dir or LOTTERY_DATA; "
            "LOTTERY_MIRROR names another address to download from."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError) and "hash" in str(error):
        return "what arrived has another SHA-256 than the original file; it was thrown away"
    return f"{type(error).__name__}: {error}".rstrip(".: ")
