"""Small nets with zeros among their weights, drawn by Hypothesis."""

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

SIDE = 6  # of an image


class Residual(nn.Module):
    """A block with a way around it, of either of He et al.'s forms where the width changes."""

    def __init__(self, width, wider, shortcut, pool):
        super().__init__()
        self.conv1 = nn.Conv2d(width, wider, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(wider), nn.BatchNorm2d(wider)
        self.conv2 = nn.Conv2d(wider, wider, 3, padding=1)
        self.around = nn.Conv2d(width, wider, 1) if shortcut == "B" else None
        self.num_added, self.pool = wider - width, pool

    def forward(self, x):
        if self.around is None:
            around = F.pad(
                x, (0, 0, 0, 0, self.num_added // 2, self.num_added - self.num_added // 2)
            )
        else:
            around = self.around(x)
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        x += around
        return F.relu(self.pool(x), inplace=True)


class View(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), x.shape[1] * x.shape[2] * x.shape[3])


class Concatenated(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.left = nn.Conv2d(width, 3, 1)
        self.right = nn.Conv2d(width, 2, 3, padding=1, groups=1)
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))

    def forward(self, x):
        return torch.cat([self.left(x) * self.scale, self.right(x)], dim=1)


ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Identity)


def mlp(draw):
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    layers = [nn.Flatten()]
    for inputs, outputs in zip([3 * SIDE**2, *widths], widths, strict=False):
        layers.append(nn.Linear(inputs, outputs, bias=draw(st.booleans())))
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(outputs))
        layers += [draw(st.sampled_from(ACTIVATIONS))(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 2))


def convolutional(draw):
    first, second = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    border = {"padding": draw(st.integers(0, 1))}
    border |= {"padding_mode": draw(st.sampled_from(["zeros", "reflect", "circular"]))}
    layers = [nn.Conv2d(3, first, 3, **border), draw(st.sampled_from(ACTIVATIONS))()]
    if draw(st.booleans()):
        layers += [nn.Conv2d(first, first, 3, padding=1, groups=first), nn.BatchNorm2d(first)]
    layers.append(draw(st.sampled_from([nn.MaxPool2d(2, 1, 1), nn.AvgPool2d(2, 1, 1)])))
    layers += [nn.Conv2d(first, second, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, *head(draw, layers))


def branched(draw):
    width = draw(st.integers(1, 3))
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU()]
    for wider in (width, width + draw(st.integers(0, 2))):
        pool = draw(st.sampled_from([nn.Identity(), nn.MaxPool2d(2)]))
        layers.append(Residual(width, wider, draw(st.sampled_from("AB")), pool))
        width = wider
    if draw(st.booleans()):
        layers.append(Concatenated(width))
    return nn.Sequential(*layers, *head(draw, layers))


def head(draw, layers):
    layers = [*layers, draw(st.sampled_from([nn.AdaptiveAvgPool2d(1), nn.Identity()]))]
    layers.append(draw(st.sampled_from([nn.Flatten(), View()])))
    with torch.no_grad():
        width = nn.Sequential(*layers).eval()(torch.zeros(1, 3, SIDE, SIDE)).shape[1]
    return [*layers[-2:], nn.Linear(width, 3), nn.ReLU(), nn.Linear(3, 2)]


def zeroed_(model, seed, density, dead):
    """Random weights, norms and biases; then weights, outputs and inputs at random are zero."""
    generator = torch.Generator().manual_seed(seed)
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.normal_(generator=generator)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
        for number, layer in enumerate(layers):
            weight = layer.weight
            weight *= torch.rand(weight.shape, generator=generator) < density
            weight *= torch.rand(len(weight), *[1] * (weight.ndim - 1), generator=generator) < 0.8
            weight *= 0.0 if number == dead else 1.0
    return model.eval()


@st.composite
def nets(draw, kinds=(mlp, convolutional, branched)):
    torch.manual_seed(0)
    net = draw(st.sampled_from(kinds))(draw)
    density = draw(st.sampled_from([0.05, 0.2, 0.5, 1.0]))
    dead = draw(st.sampled_from([None, None, None, 0, 1, 2]))
    return zeroed_(net, draw(st.integers(0, 10**6)), density, dead)


def images(count=4, seed=0):
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def a_residual_net():
    """Of which an input, a channel before padding and some that are joined do nothing."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    block = Residual(4, 6, "A", nn.MaxPool2d(2))
    layers = [first, nn.ReLU(), second, nn.ReLU(), block, nn.Flatten(), nn.Linear(54, 2)]
    net = zeroed_(nn.Sequential(*layers), 0, 1.0, None)
    first.weight.data[:, 2] = first.weight.data[1] = second.weight.data[2] = 0
    block.conv2.weight.data[[0, 3]] = 0
    return net
