"""Nets with layers that a run cannot prune as they are, brought in by `imports`."""

import torch
from torch import nn
from torch.nn.functional import linear
from torch.nn.utils import parametrizations, prune

from lottery_ticket import register_model

MADE = {
    "weight-normed": parametrizations.weight_norm,
    "spectral-normed": parametrizations.spectral_norm,
    "old-weight-normed": nn.utils.weight_norm,
    "old-spectral-normed": nn.utils.spectral_norm,
    "frozen": lambda layer: layer.requires_grad_(False),
}


def with_a_layer(made):
    def net(input_size: int, num_classes: int) -> nn.Module:
        first = made(nn.Linear(input_size, 12))
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(12, num_classes))

    return net


for name, made in MADE.items():
    register_model(name)(with_a_layer(made))


@register_model("lazy")
def lazy(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(12), nn.ReLU(), nn.Linear(12, num_classes))


@register_model("lazy-that-ran")
def lazy_that_ran(input_size: int, num_classes: int) -> nn.Module:
    model = lazy(num_classes)
    model(torch.zeros(1, input_size))
    return model


@register_model("raw")
class Raw(nn.Module):
    """Computes with a parameter of its own."""

    def __init__(self, input_size: int, num_classes: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(num_classes, input_size))

    def forward(self, x):
        return linear(x.flatten(1), self.matrix)


def plain(input_size: int, num_classes: int, width: int = 12) -> nn.Sequential:
    layers = [nn.Linear(input_size, width), nn.ReLU(), nn.Linear(width, num_classes)]
    return nn.Sequential(nn.Flatten(), *layers)


@register_model("tied")
def tied(input_size: int, num_classes: int) -> nn.Module:
    first, last = nn.Linear(input_size, 12), nn.Linear(12, num_classes)
    between = [nn.Linear(12, 12), nn.Linear(12, 12)]
    between[1].weight = between[0].weight
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), *between, nn.ReLU(), last)


made_before = []


@register_model("the-same-again")
def the_same_again(input_size: int, num_classes: int) -> nn.Module:
    if not made_before:
        made_before.append(plain(input_size, num_classes))
    return made_before[0]


@register_model("of-one-part")
def of_one_part(input_size: int, num_classes: int) -> nn.Module:
    model = plain(input_size, num_classes)
    model[3] = the_same_again(input_size, num_classes).get_submodule("3")
    return model


@register_model("of-any-width")
def of_any_width(input_size: int, num_classes: int) -> nn.Module:
    return plain(input_size, num_classes, int(torch.randint(8, 10**6, ())) % 97 + 1)


@register_model("of-one-seed")
def of_one_seed(input_size: int, num_classes: int) -> nn.Module:
    torch.manual_seed(0)
    return plain(input_size, num_classes)


@register_model("of-no-seed")
def of_no_seed(input_size: int, num_classes: int) -> nn.Module:
    model = plain(input_size, num_classes)
    model.register_buffer("scale", torch.rand((), generator=own_stream))
    return model


own_stream = torch.Generator()


class WithState(nn.Linear):
    def get_extra_state(self):
        return {"calls": 3}

    def set_extra_state(self, state):
        pass


@register_model("with-state")
def with_state(input_size: int, num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), WithState(input_size, num_classes))


@register_model("pruned-by-torch")
def pruned_by_torch(input_size: int, num_classes: int) -> nn.Module:
    model = plain(input_size, num_classes)
    prune.l1_unstructured(model[1], "weight", 0.5)
    return model


@register_model("wrapped")
def wrapped(input_size: int, num_classes: int) -> nn.Module:
    return nn.DataParallel(plain(input_size, num_classes))
