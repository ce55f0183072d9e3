"""The verdict first, in words and in a few numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.analysis import (
    MATCHING,
    MISSING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    SHORT,
    WINNING,
    LevelVerdict,
    Verdict,
    confidence_text,
    format_percent,
    margin_text,
    notes,
)
from lottery_ticket.arms import REINIT, TICKET
from lottery_ticket.charts import (
    VERDICT_STYLE,
    is_known,
    reference_of,
    signed_text,
    value_text,
)

__all__ = ["TONES", "Headline", "LevelMark", "Merit", "headline", "no_ticket"]

TONES = {
    WINNING: "winning",
    MATCHING: "matching",
    NOT_A_TICKET: "not",
    NOT_DECIDED: "open",
    NO_VERDICT: "open",
}
"""Label → the class that colours it."""

_TITLES = {
    MATCHING: "It matches the dense network, and so do fresh weights",
    NOT_A_TICKET: "Not a ticket: worse than the dense network",
    NOT_DECIDED: "Not decided yet",
    NO_VERDICT: "Numbers, but no verdict",
}


@dataclass(frozen=True)
class Merit:
    """A number that counts, and what it is of."""

    name: str
    value: str
    about: str


@dataclass(frozen=True)
class LevelMark:
    """A level in the strip of verdicts."""

    level: int
    density: str
    label: str
    tone: str
    glyph: str
    is_claimed: bool


@dataclass(frozen=True)
class Headline:
    """What a reader should see first.

    Args:
        title: the verdict in a few words.
        tone: its class.
        sentence: the verdict in a sentence or two.
        question: what was asked.
        merits: the numbers behind it.
        marks: the verdict of each level.
        kinds: the labels among them, for a legend: glyph, tone and label.
        notes: what else the controls show, and what it rests on.
        advice: what to try next; empty if there is nothing to say.
        commands: that try it.
    """

    title: str
    tone: str
    sentence: str
    question: str = ""
    merits: tuple[Merit, ...] = ()
    marks: tuple[LevelMark, ...] = ()
    kinds: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()
    advice: str = ""
    commands: tuple[str, ...] = ()

    def merit(self, name: str) -> str:
        """One of the numbers by its name."""
        return next(merit.value for merit in self.merits if merit.name == name)


def headline(verdict: Verdict) -> Headline:
    """The headline of a verdict."""
    shown = verdict.shown
    if verdict.label == WINNING:
        title = f"A winning ticket at {format_percent(shown.density)} of the weights"
    else:
        title = _TITLES[verdict.label]
    labels = [label for label in SHORT if label in {found.label for found in verdict.levels}]
    return Headline(
        title,
        TONES[verdict.label],
        verdict.sentence,
        _question(verdict),
        tuple(_merits(verdict, shown)),
        tuple(_mark(found) for found in verdict.levels),
        tuple((VERDICT_STYLE[label].sign, TONES[label], label) for label in labels),
        tuple(note for note in notes(verdict) if note),
        verdict.advice.text if verdict.advice else "",
        verdict.advice.commands if verdict.advice else (),
    )


def no_ticket(reason: str) -> Headline:
    """The headline of a run without anything to judge."""
    return Headline("No ticket to judge", "open", reason[:1].upper() + reason[1:])


def _question(verdict: Verdict) -> str:
    sure = (
        " A run without a winning ticket would be called winning in at most about 5 of 100 cases."
    )
    rests_on = ""
    if verdict.num_replicates > 1 and verdict.label != NO_VERDICT:
        rests_on = (
            f" Bounds (at worst) are one-sided at {confidence_text(verdict)}, the intervals "
            "below two-sided at 95 %; both rest on the spread between replicates, estimated over "
            "neighbouring levels."
        )
    return (
        "At each level some weights are pruned, and the rest go back to the values they had before "
        "any training. Trained alone from there, do they do as well as the dense network, to "
        f"within {margin_text(verdict.margin_stated, verdict.metric)}? And do the same weights, "
        "started from fresh random values (reinit), do worse? If both, they are a winning ticket."
        f"{sure if verdict.label == WINNING else ''}{rests_on}"
    )


def _merits(verdict: Verdict, shown: LevelVerdict) -> list[Merit]:
    metric = verdict.metric
    share = f"{format_percent(shown.density)} of the weights"
    about = f"{metric.label}, all weights{_nets(verdict)}"
    merits = [
        Merit("Dense network", value_text(metric.scale * verdict.dense, metric), about),
        Merit(
            "Ticket", _mean(verdict, TICKET, shown.level), f"{share}, {shown.num_kept:,} of them"
        ),
    ]
    if REINIT in set(verdict.arms["arm"]):
        text = _mean(verdict, REINIT, shown.level)
        merits.append(Merit("Fresh weights", text, "the same mask, reinit"))
    for control in ("dense", REINIT):
        row = verdict.contrast(shown.level, control)
        if row:
            merits.append(Merit(f"Ticket − {control}", *_difference(row, verdict)))
    n = verdict.num_replicates
    merits.append(Merit("Replicates", str(n), "whole searches, each with its own seeds"))
    return merits


def _nets(verdict: Verdict) -> str:
    """Whose mean the dense network's is, where there are two."""
    arms = verdict.arms
    has_second = bool(((arms["arm"] == REINIT) & (arms["level"] == 0)).any())
    return ", the mean of ticket's and reinit's" * has_second


def _mean(verdict: Verdict, arm: str, level: int) -> str:
    arms = verdict.arms
    rows = arms.loc[(arms["arm"] == arm) & (arms["level"] == level), "mean"].to_list()
    return value_text(verdict.metric.scale * rows[0], verdict.metric) if rows else MISSING


def _difference(row: Mapping[str, Any], verdict: Verdict) -> tuple[str, str]:
    metric = verdict.metric
    unit = " points" if metric.unit == "%" else ""
    value = signed_text(row["difference"], reference_of(verdict), metric) + unit
    if not is_known(row["pooled_low"]):
        return value, "no interval"
    low, high = (
        signed_text(row[f"pooled_{end}"], reference_of(verdict), metric) for end in ("low", "high")
    )
    return value, f"95 % interval {low} to {high}"


def _mark(found: LevelVerdict) -> LevelMark:
    return LevelMark(
        found.level,
        format_percent(found.density).removesuffix(" %"),
        found.label,
        TONES[found.label],
        VERDICT_STYLE[found.label].sign,
        found.is_claimed,
    )
