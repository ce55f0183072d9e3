"""What a graph of a file would take to run, found without running it."""

import copy
import numbers
import operator
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from lottery_ticket.tensor_files import check_claim

__all__ = ["check_sizes"]

_MAX_NUMBER = 2**63


def check_sizes(
    module: fx.GraphModule, example: tuple[torch.Tensor, ...], path: Path, num_bytes: int
) -> None:
    """Follows the shapes of all values, from an example's.

    Raises:
        DataError: a value is larger than a file of `num_bytes` may unpack to.
        Exception: whatever torch says of operations that do not fit.
    """
    without_values = copy.deepcopy(module).to("meta")
    with torch.no_grad():
        _Sizes(without_values, path, num_bytes).run(*(x.to("meta") for x in example))


class _Sizes(fx.Interpreter):
    """Runs a graph on tensors without values, and adds up how large they would be."""

    def __init__(self, module: fx.GraphModule, path: Path, num_bytes: int) -> None:
        super().__init__(module)
        self._path, self._num_bytes = path, num_bytes
        self._claimed = 0

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_function" and n.target is not operator.getitem:
            _check_numbers(n, self.env)
        value = super().run_node(n)
        for part in tree_leaves(value):
            if isinstance(part, torch.Tensor):
                self._claimed += part.numel() * part.element_size()
        check_claim(self._path, self._claimed, self._num_bytes, "save it again")
        return value


def _check_numbers(node: fx.Node, values: dict[fx.Node, Any]) -> None:
    """Python's own operators take texts and lists, and numbers of any length."""
    for part in tree_leaves(map_arg((node.args, node.kwargs), values.__getitem__)):
        if isinstance(part, numbers.Number) and not abs(part) < _MAX_NUMBER:  # type: ignore[operator]
            raise ValueError(f"{node.name}: a number out of range")
    if node.target in vars(operator).values():
        for part in map_arg(node.args, values.__getitem__):
            if not isinstance(part, torch.Tensor | numbers.Number):
                raise ValueError(f"{node.name}: {type(part).__name__} where a tensor belongs")
