"""Every model: its counts, its shapes, and that its seed alone decides its weights."""

import copy
import pickle

import pytest
import torch
from torch import nn

from lottery_ticket import models
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import prunable_sizes
from lottery_ticket.models import (
    FORMS,
    MODELS,
    Conv2,
    Conv4,
    Conv6,
    build,
    model_options,
    outline,
    register_model,
)

# name, options, parameters, prunable weights
COUNTS = [
    ("LeNet300", {}, 266_610, 266_200),
    ("LeNet5", {}, 61_706, 61_470),
    ("MLP", {"input_size": 784, "num_classes": 10}, 89_610, 89_400),
    ("Conv2", {"form": "compact"}, 202_570, 202_432),
    ("Conv2", {"form": "paper"}, 4_301_642, 4_300_992),
    ("Conv4", {"form": "compact"}, 342_090, 341_696),
    ("Conv4", {"form": "paper"}, 2_425_930, 2_425_024),
    ("Conv6", {"form": "compact"}, 1_186_378, 1_185_472),
    ("Conv6", {"form": "paper"}, 2_262_602, 2_261_184),
    ("VGG11", {"form": "imagenet"}, 132_863_336, 132_851_392),
    ("VGG11", {"form": "imagenet", "batch_norm": True}, 132_868_840, 132_851_392),
    ("VGG11", {"form": "cifar"}, 9_231_114, 9_222_848),
    ("VGG13", {"form": "imagenet"}, 133_047_848, 133_035_712),
    ("VGG13", {"form": "imagenet", "batch_norm": True}, 133_053_736, 133_035_712),
    ("VGG13", {"form": "cifar"}, 9_416_010, 9_407_168),
    ("VGG16", {"form": "imagenet"}, 138_357_544, 138_344_128),
    ("VGG16", {"form": "imagenet", "batch_norm": True}, 138_365_992, 138_344_128),
    ("VGG16", {"form": "cifar"}, 14_728_266, 14_715_584),
    ("VGG19", {"form": "imagenet"}, 143_667_240, 143_652_544),
    ("VGG19", {"form": "imagenet", "batch_norm": True}, 143_678_248, 143_652_544),
    ("VGG19", {"form": "cifar"}, 20_040_522, 20_024_000),
    ("ResNet18", {"stem": "imagenet"}, 11_689_512, 11_678_912),
    ("ResNet18", {"stem": "cifar"}, 11_173_962, 11_164_352),
    ("ResNet34", {"stem": "imagenet"}, 21_797_672, 21_779_648),
    ("ResNet34", {"stem": "cifar"}, 21_282_122, 21_265_088),
    ("ResNet50", {"stem": "imagenet"}, 25_557_032, 25_502_912),
    ("ResNet50", {"stem": "cifar"}, 23_520_842, 23_467_712),
    ("ResNet101", {"stem": "imagenet"}, 44_549_160, 44_442_816),
    ("ResNet101", {"stem": "cifar"}, 42_512_970, 42_407_616),
    ("ResNet20", {"shortcut": "B"}, 272_474, 270_896),
    ("ResNet20", {"shortcut": "A"}, 269_722, 268_336),
    ("ResNet32", {"shortcut": "B"}, 466_906, 464_432),
    ("ResNet32", {"shortcut": "A"}, 464_154, 461_872),
    ("ResNet44", {"shortcut": "B"}, 661_338, 657_968),
    ("ResNet44", {"shortcut": "A"}, 658_586, 655_408),
    ("ResNet56", {"shortcut": "B"}, 855_770, 851_504),
    ("ResNet56", {"shortcut": "A"}, 853_018, 848_944),
    ("ResNet110", {"shortcut": "B"}, 1_730_714, 1_722_416),
    ("ResNet110", {"shortcut": "A"}, 1_727_962, 1_719_856),
]
BUILT_IN = {name for name, *_ in COUNTS}
IDS = [" ".join([name, *map(str, options.values())]) for name, options, *_ in COUNTS]


@pytest.mark.parametrize(("form", "counts"), list(zip(FORMS, COUNTS, strict=True)), ids=IDS)
def test_counts_and_shapes(form, counts):
    name, options, parameters, weights = counts
    assert (form.name, form.options) == (name, options)
    model = outline(name, **options)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(prunable_sizes(model).values()) == weights
    num_classes = 1000 if form.input_shape == (3, 224, 224) else 10
    # norms of batches are slow without values
    output = model.eval()(torch.empty(2, *form.input_shape, device="meta"))
    assert output.shape == (2, num_classes)


def test_every_model_is_counted():
    assert set(MODELS) - set(MODELS.user_entries()) == BUILT_IN


@pytest.mark.parametrize(("name", "parameters"), [(n, p) for n, _, p, _ in COUNTS if n != "MLP"])
def test_docstrings_tell_the_true_counts(name, parameters):
    doc = " ".join(MODELS[name].__doc__.split())
    assert f"{parameters:,}" in doc


def test_models_are_classes_of_their_names():
    for name in BUILT_IN:
        model = getattr(models, name)
        assert issubclass(model, nn.Module)
        assert MODELS[name] is model
        assert model.__name__ == name


@pytest.mark.parametrize(
    ("name", "options", "shape", "num_classes"),
    [
        ("LeNet300", {}, (1, 28, 28), 10),
        ("LeNet5", {}, (1, 28, 28), 10),
        ("Conv4", {"form": "paper"}, (3, 32, 32), 10),
        ("VGG11", {"form": "cifar"}, (3, 32, 32), 10),
        ("VGG13", {"form": "cifar", "batch_norm": False}, (3, 64, 64), 10),
        ("VGG16", {"form": "cifar", "input_channels": 1}, (1, 28, 28), 10),
        ("ResNet18", {}, (3, 64, 64), 1000),
        ("ResNet18", {"stem": "cifar"}, (3, 32, 32), 10),
        ("ResNet20", {}, (3, 32, 32), 10),
        ("ResNet56", {"shortcut": "A", "input_channels": 1}, (1, 28, 28), 10),
    ],
)
def test_runs(name, options, shape, num_classes):
    model = build(name, 0, **options)
    output = model(torch.randn(2, *shape, generator=torch.Generator().manual_seed(0)))
    assert output.shape == (2, num_classes)
    assert output.isfinite().all()
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_num_classes_follow_from_the_form_unless_given():
    def num_classes(name, **options):
        return list(outline(name, **options).state_dict().values())[-1].numel()

    assert num_classes("VGG11") == num_classes("ResNet18") == 1000
    assert num_classes("VGG11", form="cifar") == num_classes("ResNet18", stem="cifar") == 10
    assert num_classes("VGG11", form="cifar", num_classes=1000) == 1000
    assert num_classes("ResNet18", num_classes=10) == 10


def test_conv_nets_have_two_forms():
    for model in (Conv2, Conv4, Conv6):
        compact, paper = model(num_classes=10), model.paper(num_classes=7)
        assert isinstance(compact.classifier, nn.Linear)
        assert [layer.out_features for layer in paper.classifier[::2]] == [256, 256, 7]
        assert type(paper) is model
        assert paper.features.state_dict().keys() == compact.features.state_dict().keys()


@pytest.mark.parametrize("name", ["Conv4", "VGG11", "ResNet20"])
def test_survives_copy_and_pickle(name):
    model = build(name, 0, form="cifar") if name == "VGG11" else build(name, 0)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(again) is type(model)
        for one, other in zip(
            model.state_dict().values(), again.state_dict().values(), strict=True
        ):
            assert torch.equal(one, other)


def test_prunable_layers():
    assert prunable_sizes(build("LeNet300", 0)) == {
        "fc1.weight": 235_200,
        "fc2.weight": 30_000,
        "fc3.weight": 1_000,
    }
    assert list(prunable_sizes(build("Conv2", 0, form="paper"))) == [
        "features.0.weight",
        "features.2.weight",
        "classifier.0.weight",
        "classifier.2.weight",
        "classifier.4.weight",
    ]


def check_depends_on_the_seed_alone(build_fn):
    state = torch.get_rng_state()
    one = build_fn("LeNet5", 1)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state moved"
    torch.rand(3)
    again, other = build_fn("LeNet5", 1).state_dict(), build_fn("LeNet5", 2).state_dict()
    for name, value in one.state_dict().items():
        assert torch.equal(value, again[name])
        assert not torch.equal(value, other[name])


def test_depends_on_the_seed_alone():
    check_depends_on_the_seed_alone(build)


def no_seed(name, seed):
    with torch.random.fork_rng(devices=[]):
        return MODELS[name]()


def seeds_the_caller(name, seed):
    torch.manual_seed(seed)
    return MODELS[name]()


def one_seed_for_all(name, seed):
    return build(name, 0)


@pytest.mark.parametrize("mutant", [no_seed, seeds_the_caller, one_seed_for_all])
def test_other_seedings_are_caught(mutant):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError):
        check_depends_on_the_seed_alone(mutant)


def test_an_outline_has_shapes_and_no_values():
    state = torch.get_rng_state()
    model = outline("ResNet20", num_classes=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(value.is_meta for value in model.state_dict().values())
    wanted = build("ResNet20", 0, num_classes=3).state_dict()
    assert {n: v.shape for n, v in model.state_dict().items()} == {
        n: v.shape for n, v in wanted.items()
    }


def test_the_net_is_what_it_says():
    model = build("MLP", 0, input_size=4, num_classes=2, hidden=[3], activation="tanh")
    x = torch.randn(5, 2, 2, generator=torch.Generator().manual_seed(0))
    hidden = torch.tanh(x.flatten(1) @ model[1].weight.T + model[1].bias)
    torch.testing.assert_close(model(x), hidden @ model[3].weight.T + model[3].bias)
    lenet = build("LeNet300", 0, input_size=4, hidden=[3, 2], num_classes=7)
    relu = torch.relu(x.flatten(1) @ lenet.fc1.weight.T + lenet.fc1.bias)
    relu = torch.relu(relu @ lenet.fc2.weight.T + lenet.fc2.bias)
    torch.testing.assert_close(lenet(x), relu @ lenet.fc3.weight.T + lenet.fc3.bias)


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("LeNet30", {}, "unknown model 'LeNet30'; did you mean 'LeNet300'?"),
        ("ResNet19", {}, "unknown model 'ResNet19'; did you mean 'ResNet1"),
        ("Conv4", {"frm": "paper"}, "'Conv4' has no option 'frm'; did you mean 'form'?"),
        ("Conv4", {"form": "papr"}, "Conv4: form 'papr'; valid: compact (one linear layer), paper"),
        ("Conv2", {"form": ["paper"]}, "Conv2: form ['paper']; valid: compact"),
        ("VGG16", {"form": "cifar10"}, "VGG16: form 'cifar10'; valid: imagenet (fc 4096-4096 with"),
        ("VGG11", {"batch_norm": "yes"}, "VGG11: batch_norm is 'yes'; wanted true or false"),
        ("ResNet18", {"stem": "tiny"}, "ResNet18: stem 'tiny'; valid: imagenet (7×7 stride 2"),
        (
            "ResNet56",
            {"shortcut": "C"},
            "shortcut 'C'; valid: A (padded with zeros, no parameters)",
        ),
        ("LeNet300", {"hidden": [1]}, "hidden takes two widths, got [1]"),
        ("LeNet300", {"hidden": 300}, "LeNet300: hidden is 300; wanted a list, such as [300, 100]"),
        ("LeNet300", {"hidden": [30, 0]}, "a width in hidden is 0; wanted a whole number from 1"),
        ("LeNet300", {"input_size": 0}, "LeNet300: input_size is 0; wanted a whole number from 1"),
        ("LeNet5", {"num_classes": 2.0}, "LeNet5: num_classes is 2.0; wanted a whole number"),
        ("Conv6", {"num_classes": -1}, "Conv6: num_classes is -1; wanted a whole number from 1 on"),
        ("VGG19", {"num_classes": True}, "VGG19: num_classes is True; wanted a whole number"),
        ("ResNet34", {"input_channels": 0}, "ResNet34: input_channels is 0; wanted a whole number"),
        ("ResNet44", {"num_classes": "ten"}, "ResNet44: num_classes is 'ten'; wanted a whole"),
        ("MLP", {}, "model 'MLP' wants a value for 'input_size'"),
        ("MLP", {"input_size": 1, "num_classes": 1, "activation": "elu"}, "valid: relu, tanh"),
        ("MLP", {"input_size": 1, "num_classes": 1, "hidden": "ab"}, "MLP: hidden is 'ab'; wanted"),
    ],
)
@pytest.mark.parametrize("make", [lambda name, **options: build(name, 0, **options), outline])
def test_wrong_names_and_options(make, name, options, problem):
    with pytest.raises(UsageError) as caught:
        make(name, **options)
    assert problem in str(caught.value)


def test_options():
    found = {name: option.default for name, option in model_options("LeNet300").items()}
    assert found == {"input_size": 784, "num_classes": 10, "hidden": (300, 100), "init": None}
    for name in BUILT_IN:
        assert list(model_options(name))[-1] == "init"


def test_a_users_model(forgotten):
    @register_model("my-net")
    def my_net(width: int = 3) -> nn.Module:
        return nn.Linear(width, 1)

    @register_model("any-net")
    def any_net(**options: int) -> nn.Module:
        return nn.Linear(options["width"], 1)

    assert "my-net" in MODELS.user_entries()
    assert prunable_sizes(build("my-net", 0, width=5)) == {"weight": 5}
    assert prunable_sizes(build("any-net", 0, width=6)) == {"weight": 6}
    with pytest.raises(UsageError, match="model 'Conv4' is already registered"):
        register_model("Conv4")(my_net)
