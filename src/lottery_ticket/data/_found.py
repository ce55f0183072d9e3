"""Which data sets are here, without reading them."""

from pathlib import Path

from lottery_ticket.data._cifar import BINARY, CIFAR100, PYTHON
from lottery_ticket.data._mnist import FASHION_MNIST, MNIST
from lottery_ticket.data._places import find, resolve_data_dir
from lottery_ticket.data._svhn import SVHN

__all__ = ["found_datasets"]

_LAYOUTS = {
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": (*BINARY, *PYTHON),
    "cifar100": CIFAR100,
    "svhn": SVHN,
}


def found_datasets(data_dir: Path | str | None = None) -> dict[str, Path | None]:
    """The data sets that are files, and the folder each was found in; None where it was not."""
    root = resolve_data_dir(data_dir)
    found = {name: find(root, layouts) for name, layouts in _LAYOUTS.items()}
    return {name: paths[1][0].parent if paths else None for name, paths in found.items()}
