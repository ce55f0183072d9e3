"""VGG and ResNet have torchvision's `state_dict`: keys and shapes, so that its weights load.

The digests are those of torchvision 0.29's own models.
"""

import hashlib
import json

import pytest
import torch

from lottery_ticket.models import build, outline

PLAIN_VGG = {
    "VGG11": "59cda18df869a82aa0cc895d4a583f491590ef63bd818e68e2b3d52c82b7bb1d",
    "VGG13": "46abe6e768960ed954e2c70f019da3c322c6b31204959548d332c688c8e95a8e",
    "VGG16": "0cc99bf3870063ffa4ce1257d726dbe7e9a7a89ccfaa103b591510cc0eaee825",
    "VGG19": "29721254c4913bff488aaa8f0216c90d9c4f07216a8b8a729d2a69d9743f0b02",
}
NORMED_VGG = {
    "VGG11": "2dd191eeae3157b87ef2ff16b44f3ba24fe9a54c590be829e8d98801f98aebdd",
    "VGG13": "cd8caa968f00ce2f77ecf60ac8ea361d28e2745421e8e89b3a1ce8a702ec3c0b",
    "VGG16": "a86a448afec1a02edb3c02ade690dd1b645691cbdb99504d7a1dd849d6d7ef73",
    "VGG19": "06942fd3b84fcb74327d05cf2d1aedefeba1833460ac2ec5750d12bf3ed83f3b",
}
RESNET = {
    "ResNet18": "5053771ee593804da940bc7cf1dd383af89a52b40e183efce8bddf0a419e6200",
    "ResNet34": "505025c056339331060639a323af078b2a95fcee4d57a5c14108092dd19685a7",
    "ResNet50": "a70dbc5161cf2045a7a1e47946736ad5f6b3d6f300049d2836bdd65e7da398d0",
    "ResNet101": "81c4096cdbaed6416fba09547d5b2eb04edd8112197d6ac1005a222e0a02617c",
}
LAYOUTS = [
    *((name, {}, digest) for name, digest in PLAIN_VGG.items()),
    *((name, {"batch_norm": True}, digest) for name, digest in NORMED_VGG.items()),
    *((name, {}, digest) for name, digest in RESNET.items()),
]


def check_layout(make, name, options, digest):
    state = make(name, **options).state_dict()
    listed = sorted([key, list(value.shape)] for key, value in state.items())
    assert hashlib.sha256(json.dumps(listed).encode()).hexdigest() == digest


@pytest.mark.parametrize(("name", "options", "digest"), LAYOUTS)
def test_keys_and_shapes_are_torchvisions(name, options, digest):
    check_layout(outline, name, options, digest)


def with_ten_classes(name, **options):
    return outline(name, num_classes=10, **options)


def without_the_last_bias(name, **options):
    model = outline(name, **options)
    list(model.modules())[-1].bias = None
    return model


def in_another_module(name, **options):
    return torch.nn.Sequential(outline(name, **options))


@pytest.mark.parametrize("mutant", [with_ten_classes, without_the_last_bias, in_another_module])
@pytest.mark.parametrize(("name", "options", "digest"), LAYOUTS[::4])
def test_other_layouts_are_caught(mutant, name, options, digest):
    with pytest.raises(AssertionError):
        check_layout(mutant, name, options, digest)


def test_literal_keys():
    vgg = {name: tuple(v.shape) for name, v in outline("VGG16").state_dict().items()}
    assert vgg["features.0.weight"] == (64, 3, 3, 3)
    assert vgg["features.28.bias"] == (512,)
    assert vgg["classifier.0.weight"] == (4096, 25_088)
    assert vgg["classifier.6.weight"] == (1000, 4096)
    normed = outline("VGG16", batch_norm=True).state_dict()
    assert {"features.0.bias", "features.1.running_var", "features.40.weight"} <= normed.keys()
    resnet = {name: tuple(v.shape) for name, v in outline("ResNet50").state_dict().items()}
    assert resnet["conv1.weight"] == (64, 3, 7, 7)
    assert resnet["bn1.num_batches_tracked"] == ()
    assert resnet["layer1.0.conv1.weight"] == (64, 64, 1, 1)
    assert resnet["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert resnet["layer2.0.conv2.weight"] == (128, 128, 3, 3)
    assert resnet["layer4.2.bn3.running_mean"] == (2048,)
    assert resnet["fc.weight"] == (1000, 2048)
    assert "layer1.0.downsample.1.bias" in resnet
    assert "layer1.1.downsample.0.weight" not in resnet
    assert "conv1.bias" not in resnet


def test_features_of_normed_vgg_load_into_the_cifar_form():
    wide = {n: v.shape for n, v in outline("VGG13", batch_norm=True).features.state_dict().items()}
    thin = outline("VGG13", form="cifar").features.state_dict()
    assert {name: value.shape for name, value in thin.items()} == wide


def check_own_weights(model):
    """torchvision's initial weights: N(0, 2 / fan_out) for convolutions, norms 1 and 0."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            fan_out = layer.out_channels * layer.kernel_size[0] ** 2
            assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
            assert layer.weight.abs().max() > 2.5 * layer.weight.std(), "normal, not uniform"
            assert layer.bias is None or not layer.bias.any()
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()


def test_own_weights():
    for model in (
        build("ResNet18", 0),
        build("ResNet20", 0),
        build("VGG13", 0, form="cifar", num_classes=100),
    ):
        check_own_weights(model)
    assert model.classifier.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not model.classifier.bias.any()


@pytest.mark.parametrize("init", ["pytorch", "kaiming_normal", "kaiming_uniform", "glorot_normal"])
def test_other_weights_are_caught(init):
    with pytest.raises(AssertionError):
        check_own_weights(build("ResNet20", 0, init=init))
