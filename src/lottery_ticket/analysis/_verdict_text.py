"""A verdict for people: the sentence first, then a table that fits 80 columns."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lottery_ticket.analysis._contrasts import DENSE
from lottery_ticket.analysis._labels import MATCHING
from lottery_ticket.analysis._notes import notes
from lottery_ticket.analysis._text import format_percent
from lottery_ticket.analysis._words import SHORT, aligned, bound_of, margin, signed, wrapped
from lottery_ticket.arms import REINIT

if TYPE_CHECKING:
    from lottery_ticket.analysis._verdict import LevelVerdict, Verdict

__all__ = ["verdict_text"]


def verdict_text(verdict: "Verdict") -> str:
    """The sentence, a row per level, the findings, what it rests on, and what to try next."""
    title = ", ".join(part for part in (verdict.run, verdict.about.get("model")) if part)
    sections = [
        [title, *wrapped(verdict.sentence)],
        [*_table(verdict), *_legend(verdict)],
        [line for note in notes(verdict) for line in wrapped(note)],
    ]
    if verdict.advice is not None:
        commands = [f"  {command}" for command in verdict.advice.commands]
        sections.append([*wrapped(verdict.advice.text), *commands])
    return "\n\n".join("\n".join(lines) for lines in sections)


def _table(verdict: "Verdict") -> list[str]:
    column, word = bound_of(verdict)
    measured = set(verdict.contrasts["control"])
    controls = [control for control in (DENSE, REINIT) if control in measured]
    header = ["level", "density", "kept"]
    for control in controls:
        header += [f"− {control}", word]
    rows = [[*header, "verdict"]]
    for found in verdict.levels:
        cells = [str(found.level), format_percent(found.density), f"{found.num_kept:,}"]
        for control in controls:
            row = verdict.contrast(found.level, control)
            cells += [signed(verdict, row.get(name)) for name in ("difference", column)]
        rows.append([*cells, _short(found)])
    return aligned(rows)


def _short(found: "LevelVerdict") -> str:
    star = " *" if found.is_claimed else ""
    count = f" ({found.replicates_needed})" if found.replicates_needed else ""
    return SHORT[found.label] + star + count


def _legend(verdict: "Verdict") -> Iterator[str]:
    unit = "points" if verdict.metric.unit == "%" else verdict.metric.label
    word = bound_of(verdict)[1]
    yield f"ticket minus dense or control, in {unit}; {word}: its one-sided 95 % bound"
    if any(found.is_claimed for found in verdict.levels):
        is_before = verdict.claim is not None and verdict.claim.is_stated_before
        how = "claimed before the first training" if is_before else "claimed together"
        yield f"* {how}; the others are judged one by one, at 5 % each"
    if any(found.label == MATCHING for found in verdict.levels):
        yield from wrapped(
            f"matching: not worse than dense by {margin(verdict)}, and not better than reinit by "
            "that either"
        )
    if any(found.replicates_needed for found in verdict.levels):
        yield "(n): replicates that would decide it, four times in five"
