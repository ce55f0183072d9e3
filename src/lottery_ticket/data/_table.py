"""The table of data sets."""

import inspect
from collections.abc import Callable

from lottery_ticket.data._dataset import DataSet
from lottery_ticket.errors import UsageError
from lottery_ticket.registry import Registry

__all__ = ["DATASETS", "Loader", "register_dataset"]

Loader = Callable[..., DataSet]

DATASETS: Registry[Loader] = Registry(
    "data set", "; one of your own is registered with --import FILE.py"
)


def register_dataset(name: str) -> Callable[[Loader], Loader]:
    """Decorator that makes your own loader a data set, under `name`.

    Args:
        name: how specs and the command line call it.

    Returns:
        A decorator for `fn(data_dir: Path, **options) -> DataSet`; what the function takes after
        `data_dir` are the data set's options. It may return a torch `Dataset` as well, or two of
        them, train and test: see `DataSet.from_torch`.

    Raises:
        UsageError: the name is a built-in one, or the function does not take `data_dir`.

    Example:
        >>> import torch
        >>> from lottery_ticket.data import DataSet, Split, content_digest, register_dataset
        >>> @register_dataset("xor")
        ... def xor(data_dir, copies: int = 1):
        ...     x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).repeat(copies, 1)
        ...     y = (x.sum(1) == 1).long()
        ...     split = Split(x, y)
        ...     digest = content_digest({"x": x, "y": y})
        ...     return DataSet("xor", split, None, split, "classification", 2, digest)
    """

    def file(loader: Loader) -> Loader:
        if not inspect.signature(loader).parameters:
            raise UsageError(
                f"data set {name!r}: its loader takes the data folder first: fn(data_dir, …)"
            )
        return DATASETS.register(name, is_user=True)(loader)

    return file
