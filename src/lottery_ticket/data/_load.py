"""Name and options → data set; and which data sets are here."""

import inspect
from pathlib import Path
from typing import Any

from lottery_ticket.data._cifar import BINARY, CIFAR100, PYTHON
from lottery_ticket.data._dataset import DataSet
from lottery_ticket.data._files import chosen_dir, find, resolve_data_dir
from lottery_ticket.data._hold_out import limited
from lottery_ticket.data._mnist import FASHION_MNIST, MNIST
from lottery_ticket.data._returned import returned
from lottery_ticket.data._svhn import SVHN
from lottery_ticket.data._table import DATASETS, Loader
from lottery_ticket.errors import DataError, LotteryError, UsageError
from lottery_ticket.process import random_state_kept
from lottery_ticket.registry import check_options, options_of

__all__ = ["dataset_options", "found_datasets", "limits_itself", "load_dataset"]

_LIMIT = inspect.Parameter("limit", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=int)

_LAYOUTS = {
    "mnist": MNIST,
    "fashion-mnist": FASHION_MNIST,
    "cifar10": (*BINARY, *PYTHON),
    "cifar100": CIFAR100,
    "svhn": SVHN,
}


def dataset_options(name: str) -> dict[str, inspect.Parameter]:
    """The options a data set takes besides its folder, read from its loader's signature.

    Every data set takes `limit`, see `load_dataset`; a loader with a `limit` of its own, or one
    that takes any option, gets it as it is.

    Args:
        name: a registered data set.

    Returns:
        Option → its parameter (`default`, `annotation`), in the order of the signature.

    Raises:
        UsageError: the name is unknown.

    Example:
        >>> {key: option.default for key, option in dataset_options("mnist").items()}
        {'validation': 0, 'limit': 0}
    """
    own = _own_options(name)
    return own if limits_itself(name) else {**own, "limit": _LIMIT}


def _own_options(name: str) -> dict[str, inspect.Parameter]:
    return options_of(DATASETS[name], given=1)


def limits_itself(name: str) -> bool:
    """Whether `limit` is an option of the loader's own, and means what it says."""
    own = _own_options(name)
    return "limit" in own or any(option.kind is option.VAR_KEYWORD for option in own.values())


def load_dataset(name: str, *, data_dir: Path | str | None = None, **options: Any) -> DataSet:
    """Load a data set, downloading it if no folder is named and the cache lacks it.

    Args:
        name: a registered data set.
        data_dir: where its files are; None for `$LOTTERY_DATA`, else the user's cache. Only the
            cache is ever downloaded into, from the original addresses or from
            `$LOTTERY_MIRROR/<name>/<file>`.
        **options: what `dataset_options(name)` lists. `limit` takes so many training examples, the
            first of a fixed shuffle, and at most so many of validation and test.

    Raises:
        UsageError: the name, an option or its value is wrong.
        DataError: a file is missing or damaged, or a download failed.

    Example:
        >>> data = load_dataset("digits")
        >>> tuple(data.train.x.shape), data.num_classes
        ((1197, 64), 10)
    """
    entry = DATASETS.entry(name)
    _check_options(name, options)
    limit = 0 if limits_itself(name) else options.pop("limit", 0)
    if entry.is_user:
        data = _loaded_by_user(name, entry.value, resolve_data_dir(data_dir), options)
    else:
        data = entry.value(chosen_dir(data_dir), **options)
    return limited(data, limit)


def _loaded_by_user(name: str, loader: Loader, data_dir: Path, options: dict[str, Any]) -> DataSet:
    try:
        with random_state_kept():
            return returned(name, loader(data_dir, **options))
    except UsageError as error:
        raise UsageError(f"data set {name!r}: {error}") from error
    except LotteryError:
        raise
    except Exception as error:  # a user's own loader may raise anything
        kind = type(error).__name__
        raise DataError(f"data set {name!r}: its loader failed: {kind}: {error}") from error


def _check_options(name: str, options: dict[str, Any]) -> None:
    known = dataset_options(name)
    check_options(f"data set {name!r}", options, known)
    for key, option in known.items():
        is_named = option.kind not in (option.VAR_KEYWORD, option.VAR_POSITIONAL)
        if is_named and option.default is option.empty and key not in options:
            raise UsageError(f"data set {name!r} needs the option {key!r}")


def found_datasets(data_dir: Path | str | None = None) -> dict[str, Path | None]:
    """The data sets that are files, and the folder each was found in; None where it was not."""
    root = resolve_data_dir(data_dir)
    found = {name: find(root, layouts) for name, layouts in _LAYOUTS.items()}
    return {name: paths[1][0].parent if paths else None for name, paths in found.items()}
