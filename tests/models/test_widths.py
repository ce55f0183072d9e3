"""Narrower nets of the same shape."""

from fractions import Fraction

import pytest
import torch

from lottery_ticket.errors import UsageError
from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import (
    FORMS,
    MODELS,
    build,
    largest_width,
    model_options,
    outline,
    scaled_options,
)

# all of the library's own but LeNet-5
SCALED = [form for form in FORMS if form.name != "LeNet5"]
DEEPER = ("ResNet34", "ResNet44", "ResNet56", "ResNet101", "ResNet110")  # of the same blocks


def as_parameter(form):
    marks = [pytest.mark.slow] if form.name in DEEPER else []
    return pytest.param(
        form, id=" ".join([form.name, *map(str, form.options.values())]), marks=marks
    )


@pytest.mark.parametrize("form", [as_parameter(form) for form in SCALED])
def test_half_as_wide_has_about_a_quarter_of_the_weights(form):
    whole = outline(form.name, **form.options)
    halved = scaled_options(form.name, form.options, Fraction(1, 2))
    half = outline(form.name, **halved).eval()  # norms of batches are slow without values
    output = half(torch.empty(2, *form.input_shape, device="meta"))
    assert output.shape == (2, len(list(whole.parameters())[-1]))  # the last biases
    layers = list(prunable_sizes(whole))
    assert list(prunable_sizes(half)) == layers
    widths = [(net.get_parameter(n).shape[0]) for n in layers[:-1] for net in (whole, half)]
    assert all(one == 2 * other for one, other in zip(widths[::2], widths[1::2], strict=True))


def test_a_width_of_its_own_is_scaled_too():
    assert scaled_options("Conv4", {"width": 0.5}, Fraction(1, 2)) == {"width": 0.25}
    assert scaled_options("MLP", {"hidden": [7, 1]}, Fraction(1, 2)) == {"hidden": [4, 1]}
    assert largest_width("MLP", {"input_size": 4, "num_classes": 3, "hidden": [7, 1]}) == 7


def test_without_a_width_nothing_changes():
    for name in ("Conv2", "ResNet20", "ResNet18", "VGG11"):
        assert model_options(name)["width"].default is None  # off: it is in no name
    whole, said = build("Conv2", 0), build("Conv2", 0, width=1.0)
    for one, other in zip(whole.parameters(), said.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("width", [0, -1, float("nan"), "x", True])
def test_a_width_is_a_factor(width):
    for name in ("Conv2", "ResNet20", "ResNet18", "VGG11"):
        with pytest.raises(UsageError, match=r"width is .*; wanted a factor on all hidden widths"):
            outline(name, width=width)


def test_models_of_fixed_widths_are_refused():
    fixed = [n for n in MODELS if not MODELS.entry(n).is_user and n not in {f.name for f in SCALED}]
    assert fixed == ["LeNet5"]
    for function in (largest_width, lambda *given: scaled_options(*given, Fraction(1, 2))):
        with pytest.raises(UsageError, match="dense_small: the hidden widths of model 'LeNet5'"):
            function("LeNet5", {})
