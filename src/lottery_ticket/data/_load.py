"""Name and options → data set."""

import inspect
from pathlib import Path
from typing import Any

from lottery_ticket.data._dataset import DataSet
from lottery_ticket.data._limit import limited
from lottery_ticket.data._places import chosen_dir, resolve_data_dir
from lottery_ticket.data._returned import returned
from lottery_ticket.data._table import DATASETS, Loader
from lottery_ticket.errors import DataError, LotteryError, UsageError, nearest
from lottery_ticket.process import random_state_kept

__all__ = ["dataset_options", "limits_itself", "load_dataset"]

_LIMIT = inspect.Parameter("limit", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=int)

# by name, as annotations may be strings; int is a float to anyone who writes a spec
ACCEPTED: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
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
    parameters = list(inspect.signature(DATASETS[name]).parameters.values())[1:]
    return {parameter.name: parameter for parameter in parameters}


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
