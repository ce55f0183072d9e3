"""What a verdict rests on beside its contrasts: what controls say, speed, cost, like executions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lottery_ticket.analysis.judging.contrasts import Contrasts
from lottery_ticket.analysis.statistics.claims import ALPHA, fixed_sequence
from lottery_ticket.analysis.statistics.means import FRESH, LEAD, replicate_means
from lottery_ticket.analysis.statistics.tables import sort_arms
from lottery_ticket.arms import ARMS, TICKET

__all__ = [
    "Cost",
    "Finding",
    "Unlike",
    "cost_of",
    "findings_of",
    "learning_speed",
    "unlike_trainings",
]


@dataclass(frozen=True)
class Finding:
    """Whether something about the ticket matters, at this recipe.

    Args:
        what: what the arm's row says, such as `"mask positions"`.
        control: the arm that lacks it and shares the rest.
        levels: where the ticket beats the control, from dense to sparse; tested from sparse to
            dense, 5 % for all of them together. Empty where it is not shown.
    """

    what: str
    control: str
    levels: tuple[int, ...]

    @property
    def is_shown(self) -> bool:
        """Whether there is such a level."""
        return bool(self.levels)


def findings_of(contrasts: Contrasts, alpha: float = ALPHA) -> tuple[Finding, ...]:
    """A finding for each control that shows something, trained in two replicates or more.

    Args:
        contrasts: what `contrasts_of` returned.
        alpha: of each, over all levels together.
    """
    found = []
    for control, arm in ARMS.items():
        if not arm.shows or control not in contrasts.against:
            continue
        contrast = contrasts.against[control]
        trained = np.asarray(contrast.n) > 0
        if not (np.asarray(contrast.n) > 1).any():
            continue
        from_sparse = contrast.p_above()[trained][::-1]
        is_shown = fixed_sequence(from_sparse, alpha)[::-1]
        shown = tuple(int(level) for level in contrasts.levels[trained][is_shown])
        found.append(Finding(arm.shows, control, shown))
    return tuple(found)


_COLUMNS = ("early_stop_step", "is_still_falling", "test_accuracy_at_early_stop", "test_accuracy")
_KEYS = ["arm", "level", "replicate"]


def learning_speed(table: pd.DataFrame) -> pd.DataFrame:
    """Per arm and level: the step of the lowest validation loss, and the accuracy there.

    Where the lowest loss was the last one measured, training went on too short: the step is only a
    lower bound (it is censored), and what is divided by it an upper one.

    Args:
        table: a result table of one run.

    Returns:
        A frame of arm, level, step (mean over replicates), sd, n, num_censored (replicates whose
        step is a lower bound), accuracy_at_stop, accuracy_at_end, then times_dense (step / dense's
        step, over the replicates that have both) with times_dense_bound (`""`, `"at least"` or
        `"at most"`), and times_ticket likewise; null where both are bounds. Empty without a
        validation split: nothing is chosen on test.
    """
    known = table.loc[table["early_stop_step"].notna()]
    parts = (replicate_means(known, column).set_index(_KEYS) for column in _COLUMNS)
    means = pd.concat(parts, axis=1)
    rows = []
    for arm in sort_arms(means.index.get_level_values("arm")):
        for level, own in means.loc[arm].groupby("level"):
            own = own.droplevel("level")
            step, censored = own["early_stop_step"], own["is_still_falling"] > 0
            rows.append(
                {
                    "arm": arm,
                    "level": int(str(level)),
                    "step": step.mean(),
                    "sd": step.std(),
                    "n": len(step),
                    "num_censored": int(censored.sum()),
                    "accuracy_at_stop": own["test_accuracy_at_early_stop"].mean(),
                    "accuracy_at_end": own["test_accuracy"].mean(),
                    **_times("dense", own, means, 0),
                    **_times(TICKET, own, means, level),
                }
            )
    return pd.DataFrame(rows)


def _times(name: str, own: pd.DataFrame, means: pd.DataFrame, level: object) -> dict[str, object]:
    """How many times as long as the ticket of a level (0: dense), and which bound that is."""
    keys = (f"times_{name}", f"times_{name}_bound")
    place = (LEAD, level)
    if place not in means.index.droplevel("replicate"):
        return dict(zip(keys, (math.nan, ""), strict=True))
    other = means.loc[place]
    both = own.index.intersection(other.index)
    own, other = own.loc[both], other.loc[both]
    own_bound = bool((own["is_still_falling"] > 0).any())
    other_bound = bool((other["is_still_falling"] > 0).any())
    if both.empty or (own_bound and other_bound):
        return dict(zip(keys, (math.nan, ""), strict=True))
    times = own["early_stop_step"].mean() / other["early_stop_step"].mean()
    bound = "at least" if own_bound else "at most" if other_bound else ""
    return dict(zip(keys, (times, bound), strict=True))


@dataclass(frozen=True)
class Cost:
    """What one replicate spends on the ticket of a level, on average.

    Args:
        level: whose ticket.
        search_steps: optimiser steps of all trainings before it, which found its mask.
        ticket_steps: of its own training.
        dense_steps: of the dense training.
        search_seconds, ticket_seconds, dense_seconds: their wall-clock time, where it is known.
    """

    level: int
    search_steps: float
    ticket_steps: float
    dense_steps: float
    search_seconds: float | None
    ticket_seconds: float | None
    dense_seconds: float | None


def cost_of(table: pd.DataFrame, level: int, *, is_once: bool = False) -> Cost | None:
    """The cost of a level's ticket; None where a training before it is missing.

    Args:
        table: a result table of one run.
        level: of the ticket, 1 or more.
        is_once: whether each level was pruned once from the dense net, so that the trainings in
            between found nothing.

    Example:
        >>> rows = {"arm": "ticket", "level": [0, 1, 2], "num_steps": [100, 100, 80]}
        >>> table = pd.DataFrame({**rows, "train_seconds": [3.0, 2.0, 1.0]})
        >>> cost = cost_of(table, 2)
        >>> cost.search_steps, cost.ticket_steps, cost.search_seconds
        (200.0, 80.0, 5.0)
    """
    found_by = range(1 if is_once else level)
    columns = ("num_steps", "train_seconds")
    steps, seconds = (_parts(table, name, found_by, level) for name in columns)
    return None if steps is None else Cost(level, *steps, *(seconds or (None, None, None)))


def _parts(
    table: pd.DataFrame, column: str, found_by: range, level: int
) -> tuple[float, float, float] | None:
    """Of the search, the ticket and dense: means over replicates; None where one is missing."""
    chain = table.loc[(table["arm"] == TICKET) & table[column].notna(), ["level", column]]
    means = {int(at): float(rows[column].mean()) for at, rows in chain.groupby("level")}
    if level not in means or not all(at in means for at in found_by):
        return None
    return sum(means[at] for at in found_by), means[level], means[0]


_HOW = ("device", "cpu", "precision", "versions")
_PLACE = ["arm", "level", "replicate"]


@dataclass(frozen=True)
class Unlike:
    """Trainings of one run that were not executed alike.

    Args:
        counts: what differs, a column of the result table → its value → trainings.
        num_contrasts: differences of the ticket's levels to dense and to other arms.
        num_mixed: those of them whose two sides were not trained alike in some replicate.
    """

    counts: Mapping[str, Mapping[str, int]]
    num_contrasts: int
    num_mixed: int


def unlike_trainings(table: pd.DataFrame) -> Unlike | None:
    """What differs in how the trainings of a table were executed; None where nothing is known to.

    The count of threads is left out: it rounds otherwise, like another batch size of a kernel.

    Args:
        table: a result table of one run.

    Example:
        >>> rows = {"arm": "ticket", "level": [0, 1], "replicate": 0, "device": ["cpu", "cuda"]}
        >>> unlike_trainings(pd.DataFrame(rows))
        Unlike(counts={'device': {'cpu': 1, 'cuda': 1}}, num_contrasts=1, num_mixed=1)
    """
    counts = {}
    for name in _HOW:
        if name in table:
            found = table[name].dropna().astype(str).value_counts().sort_index()
            if len(found) > 1:
                counts[name] = {str(value): int(count) for value, count in found.items()}
    if not counts:
        return None
    how = table[list(counts)].astype("string").fillna("").agg("|".join, axis=1)
    ways = how.groupby([table[name] for name in _PLACE]).agg(frozenset).to_dict()
    own = [place for place in ways if place[0] == LEAD and place[1]]
    mixed: dict[tuple[str, int], bool] = {}
    for _, level, replicate in own:
        ticket = ways[LEAD, level, replicate]
        for arm in {place[0] for place in ways} - {LEAD}:
            if (arm, level, replicate) in ways:
                is_mixed = len(ticket | ways[arm, level, replicate]) > 1
                mixed[arm, level] = mixed.get((arm, level), False) or is_mixed
        dense = frozenset().union(*(ways.get((arm, 0, replicate), ()) for arm in (LEAD, FRESH)))
        if dense:
            mixed["", level] = mixed.get(("", level), False) or len(ticket | dense) > 1
    return Unlike(counts, len(mixed), sum(mixed.values()))
