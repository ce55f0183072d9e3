"""SynFlow: synaptic flow, without data."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from lottery_ticket.criteria._criterion import Criterion
from lottery_ticket.criteria._gradients import gradients
from lottery_ticket.criteria._prepared import scored_parameters, set_mode_
from lottery_ticket.criteria._registry import CRITERIA
from lottery_ticket.errors import UsageError

__all__ = ["synflow"]


def synflow(
    model: nn.Module, mask: Mapping[str, torch.Tensor], input_shape: Sequence[int]
) -> dict[str, torch.Tensor]:
    """`|w·∂R/∂w|` with `R = 1ᵀ (∏ |Wˡ|) 1`: keep the weights through which most paths flow.

    R is the sum of the outputs for an input of ones, with every parameter replaced by its absolute
    value. In a net of linear maps and ReLUs without biases each layer's scores sum to R, and what
    flows into a unit flows out of it; so small layers have high scores, and pruning a little at a
    time, in 100 rounds in the paper, does not empty them.

    Variant: the authors' code: biases and norms count by their absolute values too, and the model
    is in evaluation mode. But in float64, since R over- or underflows float32 in deep nets; and
    with the running means of batch norms, which are 0 at initialisation, taken as 0 whatever they
    are: they could only subtract.

    Args:
        model: the model, prepared by `score`. It is changed: always call through `score`, which
            puts it back.
        mask: the parameters to score.
        input_shape: the shape of one example.

    Raises:
        UsageError: R is not finite; the model's output is no tensor; the device has no float64.

    >>> from lottery_ticket.criteria import score
    >>> model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU(), nn.Linear(1, 1, bias=False))
    >>> _ = model[0].weight.data.copy_(torch.tensor([[3.0, -1.0]]))
    >>> _ = model[2].weight.data.fill_(-2.0)
    >>> kept = {name: torch.ones_like(w, dtype=torch.bool) for name, w in model.named_parameters()}
    >>> scores = score("synflow", model=model, mask=kept, input_shape=(2,))
    >>> scores["0.weight"].tolist(), scores["2.weight"].tolist()
    ([[6.0, 2.0]], [[8.0]])

    Source: Tanaka, Kunin, Yamins & Ganguli 2020, and the authors' code (pruners.py).
    """
    parameters = scored_parameters(model, mask)
    device = next(iter(parameters.values())).device
    if device.type == "mps":
        raise UsageError("synflow: mps has no float64; move the model to the CPU to score it")
    set_mode_(model, is_batch_norm_training=False)
    _linearize_(model)
    ones = torch.ones(1, *input_shape, dtype=torch.float64, device=device)
    output = model(ones)  # autocast leaves float64 alone
    if not isinstance(output, torch.Tensor):
        raise UsageError(f"synflow: the model's output is a {type(output).__name__}, not a tensor")
    flow = output.sum()
    if not flow.isfinite():
        raise UsageError(f"synflow: the flow through the net is {flow.item()} even in float64")
    return {
        name: (gradient * parameter.detach()).abs()
        for (name, parameter), gradient in zip(
            parameters.items(), gradients(flow, list(parameters.values())), strict=True
        )
    }


@torch.no_grad()
def _linearize_(model: nn.Module) -> None:
    model.double()
    for parameter in model.parameters():
        parameter.abs_()
    for module in model.modules():
        if isinstance(module, _NormBase) and module.running_mean is not None:
            module.running_mean.zero_()


CRITERIA.register("synflow")(Criterion(synflow, rounds=100))
