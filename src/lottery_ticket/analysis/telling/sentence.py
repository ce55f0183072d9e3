"""A verdict for people: the sentence first, then a table that fits 80 columns."""

from collections.abc import Iterator

from lottery_ticket.analysis.judging.contrasts import DENSE
from lottery_ticket.analysis.judging.facts import VerdictFacts
from lottery_ticket.analysis.judging.levels import (
    DECIDED,
    MATCHING,
    NO_VERDICT,
    NOT_A_TICKET,
    NOT_DECIDED,
    WINNING,
    LevelVerdict,
)
from lottery_ticket.analysis.judging.looks import Look
from lottery_ticket.analysis.statistics.text import format_percent
from lottery_ticket.analysis.telling.notes import notes
from lottery_ticket.analysis.telling.words import (
    SHORT,
    aligned,
    alpha_text,
    bound_of,
    confidence_text,
    difference,
    levels_text,
    margin,
    replicates,
    signed,
    size,
    wrapped,
)
from lottery_ticket.arms import REINIT

__all__ = ["verdict_sentence", "verdict_text"]


def verdict_sentence(verdict: VerdictFacts) -> str:
    """What a verdict says, and what to do where it says nothing yet."""
    look = "" if verdict.look is None else f" {_look(verdict.look, verdict)}"
    return f"{_said(verdict)}{look}"


def _look(look: Look, verdict: VerdictFacts) -> str:
    """Which look of a staged run it is, what is spent, and what comes then."""
    spent = f"{look.spent:.4g} of {look.total:.4g} spent"
    parts = [f"Look {look.number} of {look.num_looks}: α = {look.alpha:.4g}, {spent}"]
    if look.run != verdict.run:
        parts.append(f"the tickets are those of {look.run}, by whose looks they are judged")
    if look.num_complete > look.num_replicates:
        parts.append(
            f"{look.num_complete} replicates are finished, and those after {look.num_replicates} "
            "are not looked at"
        )
    if verdict.label not in DECIDED:
        parts.append(_next(look))
    return f"{'; '.join(parts)}."


def _next(look: Look) -> str:
    if look.next_replicates is None:
        return "it was the last: nothing is left to spend, so more replicates decide nothing"
    return f"the next look is at {look.next_replicates} (lottery run {look.run})"


def _said(verdict: VerdictFacts) -> str:
    if verdict.claim is not None and verdict.claim.is_stated_before:
        return _of_one_level(verdict, verdict.claim.level)
    return {
        WINNING: _winning,
        MATCHING: _matching,
        NOT_A_TICKET: _not_a_ticket,
        NOT_DECIDED: _not_decided,
        NO_VERDICT: _no_verdict,
    }[verdict.label](verdict)


def _of_one_level(verdict: VerdictFacts, level: int) -> str:
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
            f"{tried}; this level alone is tested, at {alpha_text(verdict)}."
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


def _winning(verdict: VerdictFacts) -> str:
    assert verdict.level is not None
    level = verdict.level
    return (
        f"Winning ticket at {size(verdict.at(level))}{_by_little(verdict, level)}: "
        f"{_differences(verdict, level)}. {replicates(verdict)}, margin {margin(verdict)}; the "
        f"claim is tested over all levels, at {alpha_text(verdict)} in all."
    )


def _by_little(verdict: VerdictFacts, level: int) -> str:
    return ", by little: reinit matches dense too" * verdict.at(level).reinit_matches


def _differences(verdict: VerdictFacts, level: int) -> str:
    return f"{difference(verdict, level, DENSE)}, {difference(verdict, level, 'reinit')}"


def _matching(verdict: VerdictFacts) -> str:
    sparsest = [found for found in verdict.levels if found.label == MATCHING][-1]
    return (
        f"No winning ticket: down to {size(sparsest)} it matches dense, but is not better than "
        f"reinit by {margin(verdict)}. {replicates(verdict)}."
    )


def _not_a_ticket(verdict: VerdictFacts) -> str:
    return (
        f"Not a ticket: at every level it is worse than dense by more than {margin(verdict)}. "
        f"{replicates(verdict)}."
    )


def _not_decided(verdict: VerdictFacts) -> str:
    if REINIT not in set(verdict.contrasts["control"]):
        return _without_control(verdict)
    pointwise = [found.level for found in verdict.levels if found.label == WINNING]
    also = ""
    if pointwise:
        also = (
            f" One by one, {levels_text(pointwise)} {'is' if len(pointwise) == 1 else 'are'} "
            f"winning, at {alpha_text(verdict)} each; tested over all levels together, none is yet."
        )
    tried = f"{replicates(verdict)}, margin {margin(verdict)}"
    return f"Not decided with {tried}.{_needs(verdict)}{also}"


def _without_control(verdict: VerdictFacts) -> str:
    matches = ""
    if verdict.matching_level is not None:
        matches = f"It matches dense down to {size(verdict.at(verdict.matching_level))}. "
    arms = [*dict.fromkeys(verdict.arms["arm"])]
    if REINIT in arms:  # of which dense nets are trained: a run that is not finished
        said, todo = "no reinit is trained yet", "The run goes on with its command again"
    else:
        said = "no reinit was trained"
        todo = f"Add the arm: --set 'arms=[{', '.join([*arms, REINIT])}]'"
    return (
        f"Not decided: a winning ticket is better than its reinit, and {said}. "
        f"{matches}{todo}. {replicates(verdict)}, margin {margin(verdict)}."
    )


def _no_verdict(verdict: VerdictFacts) -> str:
    if verdict.num_replicates > 1:
        return (
            f"No verdict: all {verdict.num_replicates} replicates agree to the last digit, so "
            "nothing says how far others would lie from them."
        )
    more = f"More replicates keep what is there: {_more(verdict, 5)}"
    if _is_search(verdict):
        more = "Search again under other seeds, 5 in all, and judge them together."
    return (
        "No verdict from one replicate: these are its numbers, and nothing says how far another "
        f"would lie from them. {more}"
    )


def _more(verdict: VerdictFacts, count: int) -> str:
    """How one comes to so many replicates."""
    return f"{count} seeds in all" if _is_search(verdict) else f"--set replicates={count}"


def _is_search(verdict: VerdictFacts) -> bool:
    """Of a search nobody knows the data."""
    return bool(verdict.about) and "data" not in verdict.about


def _needs(verdict: VerdictFacts) -> str:
    if verdict.replicates_needed is not None:
        n = verdict.replicates_needed
        decided = _decided_by(verdict, n)
        return f" About {n} would decide {decided}, at this spread ({_more(verdict, n)})."
    if verdict.look is None and any(found.label == NOT_DECIDED for found in verdict.levels):
        return " What is open lies too close to a bound for more replicates to decide."
    return ""


def _decided_by(verdict: VerdictFacts, n: int) -> str:
    """Which levels so many replicates would decide: a run names the middle of what they need."""
    levels = [found for found in verdict.levels if found.label == NOT_DECIDED]
    if verdict.claim is not None and verdict.claim.is_stated_before:
        levels = [found for found in levels if found.level == verdict.claim.level]
    if len(levels) == 1:
        return f"level {levels[0].level}"
    num_decided = sum((found.replicates_needed or n + 1) <= n for found in levels)
    return f"{num_decided} of the {len(levels)} open levels"


def verdict_text(verdict: VerdictFacts) -> str:
    """The sentence, a row per level, the findings, what it rests on, and what to try next."""
    # a search is called as its model is, which is said once
    named = dict.fromkeys((verdict.run, verdict.about.get("model")))
    title = ", ".join(part for part in named if part)
    sections = [
        [title, *wrapped(verdict_sentence(verdict))],
        [*_table(verdict), *_legend(verdict)],
        [line for note in notes(verdict) for line in wrapped(note)],
    ]
    if verdict.advice is not None:
        commands = [f"  {command}" for command in verdict.advice.commands]
        sections.append([*wrapped(verdict.advice.text), *commands])
    return "\n\n".join("\n".join(lines) for lines in sections)


def _table(verdict: VerdictFacts) -> list[str]:
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


def _short(found: LevelVerdict) -> str:
    star = " *" if found.is_claimed else ""
    count = f" ({found.replicates_needed})" if found.replicates_needed else ""
    return SHORT[found.label] + star + count


def _legend(verdict: VerdictFacts) -> Iterator[str]:
    unit = "points" if verdict.metric.unit == "%" else verdict.metric.label
    bound = f"{bound_of(verdict)[1]}: its one-sided {confidence_text(verdict)} bound"
    yield f"ticket minus dense or control, in {unit}; {bound}"
    if any(found.is_claimed for found in verdict.levels):
        is_before = verdict.claim is not None and verdict.claim.is_stated_before
        how = "claimed before the first training" if is_before else "claimed together"
        yield f"* {how}; the others are judged one by one, at {alpha_text(verdict)} each"
    if any(found.label == MATCHING for found in verdict.levels):
        yield from wrapped(
            f"matching: not worse than dense by {margin(verdict)}, and not better than reinit by "
            "that either"
        )
    if any(found.replicates_needed for found in verdict.levels):
        yield from wrapped(
            "(n): replicates that would decide it four times in five, if the difference stays as "
            "measured"
        )
