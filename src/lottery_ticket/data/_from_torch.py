"""A torch `Dataset` → arrays → a data set."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lottery_ticket.data._content import data_of
from lottery_ticket.data._dataset import DataSet
from lottery_ticket.data._labels import Said
from lottery_ticket.errors import LotteryError, UsageError

__all__ = ["from_torch", "is_torch"]


_IN_SPEC = re.compile(r" \((of a run: )?--set data\.[^)]*\)")  # options that no such loader has


def is_torch(value: Any) -> bool:
    """Whether it is a torch Dataset, or a few of them."""
    several = value if isinstance(value, tuple) else (value,)
    return bool(several) and all(isinstance(one, Dataset) for one in several)


def from_torch(
    name: str, parts: Mapping[str, Any], *, task: str, num_classes: int, relabel: bool
) -> DataSet:
    """See `DataSet.from_torch`; `parts` are Datasets by split, None where there is none."""
    content: dict[str, np.ndarray] = {}
    for part, dataset in parts.items():
        if dataset is not None:
            content[f"{part}.x"], content[f"{part}.y"] = _arrays(f"{name}: {part}", dataset)

    def fail(problem: str, remedy: str) -> LotteryError:
        said = _IN_SPEC.sub("", remedy)
        if said != remedy or "num_classes=" in said:
            said += " Say it to DataSet.from_torch(train, test, …), and let the loader return that."
        return UsageError(f"{name}: {problem}. {said}")

    return data_of(name, content, Said(task, num_classes, relabel), fail)


def _arrays(what: str, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(dataset, IterableDataset) or not isinstance(dataset, Dataset):
        raise UsageError(
            f"{what} is a map-style torch Dataset, such as TensorDataset(x, y); "
            f"got {type(dataset).__name__}"
        )
    try:
        length = len(dataset)  # type: ignore[arg-type]
    except TypeError:
        raise UsageError(f"{what}: its Dataset has no length; give it __len__") from None
    if length == 0:
        raise UsageError(f"{what}: its Dataset is empty")
    if type(dataset) is TensorDataset and len(dataset.tensors) == 2:
        x, y = (_array(what, tensor) for tensor in dataset.tensors)
        return x, y
    _check_same(what, dataset)
    pairs = [_pair(what, index, dataset[index]) for index in range(length)]
    return tuple(_stacked(what, arrays) for arrays in zip(*pairs, strict=True))  # type: ignore[return-value]


def _check_same(what: str, dataset: Any) -> None:
    """Items that are drawn at random have no digest, and would be other data in every worker."""
    first, again = (_pair(what, 0, dataset[0]) for _ in range(2))
    if not all(np.array_equal(one, other) for one, other in zip(first, again, strict=True)):
        raise UsageError(
            f"{what}: item 0 is another one each time it is read; leave random transforms out, and "
            "use train.augment"
        )


def _pair(what: str, index: int, item: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise UsageError(f"{what}: item {index} is (example, label); got {type(item).__name__}")
    example = _array(f"{what}: example {index}", item[0], "biuf")
    return example, _array(f"{what}: label {index}", item[1])


def _array(what: str, value: Any, kinds: str = "biufUS") -> np.ndarray:
    if isinstance(value, torch.Tensor):
        try:
            return value.detach().cpu().numpy()
        except (TypeError, RuntimeError, NotImplementedError) as error:
            raise UsageError(f"{what}: NumPy cannot hold it: {error}") from None
    if isinstance(value, np.ndarray | np.generic | int | float | str):
        array = np.asarray(value)
        if array.dtype.kind in kinds:
            return array
    raise UsageError(
        f"{what} is a tensor or numbers; got {type(value).__name__}; give the Dataset a transform "
        "that makes tensors"
    )


def _stacked(what: str, arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    for index, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise UsageError(
                f"{what}: item {index} has shape {array.shape}, item 0 {arrays[0].shape}; all have "
                "the same"
            )
    return np.stack(arrays)
