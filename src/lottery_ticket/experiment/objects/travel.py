"""The probe `travel`: how far weights go in a training, which way, and how many change sign."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import torch

from lottery_ticket.connectivity import angle, distance, sign_flips

__all__ = ["INITIAL", "REWIND", "START", "TRAINED", "travel"]

INITIAL, REWIND, START, TRAINED = "initial", "rewind", "start", "trained"
"""Moments of a training: θ₀; θ_k, where it is rewound to; the trained weights of another net, where
it goes on from those; θ_T."""

State = Mapping[str, torch.Tensor]


def travel(
    points: Mapping[str, State], mask: State, layers: bool = True
) -> Iterator[dict[str, Any]]:
    """Distance, angle in degrees and share of sign flips between each two moments of a training.

    Over kept weights of each layer and of all: what is pruned counts as zero at both ends.

    Args:
        points: moment → the weights then, in the order of time.
        mask: parameter → kept.
        layers: whether each layer stands beside all together.

    >>> ones = {"w": torch.tensor([[1.0, 1.0]])}
    >>> points = {"initial": ones, "trained": {"w": torch.tensor([[-1.0, 5.0]])}}
    >>> rows = list(travel(points, {"w": torch.tensor([[True, False]])}))
    >>> [(row["layer"], row["metric"], row["value"]) for row in rows[:3]]
    [('all', 'distance', 2.0), ('all', 'angle', 180.0), ('all', 'sign_flips', 1.0)]
    """
    kept = {
        n: {m: state[m] * k.to(state[m]) for m, k in mask.items()} for n, state in points.items()
    }
    places = {"all": list(mask)} | ({name: [name] for name in mask} if layers else {})
    for one, other in combinations(kept, 2):
        for layer, names in places.items():
            a, b = ({name: kept[point][name] for name in names} for point in (one, other))
            counted = {name: mask[name] for name in names}
            for metric, value in (
                ("distance", distance(a, b)),
                ("angle", angle(a, b)),
                ("sign_flips", sign_flips(a, b, counted)),
            ):
                yield {
                    "from": one, "to": other, "layer": layer, "metric": metric, "value": value,
                }  # fmt: skip
