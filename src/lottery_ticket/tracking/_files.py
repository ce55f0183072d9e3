"""What a tracker gets of a run that is complete: verdict, figures, report, ticket."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

__all__ = ["TICKET_FILE", "run_files"]

TICKET_FILE = "ticket.safetensors"
_VERDICT, _REPORT, _FIGURES = "verdict.txt", "report.html", "figures"


class Shows(Protocol):
    """A finished run, such as a `RunResult`."""

    def verdict(self) -> Any: ...
    def plot(self, out: Path, *, formats: tuple[str, ...]) -> list[Path]: ...
    def report(self, out: Path, *, data_dir: Path | None) -> str: ...
    def export(self, level: int, *, format: str, out: Path, data_dir: Path | None) -> Any: ...


def run_files(
    result: Shows, folder: Path, note: Callable[[str], None], data_dir: Path | None = None
) -> list[tuple[str, Path]]:
    """Write what there is to send of a run.

    Args:
        result: the run.
        folder: where to write.
        note: is told what cannot be made.
        data_dir: where data files are.

    Returns:
        Name and path of each.
    """
    found: list[tuple[str, Path]] = []
    for make in (_verdict, _figures, _report, _ticket):
        try:
            found += make(result, folder, data_dir)
        except Exception as error:  # what is sent beside the numbers ends nothing
            note(f"track: no {make.__name__[1:]} is sent: {error}")
    return found


def _verdict(result: Shows, folder: Path, data_dir: Path | None) -> Iterator[tuple[str, Path]]:
    found, path = result.verdict(), folder / _VERDICT
    path.write_text(f"{found.sentence}\n{found.tested}\n", encoding="utf-8")
    yield _VERDICT, path


def _figures(result: Shows, folder: Path, data_dir: Path | None) -> Iterator[tuple[str, Path]]:
    for path in result.plot(folder / _FIGURES, formats=("png",)):
        yield f"{_FIGURES}/{path.name}", path


def _report(result: Shows, folder: Path, data_dir: Path | None) -> Iterator[tuple[str, Path]]:
    result.report(folder / _REPORT, data_dir=data_dir)
    yield _REPORT, folder / _REPORT


def _ticket(result: Shows, folder: Path, data_dir: Path | None) -> Iterator[tuple[str, Path]]:
    level, path = result.verdict().shown.level, folder / TICKET_FILE
    result.export(level, format="ticket", out=path, data_dir=data_dir)
    yield TICKET_FILE, path
