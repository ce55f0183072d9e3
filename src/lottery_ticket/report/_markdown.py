"""Content → Markdown, for a pull request or an issue."""

import re
from collections.abc import Sequence

from lottery_ticket.report._content import RunContent
from lottery_ticket.report._tables import ReportTable

__all__ = ["markdown_page"]


def markdown_page(runs: Sequence[RunContent]) -> str:
    """The verdict, the table of levels and how to run it again, as GitHub reads it.

    Args:
        runs: one section each.

    Returns:
        Lines that end with a newline. Whatever comes from a run is escaped.
    """
    return "\n".join(line for run in runs for line in _section(run)).rstrip() + "\n"


def _section(run: RunContent) -> list[str]:
    head = run.headline
    lines = [
        f"## {escaped(head.title)}",
        "",
        f"`{_code(run.title)}`",
        "",
        escaped(head.sentence),
        "",
    ]
    lines += [*_table(run.levels), ""]
    lines += [f"- {escaped(note)}" for note in head.notes]
    lines += [f"- {escaped(run.classes.sentence)}"] if run.classes and run.classes.chart else []
    lines += [f"- {escaped(run.stability.summary)}"] if run.stability else []
    if head.advice:
        lines += ["", escaped(head.advice), "", *_block("sh", "\n".join(head.commands))]
    if run.stability:
        lines += ["", "<details><summary>Stability</summary>", "", escaped(run.stability.question)]
        lines += ["", *_table(run.stability.table), "", "</details>"]
    lines += ["", "<details><summary>What was run</summary>", ""]
    lines += [f"- {name}: {escaped(value)}" for name, value in run.facts.rows.items()]
    lines += ["", *_block("sh", run.facts.command), "</details>", ""]
    return lines


def _table(table: ReportTable) -> list[str]:
    sides = [":---" if is_text else "---:" for is_text in table.is_text]
    rows = [[escaped(cell.text) for cell in row] for row in table.rows]
    return [f"| {' | '.join(row)} |" for row in ([*map(escaped, table.columns)], sides, *rows)]


def escaped(text: str) -> str:
    """Text as Markdown shows it: no tags, links, headings, emphasis or cells of its own.

    >>> escaped("a|b <script> *c*")
    'a\\\\|b &lt;script&gt; \\\\*c\\\\*'
    """
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#@!])", r"\\\1", flat)


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


def _block(language: str, text: str) -> list[str]:
    """A fenced block that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *text.rstrip("\n").split("\n"), fence]
