"""Speed of learning: where early stopping would have stopped, as in the lottery ticket paper."""

import math

import pandas as pd

from lottery_ticket.analysis._contrasts import LEAD
from lottery_ticket.analysis._statistics import replicate_means
from lottery_ticket.analysis._table import sort_arms
from lottery_ticket.arms import TICKET

__all__ = ["learning_speed"]

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
