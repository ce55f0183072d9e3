"""A verdict in a sentence or two."""

from typing import TYPE_CHECKING

from lottery_ticket.analysis._contrasts import DENSE
from lottery_ticket.analysis._labels import (
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
)
from lottery_ticket.analysis._words import difference, levels_text, margin, replicates, size
from lottery_ticket.arms import REINIT

if TYPE_CHECKING:
    from lottery_ticket.analysis._verdict import Verdict

__all__ = ["verdict_sentence"]


def verdict_sentence(verdict: "Verdict") -> str:
    """What a verdict says, and what to do where it says nothing yet."""
    if verdict.claim is not None and verdict.claim.is_stated_before:
        return _of_one_level(verdict, verdict.claim.level)
    return {
        WINNING: _winning,
        MATCHING: _matching,
        NOT_A_TICKET: _not_a_ticket,
        NOT_DECIDED: _not_decided,
        NO_VERDICT: _no_verdict,
    }[verdict.label](verdict)


def _of_one_level(verdict: "Verdict", level: int) -> str:
    """Of a run that is about one level since before its first training."""
    stated = "claimed before the first training"
    if level not in {found.level for found in verdict.levels}:
        return f"No verdict yet: level {level}, {stated}, is not finished."
    least = min(2, verdict.num_replicates)
    for control in (DENSE, REINIT):
        if (n := verdict.contrast(level, control).get("n", 0)) < least:
            return (
                f"No verdict yet: level {level}, {stated}, has {n} finished "
                f"replicate{'s' * (n != 1)} beside {control}."
            )
    if verdict.label == NO_VERDICT:
        return _no_verdict(verdict)
    at = f"at {size(verdict.at(level))}, {stated}"
    tried = f"{replicates(verdict)}, margin {margin(verdict)}"
    return {
        WINNING: (
            f"Winning ticket {at}{_by_little(verdict, level)}: {_differences(verdict, level)}. "
            f"{tried}; this level alone is tested, at 5 %."
        ),
        MATCHING: (
            f"No winning ticket {at}: it matches dense, but is not better than reinit by "
            f"{margin(verdict)}. {replicates(verdict)}."
        ),
        NOT_A_TICKET: (
            f"Not a ticket {at}: it is worse than dense by more than {margin(verdict)}. "
            f"{replicates(verdict)}."
        ),
        NOT_DECIDED: (
            f"Not decided {at}: {_differences(verdict, level)}. {tried}.{_needs(verdict)}"
        ),
    }[verdict.label]


def _winning(verdict: "Verdict") -> str:
    assert verdict.level is not None
    level = verdict.level
    return (
        f"Winning ticket at {size(verdict.at(level))}{_by_little(verdict, level)}: "
        f"{_differences(verdict, level)}. {replicates(verdict)}, margin {margin(verdict)}; the "
        "claim is tested over all levels, at 5 % in all."
    )


def _by_little(verdict: "Verdict", level: int) -> str:
    return ", by little: reinit matches dense too" * verdict.at(level).reinit_matches


def _differences(verdict: "Verdict", level: int) -> str:
    return f"{difference(verdict, level, DENSE)}, {difference(verdict, level, 'reinit')}"


def _matching(verdict: "Verdict") -> str:
    sparsest = [found for found in verdict.levels if found.label == MATCHING][-1]
    return (
        f"No winning ticket: down to {size(sparsest)} it matches dense, but is not better than "
        f"reinit by {margin(verdict)}. {replicates(verdict)}."
    )


def _not_a_ticket(verdict: "Verdict") -> str:
    return (
        f"Not a ticket: at every level it is worse than dense by more than {margin(verdict)}. "
        f"{replicates(verdict)}."
    )


def _not_decided(verdict: "Verdict") -> str:
    if REINIT not in set(verdict.contrasts["control"]):
        return _without_control(verdict)
    pointwise = [found.level for found in verdict.levels if found.label == WINNING]
    also = ""
    if pointwise:
        also = (
            f" One by one, {levels_text(pointwise)} {'is' if len(pointwise) == 1 else 'are'} "
            "winning, at 5 % each; tested over all levels together, none is yet."
        )
    tried = f"{replicates(verdict)}, margin {margin(verdict)}"
    return f"Not decided with {tried}.{_needs(verdict)}{also}"


def _without_control(verdict: "Verdict") -> str:
    matches = ""
    if verdict.matching_level is not None:
        matches = f"It matches dense down to {size(verdict.at(verdict.matching_level))}. "
    arms = ", ".join([*dict.fromkeys(verdict.arms["arm"]), REINIT])
    return (
        "Not decided: a winning ticket is better than its reinit, and no reinit was trained. "
        f"{matches}Add the arm: --set 'arms=[{arms}]'. {replicates(verdict)}, margin "
        f"{margin(verdict)}."
    )


def _no_verdict(verdict: "Verdict") -> str:
    if verdict.num_replicates > 1:
        return (
            f"No verdict: all {verdict.num_replicates} replicates agree to the last digit, so "
            "nothing says how far others would lie from them."
        )
    return (
        "No verdict from one replicate: these are its numbers, and nothing says how far another "
        "would lie from them. More replicates keep what is there: --set replicates=5"
    )


def _needs(verdict: "Verdict") -> str:
    if verdict.replicates_needed is not None:
        n = verdict.replicates_needed
        return f" About {n} would decide, at this spread (--set replicates={n})."
    if any(found.label == NOT_DECIDED for found in verdict.levels):
        return " What is open lies too close to a bound for more replicates to decide."
    return ""
