"""What stands below the table of a verdict: findings, speed, cost, and what it rests on."""

import math
from collections.abc import Iterator
from typing import Any

from lottery_ticket.analysis.judging.contrasts import DENSE
from lottery_ticket.analysis.judging.facts import VerdictFacts
from lottery_ticket.analysis.judging.grounds import Finding
from lottery_ticket.analysis.judging.levels import NO_VERDICT
from lottery_ticket.analysis.statistics.claims import ALPHA
from lottery_ticket.analysis.statistics.means import FRESH, LEAD
from lottery_ticket.analysis.telling.words import (
    alpha_text,
    density,
    difference,
    levels_text,
    signed,
)
from lottery_ticket.arms import ARMS

__all__ = ["notes", "tested_text"]


def notes(verdict: VerdictFacts) -> Iterator[str]:
    """What stands below the table of a verdict: findings, speed, cost, and what it rests on.

    Args:
        verdict: what `verdict` returned.

    Returns:
        A paragraph each; those with nothing to say are empty.
    """
    yield _claimed_late(verdict)
    yield _named(verdict)
    yield _beating(verdict)
    for finding in verdict.findings:
        yield _finding(verdict, finding)
    yield tested_text(verdict)
    yield _null(verdict)
    yield _unlike(verdict)
    yield _speed(verdict)
    yield _cost(verdict)
    yield _rests_on(verdict)


def _claimed_late(verdict: VerdictFacts) -> str:
    """A level that the spec names, but not before there was something to see."""
    claim = verdict.claim
    if claim is None or claim.is_stated_before:
        return ""
    if not claim.num_trained:
        return _by_itself(verdict, claim.level, "claimed with another margin", "margin")
    when = f"claimed when {claim.num_trained} trainings were finished"
    return _by_itself(verdict, claim.level, when)


def _named(verdict: VerdictFacts) -> str:
    """A level that was asked for."""
    claim, level = verdict.claim, verdict.named
    if level is None or (claim is not None and claim.level == level):
        return ""
    return _by_itself(verdict, level, "named afterwards")


def _by_itself(verdict: VerdictFacts, level: int, when: str, chosen: str = "level") -> str:
    if level not in {found.level for found in verdict.levels}:
        return f"Level {level}, {when}, is not finished."
    beside = ", ".join(
        difference(verdict, level, control)
        for control in (DENSE, FRESH)
        if verdict.contrast(level, control)
    )
    label = f"{verdict.at(level).label} by itself, at {alpha_text(verdict)}"
    return (
        f"Level {level}, {when}: {label} ({beside}). That "
        f"{chosen} may have been chosen for what it showed, so this is no claim of the run."
    )


def _shown_level(verdict: VerdictFacts) -> int:
    """The level that is spoken of: the one claimed or to be claimed, else the sparsest."""
    claim = verdict.claim
    if claim is not None and claim.is_stated_before:
        return verdict.shown.level
    return verdict.levels[-1].level if verdict.level is None else verdict.level


def _beating(verdict: VerdictFacts) -> str:
    levels = [found.level for found in verdict.levels if found.beats_dense]
    return f"Better than dense, each level by itself: {levels_text(levels)}." if levels else ""


def _finding(verdict: VerdictFacts, finding: Finding) -> str:
    name = finding.what[0].upper() + finding.what[1:]
    if not finding.levels:
        return f"{name}: not shown to matter at this recipe (against {finding.control})."
    level = verdict.level if verdict.level in finding.levels else max(finding.levels)
    assert level is not None
    verb = "matter" if finding.what in ("initial values", "mask positions") else "matters"
    among = f"{levels_text(finding.levels)}; " if len(finding.levels) > 1 else ""
    return (
        f"{name} {verb} at this recipe: {among}{difference(verdict, level, finding.control)} at "
        f"{density(verdict, level)}."
    )


def tested_text(verdict: VerdictFacts) -> str:
    """Which questions about the ticket the run's controls ask, and which they do not."""
    if verdict.label == NO_VERDICT:
        return ""
    tested = {finding.control: finding.what for finding in verdict.findings}
    if FRESH in tested and not {"reinit_scaled", "values_permuted"} & tested.keys():
        tested[FRESH] += ", against unscaled fresh weights alone"
    missing = {
        arm: row.shows
        for arm, row in ARMS.items()
        if row.shows and arm not in tested and not ARMS.entry(arm).is_user
    }
    parts = [
        f"{head}: {'; '.join(f'{what} ({arm})' for arm, what in of.items())}."
        for head, of in (("Tested", tested), ("Not tested", missing))
        if of
    ]
    return " ".join(parts)


def _null(verdict: VerdictFacts) -> str:
    null = verdict.null
    if null is None or math.isnan(null["low"]):
        return ""
    value, low, high = (signed(verdict, null[name]) for name in ("difference", "low", "high"))
    more = ""
    if null["p"] <= ALPHA:
        more = (
            " Chance alone gives so much in one run of twenty: look for what the two do not share."
        )
    return f"Null check: reinit's dense net minus the ticket's is {value} ({low} to {high}).{more}"


def _unlike(verdict: VerdictFacts) -> str:
    unlike = verdict.unlike
    if unlike is None:
        return ""
    kinds = "; ".join(
        f"{name} {', '.join(f'{value} ({count})' for value, count in counts.items())}"
        for name, counts in unlike.counts.items()
    )
    said = "both sides of every difference were trained alike in each replicate."
    if unlike.num_mixed:
        said = (
            f"the two sides of {unlike.num_mixed} of {unlike.num_contrasts} differences were not "
            "trained alike, which may be part of what they show."
        )
    return f"Trained in unlike ways (trainings): {kinds}; {said}"


def _speed(verdict: VerdictFacts) -> str:
    level = _shown_level(verdict)
    rows = {row["arm"]: row for row in _records(verdict.speed) if row["level"] == level}
    if LEAD not in rows:
        return ""
    own = rows[LEAD]
    at_least = "at least " if own["num_censored"] else ""
    parts = [f"{at_least}{own['step']:,.0f} steps{_times(own, 'dense', 'dense')}"]
    if not math.isnan(own["accuracy_at_stop"]):
        stop, end = (100 * own[f"accuracy_at_{when}"] for when in ("stop", "end"))
        parts.append(f"{stop:.2f} % accurate there, {end:.2f} % at the end")
    if FRESH in rows and (later := _times(rows[FRESH], "ticket", "the ticket")):
        parts.append(f"{FRESH}{later}")
    where = f"at {density(verdict, level)} the lowest validation loss"
    return f"Early stop: {where} comes after {'; '.join(parts)}."


def _times(row: dict[str, Any], name: str, shown: str) -> str:
    times, bound = row[f"times_{name}"], row[f"times_{name}_bound"]
    return "" if math.isnan(times) else f", {bound + ' ' if bound else ''}{times:.2f} × {shown}'s"


def _cost(verdict: VerdictFacts) -> str:
    cost = verdict.cost
    if cost is None:
        return ""
    seconds = "" if cost.search_seconds is None else f" ({cost.search_seconds:,.0f} s)"
    return (
        f"Cost: {cost.search_steps:,.0f} steps{seconds} to find the mask of "
        f"{density(verdict, cost.level)}, as many as {cost.search_steps / cost.dense_steps:.1f} "
        f"dense trainings, in each replicate.{_equal_budget(verdict)}"
    )


def _equal_budget(verdict: VerdictFacts) -> str:
    """Dense nets that were trained as long as a whole search, where that was asked for."""
    rows = [row for row in _records(verdict.contrasts) if row["control"] == "dense_long"]
    return "".join(
        f" The ticket of {density(verdict, row['level'])}: "
        f"{difference(verdict, row['level'], 'dense_long')}, a dense net trained for as long as "
        "its whole search."
        for row in rows
        if not math.isnan(row["difference"])
    )


def _rests_on(verdict: VerdictFacts) -> str:
    size = f" of {verdict.num_test:,} examples" if verdict.num_test else ""
    measured = set(verdict.contrasts["control"])
    spreads = ", ".join(
        f"{spread} to {control}"
        for control in (DENSE, FRESH)
        if control in measured and (spread := _spread(verdict, control))
    )
    between = f" Spread between replicates (sd of a difference): {spreads}." if spreads else ""
    return f"Bounds hold for this recipe and this test set{size}.{between}{_images(verdict)}"


def _spread(verdict: VerdictFacts, control: str) -> str:
    """From the least to the greatest spread of the levels, neighbours pooled."""
    rows = verdict.contrasts
    known = [float(sd) for sd in rows.loc[rows["control"] == control, "pooled_sd"].dropna()]
    ends = [signed(verdict, end).lstrip("+") for end in (min(known), max(known))] if known else []
    return " to ".join(dict.fromkeys(ends))


def _images(verdict: VerdictFacts) -> str:
    """The test set's own share."""
    level = _shown_level(verdict)
    row = verdict.contrast(level, DENSE)
    if math.isnan(row.get("image_low", math.nan)):
        return ""
    low, high = (signed(verdict, row[name]) for name in ("image_low", "image_high"))
    return (
        f" On other test images these same nets would differ from dense by {low} to {high} (95 %) "
        f"at {density(verdict, level)}."
    )


def _records(frame: Any) -> list[dict[str, Any]]:
    return frame.to_dict("records")
