"""Which unit of one net is which of another: by their weights, or by what they do."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lottery_ticket.connectivity._units import Axis, Group, Units
from lottery_ticket.seeds import generator

if TYPE_CHECKING:
    from torch import fx

__all__ = ["WeightMatching", "assigned", "matched_by_activations", "matched_by_weights"]

State = Mapping[str, torch.Tensor]

_ROUNDING = 1e-10  # of what there is to gain: less is no better


def assigned(gain: torch.Tensor) -> torch.Tensor:
    """The assignment of columns to rows of which the sum is largest."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(gain.numpy(), maximize=True)
    return torch.from_numpy(columns)


def matched_by_weights(units: Units, a: State, b: State, seed: int) -> torch.Tensor:
    """`(units,)` int64: the unit of b that takes the place of each unit of a.

    Coordinate descent on Σ ⟨a, permuted b⟩ over all weights: one group after another, in an order
    that is drawn, is assigned anew with the others held, until none gains. It starts twice, from
    the units as they are and from a first guess, layer by layer from the inputs on, in which a unit
    is told by the weights whose other ends are known; the better end is taken.

    Source: Ainsworth et al. 2023, algorithm 1; the guess is ours.
    """
    search = WeightMatching(units, a, b)
    stays = torch.arange(units.num_units)
    plain, guessed = (search.descended(start, seed) for start in (stays, search.guess()))
    is_better = search.value(guessed) > search.value(plain) + search.rounding
    return guessed if is_better else plain


class WeightMatching:
    """The search for the permutation under which two nets' weights are nearest.

    Args:
        units: of both.
        a, b: their parameters, of which b is permuted.
    """

    def __init__(self, units: Units, a: State, b: State) -> None:
        self.units = units
        self._tensors = {
            name: (
                a[name].detach().to("cpu", torch.float64),
                b[name].detach().to("cpu", torch.float64),
            )
            for name in units.axes
            if name in a
        }
        lengths = [(one.norm() * other.norm()) for one, other in self._tensors.values()]
        self.rounding = _ROUNDING * float(sum(lengths, torch.tensor(0.0)))

    def value(self, moved: torch.Tensor, names: Iterable[str] | None = None) -> float:
        """Σ ⟨a, permuted b⟩, over all tensors or some."""
        total = 0.0
        for name in self._tensors if names is None else names:
            one, other = self._tensors[name]
            total += float((one * _permuted(other, self.units.axes[name], moved)).sum())
        return total

    def descended(self, moved: torch.Tensor, seed: int) -> torch.Tensor:
        """From a start downhill, until no group alone gains."""
        draws, groups = generator(seed), self.units.groups
        while True:
            is_done = True
            for number in torch.randperm(len(groups), generator=draws).tolist():
                tried = self._assigned(groups[number], moved)
                names = self._names(groups[number])
                # of a tensor with both its sides in one group the gain is but a guess
                if self.value(tried, names) > self.value(moved, names) + self.rounding:
                    moved, is_done = tried, False
            if is_done:
                return moved

    def guess(self) -> torch.Tensor:
        """Groups in the order of the graph, each by its weights to units that are known."""
        moved = torch.arange(self.units.num_units)
        is_known = torch.ones(self.units.num_units, dtype=torch.bool)
        for group in self.units.groups:
            is_known[group.units] = False
        for group in self.units.groups:
            moved = self._assigned(group, moved, is_known)
            is_known[group.units] = True
        return moved

    def _names(self, group: Group) -> list[str]:
        return [
            name
            for name in self._tensors
            if any(
                torch.isin(axis.units, group.units).any() for axis in self.units.axes[name].values()
            )
        ]

    def _assigned(
        self, group: Group, moved: torch.Tensor, is_known: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same with one group assigned anew."""
        size = len(group.units)
        gain = torch.zeros(size, size, dtype=torch.float64)
        for name, (one, other) in self._tensors.items():
            axes = self.units.axes[name]
            for dim, axis in axes.items():
                rows = axis.rows(group.units)
                if rows is not None:
                    others = {d: axes[d] for d in axes if d != dim}
                    aligned = _permuted(other, others, moved)
                    sides = [_known(side, others, is_known) for side in (one, aligned)]
                    mine, theirs = (_by_unit(side, dim, rows) for side in sides)
                    gain += mine @ theirs.T
        found = moved.clone()
        found[group.units] = group.units[assigned(gain)]
        return found


def _permuted(tensor: torch.Tensor, axes: Mapping[int, Axis], moved: torch.Tensor) -> torch.Tensor:
    for dim, axis in axes.items():
        tensor = tensor.index_select(dim, axis.index(moved).to(tensor.device))
    return tensor


def _known(
    tensor: torch.Tensor, axes: Mapping[int, Axis], is_known: torch.Tensor | None
) -> torch.Tensor:
    """What of it belongs to units that are known."""
    if is_known is not None:
        for dim, axis in axes.items():
            tensor = tensor.index_select(dim, is_known[axis.units].nonzero().flatten())
    return tensor


def _by_unit(tensor: torch.Tensor, dim: int, rows: torch.Tensor) -> torch.Tensor:
    """`(units, values)`: all that a tensor holds of each."""
    return tensor.movedim(dim, 0)[rows].flatten(1)


def matched_by_activations(
    units: Units, a: "fx.GraphModule", b: "fx.GraphModule", batches: Iterable[tuple[Any, ...]]
) -> torch.Tensor:
    """`(units,)` int64, as `matched_by_weights`: the assignment of which units' correlations over
    the inputs have the largest sum, for each group by itself.

    Correlations are of what layers read, over examples and pixels; of a residual stream, which many
    layers read, their sum. A unit that does not vary has none.

    Source: Li et al. 2016 ("Convergent Learning"), with an assignment as in Ainsworth et al. 2023.
    """
    met: dict[tuple[str, str], _Correlation] = {}
    for inputs in batches:
        ones, others = _read(a, units, inputs), _read(b, units, inputs)
        for group in units.groups:
            for reader in group.readers:
                rows = units.values[reader].rows(group.units)
                assert rows is not None
                one, other = (_by_unit(x[reader].double().cpu(), 1, rows) for x in (ones, others))
                met.setdefault((group.name, reader), _Correlation()).add(one, other)
    moved = torch.arange(units.num_units)
    for group in units.groups:
        if not group.readers:
            continue  # of a branch whose result nobody uses
        gain = sum((met[group.name, reader].value() for reader in group.readers), torch.zeros(()))
        best = assigned(gain)
        mean_gain = gain.abs().mean() * len(best)
        if gain[torch.arange(len(best)), best].sum() > gain.trace() + _ROUNDING * mean_gain:
            moved[group.units] = group.units[best]
    return moved


class _Correlation:
    """Of each unit of one net with each of another, batch by batch."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: list[torch.Tensor] = []

    def add(self, one: torch.Tensor, other: torch.Tensor) -> None:
        """Take `(units, values)` of both into account."""
        self._count += one.shape[1]
        new = [one.sum(1), other.sum(1), (one * one).sum(1), (other * other).sum(1), one @ other.T]
        self._sums = [a + b for a, b in zip(self._sums, new, strict=True)] if self._sums else new

    def value(self) -> torch.Tensor:
        """`(units, units)` float64."""
        mean_a, mean_b, square_a, square_b, product = (part / self._count for part in self._sums)
        covariance = product - mean_a[:, None] * mean_b
        widths = [_width(square, mean) for square, mean in ((square_a, mean_a), (square_b, mean_b))]
        return covariance / (widths[0][:, None] * widths[1])


def _width(square: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Standard deviation; infinite where there is none but rounding."""
    variance = square - mean * mean
    return torch.where(variance > 1e-12 * square, variance, torch.inf).sqrt()


@torch.no_grad()
def _read(
    module: "fx.GraphModule", units: Units, inputs: tuple[Any, ...]
) -> dict[str, torch.Tensor]:
    """The values that layers read, by name, as they are when they are read."""
    from torch import fx

    wanted = {reader for group in units.groups for reader in group.readers}
    found: dict[str, torch.Tensor] = {}

    class Reading(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            for source in n.all_input_nodes if n.op == "call_module" else ():
                if source.name in wanted and source.name not in found:
                    found[source.name] = self.env[source].clone()  # others may write into it
            return super().run_node(n)

    Reading(module).run(*inputs)
    return found
