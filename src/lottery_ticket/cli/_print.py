"""Printing: plain where a script reads, tables where a person does."""

import json
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any, TextIO, cast

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lottery_ticket.store import Store, default_store_path
from lottery_ticket.streams import StandardError

__all__ = [
    "console",
    "fitting",
    "name_text",
    "print_error",
    "print_json",
    "print_table",
    "size_text",
    "step_shown",
    "warnings_shown",
    "where_text",
]

# a pipe has no width of its own: wide enough for a table not to fold
_UNLIMITED = 10_000
_is_terminal = sys.stdout is not None and sys.stdout.isatty()
# what people call things is printed as it is: neither [markup] nor :emoji: is any
_AS_IT_IS: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
console = Console(width=None if _is_terminal else 140, **_AS_IT_IS)


def print_error(message: str) -> None:
    """Print an error to standard error."""
    standard_error = _standard_error(highlight=False, soft_wrap=True)
    standard_error.print(f"[red]error:[/] {escape(message)}")


def where_text(store: Store) -> str:
    """`" --store runs"`, for a command that is to look into this store; nothing for the default."""
    is_default = store.location == str(default_store_path())
    return "" if is_default else f" --store {shlex.quote(store.location)}"


def name_text(store: Store, run_id: str) -> str:
    """What people call a run, for a command that is to find it; its id, unless it alone has a
    name."""
    names = {each: labels.name for each, labels in store.labels().items()}
    name = names.get(run_id, "")
    return shlex.quote(name) if name and [*names.values()].count(name) == 1 else run_id


@contextmanager
def warnings_shown() -> Iterator[None]:
    """A block in which warnings of this library are printed as text, without the line they are
    from."""
    shown = warnings.showwarning

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        if category.__module__.partition(".")[0] == "lottery_ticket":
            text = f"[yellow]warning:[/] {escape(str(message))}"
            _standard_error(highlight=False, soft_wrap=True).print(text)
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
    with _standard_error().status("reading the run") as status:
        yield lambda step: status.update(escape(step))


def _standard_error(**options: Any) -> Console:
    return Console(file=cast("TextIO", StandardError()), emoji=False, **options)


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_table(
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    num_left: int = 1,
    spare: Sequence[str] = (),
) -> None:
    """Print a header and rows.

    Args:
        rows: the header first.
        title: above it.
        num_left: so many columns are flush left, the others right.
        spare: headers of columns that a terminal without room for them can do without.
    """
    left_out: list[str] = []
    if _is_terminal:
        spare = [name for name in spare if name in rows[0]]
        left = rows[0][:num_left]
        rows, left_out = fitting(rows, console.width, spare)
        num_left -= sum(name in left_out for name in left)
    _print_table(rows, title, num_left)
    if left_out:
        console.print(f"left out, since the terminal is narrow: {', '.join(left_out)}")


def fitting(
    rows: Sequence[Sequence[str]], width: int, spare: Sequence[str] = ()
) -> tuple[Sequence[Sequence[str]], list[str]]:
    """A table that is too wide with its headers on several lines, then without what it can spare.

    Returns:
        The table, and the headers of what was left out; nothing is where that would not do.
    """

    def needed(rows: Sequence[Sequence[str]]) -> int:
        return sum(map(_column_width, zip(*rows, strict=True))) + 2 * (len(rows[0]) - 1)

    if needed(rows) <= width:
        return rows, []
    folded = [_folded_headers(rows), *rows[1:]]
    for count in range(len(spare) + 1):
        kept = [i for i, name in enumerate(rows[0]) if name not in spare[:count]]
        fewer = [[row[i] for i in kept] for row in folded]
        if needed(fewer) <= width:
            return fewer, list(spare[:count])
    return folded, []  # its lines wrap anyway


def _folded_headers(rows: Sequence[Sequence[str]]) -> list[str]:
    """Headers on as many lines as make them no wider than what stands below them."""
    columns = [(name.replace("_", "_ "), cells) for name, *cells in zip(*rows, strict=True)]
    return [
        fill(name, max(map(len, [*cells, *name.split()]))).replace("_ ", "_")
        for name, cells in columns
    ]


def _column_width(cells: Sequence[str]) -> int:
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _print_table(rows: Sequence[Sequence[str]], title: str | None, num_left: int) -> None:
    header, *body = rows
    table = Table(title=title, box=None, pad_edge=False, title_justify="left", title_style="bold")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index < num_left else "right", no_wrap=True)
    for row in body:
        table.add_row(*row)
    # a line that is too long wraps on a terminal; an id that is cut short is of no use
    wide = console.options.update(width=_UNLIMITED)
    needed = max(console.width, console.measure(table, options=wide).maximum)
    Console(width=needed, **_AS_IT_IS).print(table, crop=False)


def size_text(num_bytes: int) -> str:
    """`1234567` → `"1.2 MB"`."""
    size = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
