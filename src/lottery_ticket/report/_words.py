"""What the words of a report mean."""

from collections.abc import Iterable

from lottery_ticket.analysis import sort_arms
from lottery_ticket.arms import ARMS, REINIT, TICKET, Arm

__all__ = ["words"]

_BEFORE_ARMS = {
    "dense": "The whole network, nothing pruned: level 0.",
    "prunable weight": "A weight of a linear layer or a convolution. Biases and norms are never "
    "pruned, and never counted.",
    "density": "The share of prunable weights that is kept. Sparsity is one minus density.",
    "level": "Position in the search: the network is trained, some weights are pruned, the rest "
    "go back to their initial values, and that is the next level. Some papers say round.",
    "mask": "Which weights are kept.",
    "arm": "How a training at a level came by its mask and its weights: the ticket, or a control.",
}

_AFTER_ARMS = {
    "replicate": "One independent repetition of everything, with seeds of its own. The unit of n.",
    "margin": "How much worse than dense still counts as matching it. It is chosen before looking.",
    "winning": "Not worse than dense by the margin, and better than reinit: both, each tested one-"
    "sided at 5 %. So each level is judged by itself.",
    "claimed": "The levels that the run as a whole calls winning: tested together, so that a false "
    "one is among them in about 5 of 100 runs at most; or the one level that it was about before "
    "its first training, which is tested alone.",
    "matching": "Not worse than dense by the margin, and shown not to be better than reinit by the "
    "margin.",
    "not a ticket": "Worse than dense by more than the margin.",
    "not decided": "These replicates show neither: a difference could still lie on either side of "
    "its bound. More of them might tell; the number in brackets is about how many.",
    "95 % interval": "Were everything repeated many times, 95 of 100 such intervals would hold the "
    "true difference, at this recipe and on this test set.",
    "effective density": "Density after dead paths: only weights on a path of kept weights from an "
    "input to an output count.",
    "early stop": "The step of the lowest validation loss. Training went on to its end.",
}


def words(arms: Iterable[str]) -> dict[str, str]:
    """Word → its meaning, in the order in which a reader needs them.

    Args:
        arms: those that the report shows.
    """
    rows = {name: ARMS.get(name, Arm()) for name in sort_arms([*arms, TICKET, REINIT])}
    meanings = {name: row.meaning for name, row in rows.items() if row.meaning}
    return {**_BEFORE_ARMS, **meanings, **_AFTER_ARMS}
