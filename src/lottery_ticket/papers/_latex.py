"""A table as LaTeX, in the rules of booktabs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from lottery_ticket.errors import UsageError
from lottery_ticket.papers._escape import latex_text

__all__ = ["Column", "LatexTable", "checked_label"]

_MOST_CHARACTERS = 60  # of a row that is surely no wider than the line of a page
_SHRUNK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_LABEL = re.compile(r"[A-Za-z0-9:._/+-]+")


def checked_label(label: str) -> str:
    r"""The name that `\ref` is to know; raises `UsageError` unless LaTeX takes it."""
    if not _LABEL.fullmatch(label):
        raise UsageError(
            f"label: got {label!r}, wanted letters, digits and : . _ / + -, such as tab:tickets"
        )
    return label


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        header: text, not LaTeX.
        align: `r`, `l` or `c`.
        group: text that stands above it and its neighbours of the same group; empty for none.
    """

    header: str
    align: str = "r"
    group: str = ""


@dataclass(frozen=True)
class LatexTable:
    r"""A table of cells that are LaTeX already.

    Args:
        columns: what the cells are.
        rows: LaTeX of the cells.
        caption: text, not LaTeX; without its full stop.
        label: for `\ref`.
        is_long: whether it goes over pages (`longtable`), not in a `table`.
        remarks: lines for who reads the source.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str
    label: str
    is_long: bool = False
    remarks: Sequence[str] = ()

    def __str__(self) -> str:
        lines = self._long() if self.is_long else self._floating()
        packages = "booktabs"
        if self.is_long or self._is_wide:
            packages += ",longtable" if self.is_long else ",graphicx"
        remarks = [f"needs \\usepackage{{{packages}}}", *self.remarks]
        # what a remark says may come from a run: a line break would end the comment
        said = [f"% {' '.join(remark.split())}" for remark in remarks]
        return "\n".join([*said, *lines, ""])

    def _floating(self) -> Iterator[str]:
        yield r"\begin{table}[t]"
        yield r"  \centering"
        yield f"  \\caption{{{latex_text(self.caption)}}}"
        yield f"  \\label{{{checked_label(self.label)}}}"
        if self._is_wide:
            yield f"  {_SHRUNK}"
        yield f"  \\begin{{tabular}}{{{self._aligned}}}"
        yield from (f"    {line}" for line in (r"\toprule", *self._header(), r"\midrule"))
        yield from (f"    {line}" for line in self._body())
        yield r"    \bottomrule"
        yield r"  \end{tabular}" + ("}" if self._is_wide else "")
        yield r"\end{table}"

    def _long(self) -> Iterator[str]:
        yield r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}"
        yield f"\\begin{{longtable}}{{{self._aligned}}}"
        yield f"  \\caption{{{latex_text(self.caption)}}}\\label{{{checked_label(self.label)}}}\\\\"
        for end in (r"\endfirsthead", r"\endhead"):
            yield from (f"  {line}" for line in (r"\toprule", *self._header(), r"\midrule", end))
        yield r"  \bottomrule"
        yield r"  \endlastfoot"
        yield from (f"  {line}" for line in self._body())
        yield r"\end{longtable}"
        yield r"\endgroup"

    @property
    def _aligned(self) -> str:
        return "".join(column.align for column in self.columns)

    @property
    def _is_wide(self) -> bool:
        headers = [column.header for column in self.columns]
        widths = [max(map(_printed, cells)) for cells in zip(headers, *self.rows, strict=True)]
        return sum(widths) + 2 * len(widths) > _MOST_CHARACTERS

    def _header(self) -> Iterator[str]:
        groups = [(name, len([*of])) for name, of in groupby(self.columns, lambda c: c.group)]
        if any(name for name, _ in groups):
            cells, rules, first = [], [], 1
            for name, size in groups:
                cells.append(_spanning(name, size))
                if name:
                    rules.append(f"\\cmidrule(lr){{{first}-{first + size - 1}}}")
                first += size
            yield f"{' & '.join(cells)} \\\\"
            yield " ".join(rules)
        yield f"{' & '.join(latex_text(column.header) for column in self.columns)} \\\\"

    def _body(self) -> Iterator[str]:
        return (f"{' & '.join(row)} \\\\" for row in self.rows)


def _spanning(name: str, size: int) -> str:
    return f"\\multicolumn{{{size}}}{{c}}{{{latex_text(name)}}}" if name else " & " * (size - 1)


def _printed(cell: str) -> int:
    """About how many characters a cell of LaTeX prints."""
    return len(re.sub(r"\\[A-Za-z]+|[{}$\\]", "", cell))
