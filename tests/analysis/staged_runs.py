"""Simulated runs that are looked at until they are decided, many at a time."""

from dataclasses import dataclass

import numpy as np
from simulated import MARGIN, Runs

from lottery_ticket.analysis import (
    MATCHING,
    NOT_A_TICKET,
    Judgement,
    claimed_levels,
    contrast_of,
    dense_contrast_of,
    level_labels,
)


@dataclass(frozen=True)
class Rule:
    """With how many replicates there is a look, and what each may spend."""

    looks: tuple[int, ...]
    alphas: tuple[float, ...]


@dataclass(frozen=True)
class Ends:
    """How runs end.

    Args:
        claims: (runs, levels), at the look at which each ends.
        at_any: (runs, levels), at any of the looks, as if nothing ended a run: whatever somebody
            stops for, no more than this is claimed.
        is_decided: (runs,), whether a look decided it.
        replicates: (runs,), with how many it ended.
    """

    claims: np.ndarray
    at_any: np.ndarray
    is_decided: np.ndarray
    replicates: np.ndarray


def at_a_look(runs: Runs, n: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The levels that each run claims with its first n replicates; whether all are no tickets."""
    ticket, reinit, dense = (part[:, :n] for part in (runs.ticket, runs.reinit, runs.dense))
    to_dense, to_reinit = dense_contrast_of(ticket, dense), contrast_of(ticket, reinit)
    labels = level_labels(Judgement.of(to_dense, to_reinit, MARGIN, alpha))
    claims = claimed_levels(to_dense.p_above(-MARGIN), to_reinit.p_above(), alpha)
    return claims, np.isin(labels, (MATCHING, NOT_A_TICKET)).all(axis=1)


def staged(runs: Runs, rule: Rule) -> Ends:
    """Each run at the first look that decides it, else at the last."""
    num_runs, _, num_levels = runs.ticket.shape
    claims, at_any = np.zeros((2, num_runs, num_levels), bool)
    is_decided = np.zeros(num_runs, bool)
    replicates = np.full(num_runs, rule.looks[-1])
    for n, alpha in zip(rule.looks, rule.alphas, strict=True):
        found, is_negative = at_a_look(runs, n, alpha)
        at_any |= found
        ends = ~is_decided & (found.any(axis=1) | is_negative)
        claims[ends], replicates[ends] = found[ends], n
        is_decided |= ends
    return Ends(claims, at_any, is_decided, replicates)
