"""A pruned net whose linear layers are executed on what is kept, where that is faster."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn

from lottery_ticket.errors import LotteryError, UsageError, nearest
from lottery_ticket.export._copies import eval_copy, plain_weights_
from lottery_ticket.export._difference import largest_difference
from lottery_ticket.export.sparse_nets.chains import links_of
from lottery_ticket.export.sparse_nets.decide import converted, measured
from lottery_ticket.export.sparse_nets.graph_file import read_graph, write_graph
from lottery_ticket.graphs.trace import Example, inputs_of, outputs_of, trace
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.process import alone
from lottery_ticket.tensor_files import made_sense_of

__all__ = ["Sparse", "load_sparse", "sparse"]

_WAYS = ("sparse", "dense")


@dataclass(frozen=True)
class Sparse:
    """A net that is executed sparsely where that is faster; see `sparse`.

    Args:
        model: takes and gives what the dense net does, on the CPU and without gradients.
        layers: name of a linear layer → `"sparse"` or `"dense"`.
        batch_size: for which this was decided.
        seconds: how long the linear layers took of a batch, the median of a few: `"dense"`,
            `"sparse"` and as `"chosen"`; empty where nothing was measured.
        max_difference: the largest absolute difference of the outputs on the example.
        dense: the same net, executed densely.
        example: zeros in the shape of one example.
    """

    model: fx.GraphModule
    layers: Mapping[str, str]
    batch_size: int
    seconds: Mapping[str, float]
    max_difference: float
    dense: fx.GraphModule
    example: tuple[torch.Tensor, ...]

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        num_sparse = sum(way == "sparse" for way in self.layers.values())
        return (
            f"Sparse({num_sparse} of {len(self.layers)} linear layers on kept weights alone, for "
            f"batches of {self.batch_size}, max_difference {self.max_difference:.2g})"
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file, which `load_sparse` reads.

        A tensor with many zeros is stored as its `values`, their `columns`, and the `counts` of
        each row; what is computed stands as JSON in the metadata. Nothing in it is code.

        Raises:
            UsageError: the net has operations or modules that such a file cannot name.
            LotteryError: the file cannot be written.
        """
        notes = {
            "layers": dict(self.layers),
            "batch_size": self.batch_size,
            "seconds": dict(self.seconds),
            "max_difference": self.max_difference,
        }
        try:
            write_graph(Path(path), self.dense, self.example, notes)
        except OSError as error:
            raise LotteryError(f"{path}: cannot be written ({error.strerror or error})") from error


@alone()
def sparse(
    model: nn.Module,
    example: Example,
    batch_size: int = 256,
    *,
    layers: str | Mapping[str, str] = "auto",
) -> Sparse:
    """Execute linear layers in CSR where that is faster for such batches, on the CPU.

    Layers that follow one another are one call: the batch is transposed once, with the features
    that are read alone, and the weights that are kept meet rows of it. Everything else is executed
    as it was. Outputs are equal up to the order of sums.

    Args:
        model: the pruned net, or the one that `compact` made of it; it stays as it is.
        example: a batch of inputs, a tuple for several; real ones, since timing may depend on it.
        batch_size: how many examples at a time.
        layers: `"auto"` measures; `"all"` and `"none"` force; a mapping from names to `"sparse"` or
            `"dense"` forces those and measures the others.

    Raises:
        UsageError: an unknown layer, or one that cannot be executed so; the model does not run on
            the example, or its forward cannot be followed.

    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> _ = net[0].weight.data.mul_(torch.rand(4, 8) < 0.2)
    >>> found = sparse(net, torch.randn(16, 8), layers={"0": "sparse", "2": "dense"})
    >>> found.layers
    {'0': 'sparse', '2': 'dense'}
    >>> torch.allclose(found.model(torch.ones(1, 8)), net(torch.ones(1, 8)), atol=1e-6)
    True
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"batch_size: wanted 1 or more, got {batch_size!r}")
    inputs = inputs_of(example)
    followed = trace(plain_weights_(eval_copy(model)), example)
    wanted = outputs_of(followed.module, inputs)
    names = [link.name for link in links_of(followed)]
    forced = _forced(layers, names)
    seconds: dict[str, float] = {}
    if set(names) - set(forced):
        forced, seconds = measured(followed, inputs, batch_size, forced)
    found = converted(followed.module, inputs, forced)
    difference = largest_difference(wanted, outputs_of(found, inputs))
    zeros = tuple(torch.zeros_like(x[:1]) for x in inputs)
    return Sparse(found, forced, batch_size, seconds, difference, followed.module, zeros)


def load_sparse(path: str | Path, *, max_weights: int | None = None) -> Sparse:
    """Read what `Sparse.save` wrote. Nothing is measured again, and no code of the file is run.

    Args:
        path: the file.
        max_weights: refuse tensors with zeros that claim more weights; None for what unpacks to
            more than 256 MiB and 256 times the file: a small file can claim any number.

    Raises:
        DataError: the file is missing, damaged, or of something else.
    """
    dense, example, notes = read_graph(Path(path), max_weights)
    with made_sense_of(path, "file of Sparse.save", "; its notes do not fit its graph"):
        _check_notes(**notes)
        model = converted(dense, example, notes["layers"])
        return Sparse(model, dense=dense, example=example, **notes)


def _check_notes(
    layers: Mapping[str, str], batch_size: int, seconds: Mapping[str, float], max_difference: float
) -> None:
    """Raises `ValueError`, or whatever values of other types cause, where notes make no sense."""
    if not all(way in _WAYS for way in layers.values()):
        raise ValueError(f"layers: {layers}")
    if type(batch_size) is not int or batch_size < 1:
        raise ValueError(f"batch_size: {batch_size!r}")
    for number in (*seconds.values(), max_difference):
        if type(number) not in (int, float) or not math.isfinite(number) or number < 0:
            raise ValueError(f"a measurement of {number!r}")


def _forced(layers: str | Mapping[str, str], names: list[str]) -> dict[str, str]:
    """The layers whose way is given."""
    ways = {"all": "sparse", "none": "dense"}
    if isinstance(layers, str):
        if layers not in ("auto", *ways):
            raise UsageError(f"layers: got {layers!r}{nearest(layers, ('auto', *ways))}")
        return {} if layers == "auto" else dict.fromkeys(names, ways[layers])
    for name, way in layers.items():
        if name not in names:
            raise UsageError(
                f"layers: {name!r} is no linear layer in float32 that is called on rows"
                f"{nearest(name, names)}"
            )
        if way not in _WAYS:
            raise UsageError(f"layers: {name!r}: got {way!r}; valid: {', '.join(_WAYS)}")
    return dict(layers)
