"""Printing: plain where a script reads, tables where a person does."""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = [
    "console",
    "print_error",
    "print_json",
    "print_table",
    "size_text",
    "step_shown",
    "warnings_shown",
]

# a pipe has no width of its own: wide enough for a table not to fold
_UNLIMITED = 10_000
console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def print_error(message: str) -> None:
    """Print an error to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/] {escape(message)}")


@contextmanager
def warnings_shown() -> Iterator[None]:
    """A block in which warnings of this library are printed as text, without the line they are
    from."""
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.partition(".")[0] == "lottery_ticket":
            text = f"[yellow]warning:[/] {escape(str(message))}"
            Console(stderr=True, highlight=False, soft_wrap=True).print(text)
        else:
            shown(message, category, *where, **more)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = shown


@contextmanager
def step_shown() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is being done, by what it is told; elsewhere nothing."""
    with Console(stderr=True).status("reading the run") as status:
        yield lambda step: status.update(escape(step))


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_table(
    rows: Sequence[Sequence[str]], *, title: str | None = None, num_left: int = 1
) -> None:
    """Print a header and rows; the first `num_left` columns are flush left, the others right."""
    header, *body = rows
    table = Table(title=title, box=None, pad_edge=False, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        table.add_column(
            escape(name), justify="left" if index < num_left else "right", no_wrap=True
        )
    for row in body:
        table.add_row(*(escape(cell) for cell in row))
    # a line that is too long wraps on a terminal; an id that is cut short is of no use
    wide = console.options.update(width=_UNLIMITED)
    needed = max(console.width, console.measure(table, options=wide).maximum)
    Console(width=needed, highlight=False).print(table, crop=False)


def size_text(num_bytes: int) -> str:
    """`1234567` → `"1.2 MB"`."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
