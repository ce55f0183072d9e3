"""What a residual net computes, against the formula written out."""

import pytest
import torch
import torch.nn.functional as F

from lottery_ticket.models import build
from lottery_ticket.models._blocks import PaddedShortcut


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def norm(layer, x):
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    return (x - mean[:, None, None]) / (variance + layer.eps).sqrt()[:, None, None]


def check_padded_shortcut(make):
    """Every second pixel of the channels there are, zeros in the new ones."""
    x = image(2, 3, 5, 4)
    found = make(3, 7, 2)(x)
    assert found.shape == (2, 7, 3, 2)
    assert torch.equal(found[:, :3], x[:, :, [0, 2, 4]][..., [0, 2]])
    assert torch.equal(found[:, 3:], torch.zeros(2, 4, 3, 2))


def test_padded_shortcut():
    check_padded_shortcut(PaddedShortcut)
    assert not list(PaddedShortcut(3, 7, 2).parameters())


def averages(channels, width, stride):
    return lambda x: F.pad(
        F.avg_pool2d(x, stride, ceil_mode=True), (0, 0, 0, 0, 0, width - channels)
    )


def pads_in_front(channels, width, stride):
    return lambda x: F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, width - channels, 0))


def skips_a_pixel(channels, width, stride):
    return lambda x: F.pad(
        F.pad(x, (0, 1, 0, 1))[:, :, 1::stride, 1::stride], (0, 0, 0, 0, 0, width - channels)
    )


@pytest.mark.parametrize("mutant", [averages, pads_in_front, skips_a_pixel])
def test_other_shortcuts_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_padded_shortcut(mutant)


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_block_adds_the_way_around_it(shortcut):
    net = build("ResNet20", 0, shortcut=shortcut)
    block, x = net.layer2[0], image(2, 16, 8, 8)
    inner = norm(block.bn1, F.conv2d(x, block.conv1.weight, stride=2, padding=1)).relu()
    inner = norm(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    if shortcut == "A":
        around = torch.cat([x[..., ::2, ::2], torch.zeros(2, 16, 4, 4)], 1)
    else:
        conv, bn = block.downsample
        around = norm(bn, F.conv2d(x, conv.weight, stride=2))
    torch.testing.assert_close(block(x), (inner + around).relu())
    assert net.layer1[0].downsample is None
    assert net.layer2[1].downsample is None


def test_the_middle_of_a_bottleneck_is_strided():
    block = build("ResNet50", 0, stem="cifar").layer2[0]
    assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3)] == [
        (1, 1), (2, 2), (1, 1)
    ]  # fmt: skip
    assert block.downsample[0].stride == (2, 2)


@pytest.mark.parametrize(
    ("name", "options", "sides"),
    [
        ("ResNet18", {}, [16, 16, 8, 4, 2]),
        ("ResNet18", {"stem": "cifar"}, [64, 64, 32, 16, 8]),
        ("ResNet20", {}, [64, 64, 32, 16]),
    ],
)
def test_sides_from_stage_to_stage(name, options, sides):
    model = build(name, 0, **options)
    seen = []
    stem = model.maxpool if hasattr(model, "maxpool") else model.bn1
    stages = [getattr(model, f"layer{n}") for n in range(1, len(sides))]
    for part in (stem, *stages):
        part.register_forward_hook(lambda part, given, output: seen.append(output.shape[-1]))
    model(image(1, 3, 64, 64))
    assert seen == sides
