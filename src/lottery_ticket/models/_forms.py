"""The forms of the models: what a table of them lists, and what a table or figure calls one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lottery_ticket.models._registry import MODELS, model_options

__all__ = ["FORMS", "ModelForm", "model_label", "options_text"]


@dataclass(frozen=True)
class ModelForm:
    """A model with the options that make it a net of its own.

    Args:
        name: of the registered model.
        source: where it was published; "after" that, where the form is not the one described there.
        input_shape: of one example it is meant for, without the batch.
        options: what tells this form from the model's others, or what it cannot be built without.
    """

    name: str
    source: str
    input_shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


_MNIST, _CIFAR, _IMAGENET = (1, 28, 28), (3, 32, 32), (3, 224, 224)
_LECUN, _FRANKLE = "LeCun et al. 1998", "Frankle & Carbin 2019"
_SIMONYAN, _HE = "Simonyan & Zisserman 2015", "He et al. 2016a"


def _conv_forms(name: str) -> list[ModelForm]:
    return [
        ModelForm(name, f"after {_FRANKLE}", _CIFAR, {"form": "compact"}),
        ModelForm(name, _FRANKLE, _CIFAR, {"form": "paper"}),
    ]


def _vgg_forms(name: str) -> list[ModelForm]:
    cifar_source = _FRANKLE if name == "VGG19" else f"after {_FRANKLE}"
    return [
        ModelForm(name, _SIMONYAN, _IMAGENET, {"form": "imagenet"}),
        ModelForm(name, f"after {_SIMONYAN}", _IMAGENET, {"form": "imagenet", "batch_norm": True}),
        ModelForm(name, cifar_source, _CIFAR, {"form": "cifar"}),
    ]


def _resnet_forms(name: str) -> list[ModelForm]:
    return [
        ModelForm(name, _HE, _IMAGENET, {"stem": "imagenet"}),
        ModelForm(name, f"after {_HE}", _CIFAR, {"stem": "cifar"}),
    ]


def _cifar_resnet_forms(name: str) -> list[ModelForm]:
    return [
        ModelForm(name, f"after {_HE}", _CIFAR, {"shortcut": "B"}),
        ModelForm(name, _HE, _CIFAR, {"shortcut": "A"}),
    ]


FORMS: tuple[ModelForm, ...] = (
    ModelForm("LeNet300", _LECUN, _MNIST),
    ModelForm("LeNet5", f"after {_LECUN}", _MNIST),
    ModelForm("MLP", "", (784,), {"input_size": 784, "num_classes": 10}),
    *(form for depth in (2, 4, 6) for form in _conv_forms(f"Conv{depth}")),
    *(form for depth in (11, 13, 16, 19) for form in _vgg_forms(f"VGG{depth}")),
    *(form for depth in (18, 34, 50, 101) for form in _resnet_forms(f"ResNet{depth}")),
    *(form for depth in (20, 32, 44, 56, 110) for form in _cifar_resnet_forms(f"ResNet{depth}")),
)
"""Every model in each of its forms, as `lottery models` lists them."""


def options_text(options: Mapping[str, Any]) -> str:
    """Options as one line.

    >>> options_text({"form": "imagenet", "batch_norm": True})
    'form=imagenet, batch_norm=true'
    """
    # true and false as a spec has them
    said = {n: str(v).lower() if isinstance(v, bool) else v for n, v in options.items()}
    return ", ".join(f"{name}={value}" for name, value in said.items())


def model_label(name: str, options: Mapping[str, Any] | None = None) -> str:
    """A model's name with its form, for tables and figures.

    The form is every option in words, given or default, and every other that is not its default.

    Args:
        name: of a model; one that is not registered (a user's, in an old run) keeps its options.
        options: those that were given.

    >>> model_label("Conv4"), model_label("Conv4", {"form": "paper", "num_classes": 100})
    ('Conv4 (form=compact)', 'Conv4 (form=paper, num_classes=100)')
    >>> model_label("LeNet300", {"init": "glorot_normal"})
    'LeNet300 (init=glorot_normal)'
    """
    known = model_options(name) if name in MODELS else {}
    defaults = {n: p.default for n, p in known.items() if p.default is not p.empty}
    shown = {n: value for n, value in defaults.items() if isinstance(value, str)}
    for option, value in (options or {}).items():
        if isinstance(value, str) or option not in defaults or not _same(value, defaults[option]):
            shown[option] = value
    return f"{name} ({options_text(shown)})" if shown else name


def _same(one: Any, other: Any) -> bool:
    # a tuple by default is a list in a spec
    is_list = isinstance(one, list | tuple) and isinstance(other, list | tuple)
    return list(one) == list(other) if is_list else one == other
