"""Name and options → data set."""

import inspect
from pathlib import Path
from typing import Any

from lottery_ticket.data._dataset import DataSet
from lottery_ticket.data._places import chosen_dir, resolve_data_dir
from lottery_ticket.data._table import DATASETS
from lottery_ticket.errors import DataError, LotteryError, UsageError, nearest

__all__ = ["dataset_options", "load_dataset"]

# by name, as annotations may be strings; int is a float to anyone who writes a spec
ACCEPTED: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
}


def dataset_options(name: str) -> dict[str, inspect.Parameter]:
    """The options a data set takes besides its folder, read from its loader's signature.

    Args:
        name: a registered data set.

    Returns:
        Option → its parameter (`default`, `annotation`), in the order of the signature.

    Raises:
        UsageError: the name is unknown.

    Example:
        >>> {key: option.default for key, option in dataset_options("mnist").items()}
        {'validation': 0}
    """
    parameters = list(inspect.signature(DATASETS[name]).parameters.values())[1:]
    return {parameter.name: parameter for parameter in parameters}


def load_dataset(name: str, *, data_dir: Path | str | None = None, **options: Any) -> DataSet:
    """Load a data set, downloading it if no folder is named and the cache lacks it.

    Args:
        name: a registered data set.
        data_dir: where its files are; None for `$LOTTERY_DATA`, else the user's cache. Only the
            cache is ever downloaded into, from the original addresses or from
            `$LOTTERY_MIRROR/<name>/<file>`.
        **options: what `dataset_options(name)` lists.

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
    if not entry.is_user:
        return entry.value(chosen_dir(data_dir), **options)
    try:
        data = entry.value(resolve_data_dir(data_dir), **options)
    except LotteryError:
        raise
    except Exception as error:  # a user's own loader may raise anything
        kind = type(error).__name__
        raise DataError(f"data set {name!r}: its loader failed: {kind}: {error}") from error
    _check_result(name, data)
    return data


def _check_options(name: str, options: dict[str, Any]) -> None:
    known = dataset_options(name)
    takes_any = any(option.kind is option.VAR_KEYWORD for option in known.values())
    for key, value in options.items():
        if key in known:
            _check_type(name, known[key], value)
        elif not takes_any:
            hint = nearest(key, known) if known else "; it takes none"
            raise UsageError(f"data set {name!r} has no option {key!r}{hint}")
    for key, option in known.items():
        is_named = option.kind not in (option.VAR_KEYWORD, option.VAR_POSITIONAL)
        if is_named and option.default is option.empty and key not in options:
            raise UsageError(f"data set {name!r} needs the option {key!r}")


def _check_type(name: str, option: inspect.Parameter, value: Any) -> None:
    wanted = getattr(option.annotation, "__name__", option.annotation)
    types = ACCEPTED.get(wanted)
    if types is None:
        return
    # True is an int to Python, but not to the user who wrote it
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise UsageError(f"data set {name!r}: {option.name} is {wanted}; got {value!r}")


def _check_result(name: str, data: Any) -> None:
    if not isinstance(data, DataSet):
        raise UsageError(
            f"data set {name!r}: its loader must return a DataSet; got {type(data).__name__}"
        )
    if data.num_classes is None:
        return
    for split in filter(None, (data.train, data.validation, data.test)):
        low, high = int(split.y.min()), int(split.y.max())
        if low < 0 or high >= data.num_classes:
            raise UsageError(
                f"data set {name!r}: labels go from 0 to num_classes − 1 = "
                f"{data.num_classes - 1}; got {low} to {high}"
            )
