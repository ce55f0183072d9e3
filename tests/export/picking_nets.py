"""Small nets that pick, permute and split channels as a forward can, drawn by Hypothesis."""

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from pruned_nets import zeroed_
from torch import nn

WIDTH, SIDE = 8, 4
ODD = torch.arange(1, WIDTH, 2)
SHUFFLED = torch.tensor([3, 0, 7, 4, 1, 6, 2, 5])
SOME = torch.tensor([5, 0, 0, 2])


class Holder(nn.Module):
    """Indices as a user may hold them: buffers, parameters, lists, in modules of modules."""

    def __init__(self, index, shared):
        super().__init__()
        self.register_buffer("index", index.clone())
        self.register_buffer("shared", shared)
        self.register_buffer("loose", index.clone(), persistent=False)
        self.register_buffer("kept", torch.arange(WIDTH) % 3 != 0)
        self.fixed = nn.Parameter(index.clone(), requires_grad=False)
        self.deep = nn.ModuleDict({"er": nn.Identity()})
        self.deep["er"].register_buffer("index", index.clone())
        self.plain, self.list = index.clone(), index.tolist()


def everywhere(h, x):
    """The index in the shape of `x`, for gather."""
    return torch.zeros_like(x[:, : len(h.index)]).long() + along(h.index, x)


def along(index, x):
    return index.view(1, -1, *[1] * (x.ndim - 2))


def shuffled(x, groups):
    b, c, *rest = x.shape
    x = x.view(b, groups, c // groups, *rest).transpose(1, 2).contiguous()
    return x.view(b, -1, *rest)


def read_twice(h, x):
    x = x.view(x.size(0), 2, -1, *x.shape[2:])
    return x.transpose(1, 2).flatten(1, 2) + x.flatten(1, 2)


def in_place(x, twice):
    y = x[:, : WIDTH // 2]
    y.mul_(2)
    return torch.cat([x, y], 1) if twice else y


def of_a_split(x):
    parts = x.chunk(2, 1)
    parts[0].neg_()
    return torch.cat(parts, 1) + torch.cat([parts[1], parts[0]], 1)


def kept_for_later(x):
    y = x.repeat(1, 2, *[1] * (x.ndim - 2))
    x.tanh_()
    return y[:, 3:9]


def interleaved(x):
    left, right = x.chunk(2, 1)
    return torch.stack([left, right], 2).flatten(1, 2)


def position_last(x, do):
    return do(x.movedim(1, -1)).movedim(-1, 1)


PICKS = {
    "index_select": lambda h, x: torch.index_select(x, 1, h.index),
    "its method": lambda h, x: x.index_select(1, h.shared),
    "its keywords": lambda h, x: torch.index_select(input=x, dim=1, index=h.deep["er"].index),
    "from behind": lambda h, x: x.index_select(-x.dim() + 1, h.loose),
    "by int32": lambda h, x: torch.index_select(x, 1, h.index.int()),
    "by a parameter": lambda h, x: torch.index_select(x, 1, h.fixed),
    "by one of it": lambda h, x: torch.index_select(x, 1, h.fixed.flip(0) + 0),
    "a buffer": lambda h, x: x[:, h.index],
    "a shared buffer": lambda h, x: x[:, h.shared] + along(h.shared, x),
    "a list": lambda h, x: x[:, h.list],
    "a plain tensor": lambda h, x: x[:, h.plain],
    "made inside": lambda h, x: x[:, torch.arange(x.shape[1] - 1, -1, -2)],
    "negative": lambda h, x: x[:, [-1, 0, -3]],
    "a mask": lambda h, x: x[:, h.kept],
    "a slice": lambda h, x: x[:, 2:7],
    "steps": lambda h, x: x[:, 1::3],
    "behind dots": lambda h, x: x[..., 1:5, :, :] if x.ndim == 4 else x[..., 1:5],
    "narrow": lambda h, x: x.narrow(1, 2, 4),
    "split": lambda h, x: torch.cat(x.split(3, 1)[::-1], 1),
    "split in sizes": lambda h, x: torch.split(x, [1, 5, 2], dim=1)[1],
    "chunk": lambda h, x: x.chunk(2, 1)[0] + x.chunk(2, dim=1)[1],
    "a loop": lambda h, x: torch.cat([y[:, 1:] for y in x.split(4, 1)], 1),
    "tensor_split": lambda h, x: x.tensor_split(3, dim=1)[2],
    "unbind": lambda h, x: torch.stack(x.unbind(1)[2:6], 1),
    "flip": lambda h, x: x.flip(1),
    "roll": lambda h, x: torch.roll(x, 3, dims=1),
    "gather": lambda h, x: x.gather(1, everywhere(h, x)),
    "take_along_dim": lambda h, x: torch.take_along_dim(x, along(h.index, x), 1),
    "a shuffle": lambda h, x: shuffled(x, 2),
    "two shuffles": lambda h, x: shuffled(shuffled(x, 4).relu(), 2),
    "permuted": lambda h, x: position_last(x, lambda y: y[..., h.index]),
    "repeat": lambda h, x: x.repeat(1, 2, *[1] * (x.ndim - 2)),
    "repeat_interleave": lambda h, x: x.repeat_interleave(2, dim=1),
    "expand": lambda h, x: x[:, 3:4].expand(-1, 5, *x.shape[2:]),
    "joined": lambda h, x: torch.cat([x[:, 5:], x, x[:, h.index], x], 1),
    "stacked": lambda h, x: interleaved(x),
    "added": lambda h, x: x[:, h.index] + x[:, : len(h.index)],
    "to itself": lambda h, x: x + x.flip(1),
    "times": lambda h, x: x * shuffled(x, 2).sigmoid(),
    "read twice": read_twice,
    "in place": lambda h, x: in_place(x.relu(), twice=False),
    "in place, read twice": lambda h, x: in_place(x.relu(), twice=True),
    "in place in a split": lambda h, x: of_a_split(x.relu()),
    "written later": lambda h, x: kept_for_later(x.relu()),
    "examples": lambda h, x: x.flip(0).flip(0)[:, :5],
    "microbatches": lambda h, x: torch.cat([y[:, 1:] for y in x.split(64)]),
    "excited": lambda h, x: (
        x * x.flatten(2).mean(2).view(x.size(0), WIDTH, 1, 1).sigmoid() if x.ndim == 4 else x
    ),
    "positions": lambda h, x: x.flip(2)[:, :, 1:, 0] if x.ndim == 4 else x.unsqueeze(2)[..., 0],
    "pixels": lambda h, x: F.pixel_shuffle(x, 2) if x.ndim == 4 else x,
    "a corner": lambda h, x: x[:, h.index, 0, 0] if x.ndim == 4 else x[:, h.index],
    "channels last": lambda h, x: x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x,
    "features": lambda h, x: x.flatten(1)[:, ::3],
    "nothing": lambda h, x: torch.cat([x[:, :0], x[:, 4:4], x], 1),
    "one": lambda h, x: x.index_select(1, h.fixed[1]),
    "examples' order": lambda h, x: x.flip(0) if len(h.list) else x,
    "mixed": lambda h, x: x.flatten(1).roll(1, 1),
    "by values": lambda h, x: x.gather(1, x.argsort(1)),
}


class Picks(nn.Module):
    def __init__(self, name, holder):
        super().__init__()
        self.name, self.holder = name, holder

    def forward(self, x):
        return PICKS[self.name](self.holder, x)


def layer(draw, width, ndim):
    if ndim == 4:
        return [nn.Conv2d(width, WIDTH, draw(st.sampled_from([1, 3])), padding="same")]
    return [nn.Linear(width, WIDTH)]


@st.composite
def picking_nets(draw, names=tuple(PICKS)):
    """A net and its inputs."""
    torch.manual_seed(0)
    x = draw(st.sampled_from([torch.randn(5, 3, SIDE, SIDE), torch.randn(5, 6)]))
    shared = draw(st.sampled_from([ODD, SHUFFLED, SOME])).clone()
    layers, value, picks = [], x, None
    for _ in range(draw(st.integers(1, 3))):
        layers += layer(draw, value.shape[1], value.ndim)
        if draw(st.booleans()):
            layers.append({4: nn.BatchNorm2d, 2: nn.BatchNorm1d}[value.ndim](WIDTH))
        layers.append(draw(st.sampled_from([nn.ReLU(), nn.Tanh(), nn.Identity()])))
        index = draw(st.sampled_from([ODD, SHUFFLED, SOME]))
        if picks is None or draw(st.booleans()):
            picks = Picks(draw(st.sampled_from(names)), Holder(index, shared))
        layers.append(picks)  # perhaps once more
        with torch.no_grad():
            value = nn.Sequential(*layers).eval()(x)
        if value.ndim == 3:
            layers.append(nn.Flatten())
            value = value.flatten(1)
    layers += [nn.Flatten(), nn.Linear(value[0].numel(), 4), nn.ReLU(), nn.Linear(4, 2)]
    density, dead = draw(st.sampled_from([0.1, 0.3, 1.0])), draw(st.sampled_from([None, None, 0]))
    return zeroed_(nn.Sequential(*layers), draw(st.integers(0, 10**6)), density, dead), x
