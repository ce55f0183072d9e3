"""Code to begin one's own data or model with: it runs as it is."""

__all__ = ["TEMPLATE_DATA", "TEMPLATE_MODEL", "template"]

TEMPLATE_DATA, TEMPLATE_MODEL = "my-data", "my-model"
"""What the templates register."""

_HEAD = '''"""Code of your own for `lottery run SPEC --import {file}`: change it, its names stay.

A run's results are named by this file, too: what you change makes a new run, the old one is kept.
"""
'''

_DATA = '''
import torch

from lottery_ticket.data import DataSet, Split, content_digest, register_dataset


@register_dataset("my-data")
def my_data(data_dir, num_examples: int = 1000, seed: int = 0):
    """Points in a plane, and in which of three rings they lie: put your own data here.

    Args:
        data_dir: the folder that --data-dir or $LOTTERY_DATA names; read files from there.
        num_examples, seed: options: a spec says `data: {name: my-data, num_examples: 2000}`.
    """
    random = torch.Generator().manual_seed(seed)
    # x: float32 (N, …), an example a row; images are (N, channels, height, width), about 0 to 1
    x = 2 * torch.rand(num_examples, 2, generator=random) - 1
    # y: int64 (N,) of class numbers 0, 1, 2, …; or float32 (N, k) of numbers to fit
    y = (3 * x.norm(dim=1)).long().clamp(max=2)
    num_test = num_examples // 5
    return DataSet(
        name="my-data",
        train=Split(x[num_test:], y[num_test:]),
        validation=None,  # or a Split: early stopping and your own choices look at it
        test=Split(x[:num_test], y[:num_test]),  # never trained on: results are measured by it
        task="classification",  # or "regression"
        num_classes=3,  # None for a regression
        digest=content_digest({"x": x, "y": y}),  # so that other data are another run
    )
'''

_MODEL = '''
from torch import nn

from lottery_ticket import register_model


@register_model("my-model")
def my_model(input_size: int, num_classes: int, hidden: int = 64):
    """Two hidden layers: put your own net here.

    Args:
        input_size, num_classes: follow from the data, if the function takes them.
        hidden: an option: a spec says `model: {name: my-model, hidden: 128}`.
    """
    # any nn.Module will do; its linear and convolutional weights are what is pruned
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(input_size, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )
'''


def template(file: str, *, data: bool, model: bool) -> str:
    """The text of a `.py` with data, a model or both.

    Args:
        file: what it will be called.
        data, model: what it registers.

    >>> '"my-model"' in template("mine.py", data=False, model=True)
    True
    """
    parts = [_HEAD.format(file=file), _DATA if data else "", _MODEL if model else ""]
    if not (data and model):
        return "".join(parts)
    # imports stand at the top
    lines = [_MODEL_IMPORTS, _DATA.replace(_DATA_IMPORTS, ""), _MODEL.replace(_OF_MODEL, "")]
    return parts[0] + lines[0] + lines[1] + lines[2]


_OF_MODEL = "\nfrom torch import nn\n\nfrom lottery_ticket import register_model\n"
_DATA_IMPORTS = (
    "\nimport torch\n\n"
    "from lottery_ticket.data import DataSet, Split, content_digest, register_dataset\n"
)
_MODEL_IMPORTS = (
    "\nimport torch\nfrom torch import nn\n\nfrom lottery_ticket import register_model\n"
    "from lottery_ticket.data import DataSet, Split, content_digest, register_dataset\n"
)
