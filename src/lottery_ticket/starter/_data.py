"""Which data: a set of this machine, one to download, a file of one's own, or code for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lottery_ticket.data import DATASETS, DataSet, dataset_options, found_datasets, load_dataset
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.starter._code import registered_by
from lottery_ticket.starter._words import named_options

__all__ = ["KNOWN_FACTS", "DataChoice", "chosen_data", "data_lines"]


@dataclass(frozen=True)
class DataChoice:
    """Data, and what a model and a recipe have to know of them.

    Args:
        name, options: as a spec says them.
        task: `"classification"` or `"regression"`.
        input_shape: of one example.
        output_size: classes, or targets.
        num_train: training examples.
        imports: .py files that register them.
        is_here: whether they can be read now; else the first run downloads them.
    """

    name: str
    options: Mapping[str, Any]
    task: str
    input_shape: tuple[int, ...]
    output_size: int
    num_train: int
    imports: tuple[str, ...] = ()
    is_here: bool = True

    @property
    def about(self) -> str:
        """In a few words."""
        shape = "×".join(map(str, self.input_shape)) or "one number"
        of = f"{self.output_size} " + (
            "classes" if self.task == "classification" else "targets to fit"
        )
        return f"{self.num_train:,} training examples of {shape}, {of}"


KNOWN_FACTS: Mapping[str, tuple[tuple[int, ...], int, int]] = {
    "mnist": ((1, 28, 28), 10, 60_000),
    "fashion-mnist": ((1, 28, 28), 10, 60_000),
    "cifar10": ((3, 32, 32), 10, 50_000),
    "cifar100": ((3, 32, 32), 100, 50_000),
    "svhn": ((3, 32, 32), 10, 73_257),
}
"""Of sets to download, before they are here: shape, classes, training examples."""


def data_lines(data_dir: Path | None = None) -> dict[str, str]:
    """What can be answered → what it is."""
    found = found_datasets(data_dir)
    lines = {}
    for name in DATASETS:
        needs = [
            option
            for option in dataset_options(name).values()
            if option.default is option.empty and option.kind is not option.VAR_KEYWORD
        ]
        if needs:
            continue  # a file of one's own says the same
        about = (DATASETS[name].__doc__ or "").strip().partition("\n")[0].partition(":")[0]
        here = "" if found.get(name, Path()) is not None else " (to be downloaded)"
        lines[name] = f"{about or 'registered by your code'}{here}"
    return lines


def chosen_data(text: str, data_dir: Path | None = None) -> DataChoice:
    """What was meant by a name, a `.npz`, a folder of `.npy` or a `.py`, options behind it.

    Args:
        text: such as `"digits"`, `"mine.npz relabel=true"` or `"mine.py"`.
        data_dir: where data files are.

    Raises:
        LotteryError: there are no such data, or they cannot be read.

    >>> chosen_data("digits").about
    '1,197 training examples of 64, 10 classes'
    """
    name, options = named_options(text, "data")
    path, imports = Path(name).expanduser(), ()
    if name not in DATASETS and path.suffix == ".py":
        name, imports = registered_by(name, DATASETS, "register_dataset"), (name,)
    elif name not in DATASETS and (path.suffix == ".npz" or path.is_dir()):
        name, options = "arrays", {"path": name, **options}
    elif name not in DATASETS:
        raise UsageError(
            f"data {name!r}: no data set is called so, and it is no .npz, no folder of .npy files "
            f"and no .py file{nearest(name, data_lines(data_dir))}"
        )
    if name in KNOWN_FACTS and found_datasets(data_dir).get(name) is None:
        shape, classes, count = KNOWN_FACTS[name]
        limit = options.get("limit")
        count = min(count, limit) if type(limit) is int and limit > 0 else count
        return DataChoice(name, options, "classification", shape, classes, count, is_here=False)
    return _described(name, options, imports, load_dataset(name, data_dir=data_dir, **options))


def _described(
    name: str, options: Mapping[str, Any], imports: tuple[str, ...], data: DataSet
) -> DataChoice:
    if not isinstance(data.train.x, torch.Tensor):
        shape: tuple[int, ...] = ()
    else:
        shape = tuple(data.input_shape)
    return DataChoice(name, options, data.task, shape, data.output_size, len(data.train), imports)
