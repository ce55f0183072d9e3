"""Which parameters of a model are prunable: the weights of its convolutions and linear layers."""

from torch import nn

__all__ = ["prunable_parameters", "prunable_sizes"]

_PRUNABLE_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prunable_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The prunable parameters by their qualified name, in model order; tied ones count once.

    Biases, norms and embeddings are never prunable.

    >>> list(prunable_parameters(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))))
    ['0.weight']
    """
    wanted = {
        id(module.weight) for module in model.modules() if isinstance(module, _PRUNABLE_LAYERS)
    }
    # named_parameters gives a tied parameter once, under its first name
    return {name: value for name, value in model.named_parameters() if id(value) in wanted}


def prunable_sizes(model: nn.Module) -> dict[str, int]:
    """Number of weights in each prunable parameter; works on a model on the meta device too."""
    return {name: value.numel() for name, value in prunable_parameters(model).items()}
