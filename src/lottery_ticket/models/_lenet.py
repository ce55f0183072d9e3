"""Fully connected nets, and LeNet-5."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from lottery_ticket.errors import UsageError
from lottery_ticket.models._arguments import check_counts, check_widths
from lottery_ticket.models._registry import MODELS

__all__ = ["MLP", "LeNet5", "LeNet300"]


@MODELS.register("LeNet300")
class LeNet300(nn.Module):
    """LeNet-300-100: 266,610 parameters on 28×28 input, of which 266,200 are weights.

    Args:
        input_size: values per example; inputs of any shape are flattened.
        num_classes: width of the output.
        hidden: widths of the two hidden ReLU layers.

    >>> sum(p.numel() for p in LeNet300().parameters())
    266610

    Source: LeCun et al. 1998, sizes as in Frankle & Carbin 2019; initial weights are PyTorch's
    default, theirs are `init="glorot_normal"`.
    """

    def __init__(
        self, input_size: int = 784, num_classes: int = 10, hidden: Sequence[int] = (300, 100)
    ) -> None:
        super().__init__()
        check_counts("LeNet300", input_size=input_size, num_classes=num_classes)
        check_widths("LeNet300", "hidden", hidden)
        if len(hidden) != 2:
            raise UsageError(f"LeNet300: hidden takes two widths, got {list(hidden)}")
        self.fc1 = nn.Linear(input_size, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, …) → logits (B, num_classes)."""
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}


@MODELS.register("MLP")
class MLP(nn.Sequential):
    """A fully connected net of any depth.

    Args:
        input_size: values per example.
        num_classes: width of the output (number of targets for a regression).
        hidden: widths of the hidden layers.
        activation: `"relu"` or `"tanh"`.

    >>> sum(p.numel() for p in MLP(1, 1, [100, 100], "tanh").parameters())
    10401
    """

    def __init__(
        self,
        input_size: int,
        num_classes: int,
        hidden: Sequence[int] = (100, 100),
        activation: str = "relu",
    ) -> None:
        check_counts("MLP", input_size=input_size, num_classes=num_classes)
        check_widths("MLP", "hidden", hidden)
        if activation not in _ACTIVATIONS:
            raise UsageError(f"MLP: activation {activation!r}; valid: {', '.join(_ACTIVATIONS)}")
        layers: list[nn.Module] = [nn.Flatten()]
        widths = [input_size, *hidden]
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), _ACTIVATIONS[activation]()]
        super().__init__(*layers, nn.Linear(widths[-1], num_classes))


@MODELS.register("LeNet5")
class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max-pooling on 28×28 input, padding 2: 61,706 parameters.

    >>> sum(p.numel() for p in LeNet5().parameters())
    61706

    Source: LeCun et al. 1998, in the form commonly pruned.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        check_counts("LeNet5", num_classes=num_classes)
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, 28, 28) → logits (B, num_classes)."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))
