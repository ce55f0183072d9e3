"""Verdicts and differences: what is said first, then level by level."""

import numpy as np
from markupsafe import Markup

from lottery_ticket.analysis import (
    MISSING,
    SHORT,
    Between,
    ClassDifferences,
    LevelVerdict,
    Sweep,
    Verdict,
    format_percent,
    number_text,
)
from lottery_ticket.charts import VERDICT_STYLE, interval_text, is_known, reference_of, signed_text
from lottery_ticket.display._blocks import Cell, badge, card, code, details, paragraph, table
from lottery_ticket.report import classes_of, headline
from lottery_ticket.spec import value_text

__all__ = [
    "between_html",
    "classes_html",
    "level_strip",
    "sweep_html",
    "verdict_html",
    "verdict_notes",
]

_CONTROLS = ("dense", "reinit")


def verdict_html(verdict: Verdict) -> Markup:
    """The sentence, a strip of levels, the differences behind it."""
    head = headline(verdict)
    return card(
        head.title,
        level_strip(verdict),
        paragraph(head.sentence),
        _levels(verdict),
        *verdict_notes(verdict),
        color=VERDICT_STYLE[verdict.label].color,
        about=f"Verdict on {verdict.run}" if verdict.run else "Verdict",
    )


def level_strip(verdict: Verdict) -> Markup:
    """A sign per level, from dense to sparse."""
    marks = [
        badge(
            f"{found.level} {VERDICT_STYLE[found.label].sign}",
            VERDICT_STYLE[found.label].color,
            is_full=found.is_claimed,
            title=f"level {found.level}, {format_percent(found.density)}: {found.label}",
        )
        for found in verdict.levels[:80]
    ]
    return Markup('<div style="margin:.3em 0">{}</div>').format(Markup().join(marks))


def verdict_notes(verdict: Verdict) -> list[Markup]:
    """What else the controls show, and what to try next; none where there is neither."""
    head = headline(verdict)
    notes = [Markup("<li>{}</li>").format(note) for note in head.notes]
    listed = Markup('<ul style="margin:.2em 0;padding-left:1.4em">{}</ul>').format(
        Markup().join(notes)
    )
    parts = [listed] if notes else []
    parts += [paragraph(head.advice), code("\n".join(head.commands))] if head.advice else []
    return [details("what it rests on, and what to try next", *parts)] if parts else []


def _levels(verdict: Verdict) -> Markup:
    metric = verdict.metric
    known = [
        name for name in _CONTROLS if any(verdict.contrast(f.level, name) for f in verdict.levels)
    ]
    unit = " (points)" if metric.unit == "%" else ""
    columns = ["level", "density", "kept", "verdict"]
    columns += [f"ticket − {control}{unit}" for control in known]
    reference = reference_of(verdict)
    rows = [
        [
            str(found.level),
            format_percent(found.density),
            f"{found.num_kept:,}",
            _label(found),
            *(
                interval_text(verdict.contrast(found.level, one), metric, reference)
                for one in known
            ),
        ]
        for found in verdict.levels
    ]
    return table(columns, rows, left=(3,))


def _label(found: LevelVerdict) -> Cell:
    star = " *" if found.is_claimed else ""
    return Cell(f"{VERDICT_STYLE[found.label].sign} {SHORT[found.label]}{star}")


def between_html(found: Between) -> Markup:
    """One arm minus another, level by level."""
    one, other = found.arms
    values = found.table[["difference", "low", "high"]].to_numpy(dtype="float64")
    reference = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    rows = []
    for row in found.table.to_dict("records"):
        texts = [
            signed_text(row[n], reference, found.metric) for n in ("difference", "low", "high")
        ]
        interval = MISSING if texts[1] == MISSING else f"{texts[1]} to {texts[2]}"
        kept = f"{row['num_kept']:,.0f}" if is_known(row["num_kept"]) else MISSING
        size = [str(row["level"]), format_percent(row["density"]), kept]
        rows.append([*size, texts[0], interval, str(row["n"]), found.label(row)])
    unit = "points" if found.metric.unit == "%" else found.metric.label
    columns = ["level", "density", "kept", unit, "95 % interval", "n", ""]
    return card(f"{one} minus {other}", table(columns, rows, left=(6,)), about=found.run)


def sweep_html(found: Sweep) -> Markup:
    """The verdict, and where each arm stands."""
    verdict, keys = found.verdict, [*found.grid]
    metric, test = found.metric, found.verdict.metric
    rows = [
        [
            row["arm"], str(row["level"]), format_percent(row["density"]),
            *(value_text(row[key], key) for key in keys),
            number_text(row["mean"], row["mean"], metric), str(row["num_points"]),
            number_text(row["test"], row["test"], test) if is_known(row["test"]) else MISSING,
        ]
        for row in found.choice.to_dict("records")
    ]  # fmt: skip
    columns = ["arm", "level", "density", *keys, metric.axis_label, "of points", test.axis_label]
    return card(
        headline(verdict).title,
        level_strip(verdict),
        *(paragraph(said) for said in (verdict.sentence, found.fairness, found.edges) if said),
        table(columns, rows, left=(0, *range(3, 3 + len(keys)))),
        color=VERDICT_STYLE[verdict.label].color,
        about=f"Sweep over {len(found.labels)} points",
    )


def classes_html(found: ClassDifferences) -> Markup:
    """Whom pruning hurts, class by class."""
    shown = classes_of(found).table
    rows = [[cell.text for cell in row] for row in shown.rows]
    title = f"Level {found.level}, {format_percent(found.density)} of the weights: by class"
    return card(title, paragraph(found.sentence), table(shown.columns, rows))
