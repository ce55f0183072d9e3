"""What every loader hands over: tensors in splits, and what they are for."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import torch

from lottery_ticket.data._features import Features, each, pieces, shapes_of, take, tensors_of
from lottery_ticket.errors import UsageError
from lottery_ticket.notebook_html import notebook_html

__all__ = ["PARTS", "DataSet", "Normalisation", "Split", "content_digest"]

PARTS = ("train", "validation", "test")

_INDICES = (torch.int64, torch.int32, torch.bool)
_TARGETS = ((torch.int64, 1), (torch.int64, 2), (torch.float32, 2))
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Normalisation:
    """How a stored example became what a model sees: x = (stored / scale − mean) / std.

    Args:
        mean, std: per channel, or one number for all.
        scale: the largest stored value.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 255.0


def _tensor(axis: str, value: Any) -> torch.Tensor:
    """A plain tensor of the same values."""
    if isinstance(value, np.ndarray):
        native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
        try:
            value = torch.from_numpy(native if native.flags.writeable else native.copy())
        except TypeError:  # text, objects, dates
            raise UsageError(
                f"a split's {axis} is numbers; got an array of {value.dtype}"
            ) from None
    if not isinstance(value, torch.Tensor):
        raise UsageError(
            f"a split's {axis} is a tensor; got {type(value).__name__}; torch.tensor({axis}) makes "
            "one of a list of numbers"
        )
    if value.layout != torch.strided:
        raise UsageError(f"a split's {axis} is a dense tensor; got {value.layout}; use .to_dense()")
    return value.detach() if value.requires_grad else value


def _remedy_x(x: torch.Tensor) -> str:
    if x.ndim < 2:
        return "; x[:, None] gives each example a value of its own"
    return "; x.float() / 255 makes it so" if x.dtype == torch.uint8 else "; x.float() makes it so"


# eq=False: comparing tensors gives tensors, so two sets are compared by their digests instead
@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their targets.

    Args:
        x: float32 `(N, …)`, normalised; int64 `(N, …)` for numbers of tokens; or several of these
            by name, which a model takes as `model(**x)`.
        y: int64 `(N,)` class numbers, int64 `(N, T)` one at each of T places, or float32 `(N, k)`
            regression targets.

    NumPy arrays are taken as tensors, and a tensor that asks for gradients without them.

    Raises:
        UsageError: a dtype or a shape is another one, or there are no examples.

    Example:
        >>> len(Split(torch.zeros(3, 2), torch.tensor([0, 1, 0])))
        3
    """

    x: Features
    y: torch.Tensor

    _repr_html_ = notebook_html

    def __post_init__(self) -> None:
        object.__setattr__(self, "y", _tensor("y", self.y))
        if isinstance(self.x, Mapping):
            named = {str(name): _tensor(f"x[{name!r}]", value) for name, value in self.x.items()}
            if not named:
                raise UsageError("a split's x is a tensor, or several by name; got no name")
            object.__setattr__(self, "x", named)
        else:
            object.__setattr__(self, "x", _tensor("x", self.x))
        for x in tensors_of(self.x):
            self._check_x(x)
        is_column = self.y.ndim == 2 and self.y.shape[1] == 1 and self.y.dtype == torch.int64
        if is_column or (self.y.dtype, self.y.ndim) not in _TARGETS:
            raise UsageError(
                "a split's y is int64 (N,) for classes, (N, T) for one at each of T places, or "
                f"float32 (N, k) for regression; got {self.y.dtype} {tuple(self.y.shape)}; "
                "y.long() and y.float() change its type, y.squeeze(1) and y[:, None] its shape"
            )
        if {len(x) for x in tensors_of(self.x)} != {len(self.y)} or len(self.y) == 0:
            counts = ", ".join(str(len(x)) for x in tensors_of(self.x))
            raise UsageError(
                f"a split needs as many examples as targets, and at least one; "
                f"got {counts} and {len(self.y)}"
            )

    def _check_x(self, x: torch.Tensor) -> None:
        is_index = x.dtype in _INDICES and x.ndim >= 1
        if not is_index and (x.dtype != torch.float32 or x.ndim < 2):
            raise UsageError(
                f"a split's x is float32 (N, …); got {x.dtype} {tuple(x.shape)}{_remedy_x(x)}; "
                "numbers of tokens are int64"
            )

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        x = ", ".join(f"{x.dtype} {tuple(x.shape)}" for x in tensors_of(self.x))
        return f"Split(x: {x}; y: {self.y.dtype} {tuple(self.y.shape)})".replace("torch.", "")

    @property
    def tensor(self) -> torch.Tensor:
        """x where it is one tensor; raises `UsageError` where it is several by name."""
        if not isinstance(self.x, torch.Tensor):
            raise UsageError(
                f"the examples are several tensors by name ({', '.join(self.x)}), and this takes "
                "one tensor"
            )
        return self.x

    def rows(self, numbers: torch.Tensor) -> "Split":
        """The examples of these numbers."""
        return Split(take(self.x, numbers), self.y.index_select(0, numbers))

    def first(self, size: int) -> "Split":
        """The first examples."""
        return Split(each(self.x, lambda x: x[:size]), self.y[:size])

    def pieces(self, size: int) -> Iterator[tuple[Features, torch.Tensor]]:
        """Examples and targets in turn, so many at a time."""
        return zip(pieces(self.x, size), self.y.split(size), strict=True)

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.y.device

    def to(self, device: torch.device | str) -> "Split":
        """The same split on `device`."""
        return Split(each(self.x, lambda x: x.to(device)), self.y.to(device))


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set ready to train on.

    Args:
        name: what it was loaded as.
        train: the training split.
        validation: the validation split, or None.
        test: the test split.
        task: "classification" or "regression".
        num_classes: the number of classes; None for regression.
        digest: hex SHA-256 of the decoded content before normalisation, see `content_digest`.
        normalisation: how x was normalised; None where nobody says.
        licence: of the data, as an SPDX identifier; None where it is not known.
        classes: what each class was called, where labels were numbered anew.

    Raises:
        UsageError: the task is unknown, or the splits do not fit it or one another.

    Example:
        >>> split = Split(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
        >>> data = DataSet("mine", split, None, split, "classification", 2, "00ff")
        >>> data.input_shape, data.output_size
        ((2,), 2)
    """

    name: str
    train: Split
    validation: Split | None
    test: Split
    task: str
    num_classes: int | None
    digest: str
    normalisation: Normalisation | None = None
    licence: str | None = None
    classes: tuple[Any, ...] | None = None

    _repr_html_ = notebook_html

    def __repr__(self) -> str:
        sizes = {"train": self.train, "validation": self.validation, "test": self.test}
        splits = ", ".join(f"{len(split):,} {name}" for name, split in sizes.items() if split)
        what = f"{self.num_classes} classes" if self.num_classes is not None else self.task
        return f"DataSet({self.name!r}: {splits}; {what}; inputs {shapes_of(self.train.x)})"

    def __post_init__(self) -> None:
        self._check_fields()
        if self.task not in TASKS:
            raise UsageError(f"{self.name}: task is one of {TASKS}; got {self.task!r}")
        is_classes = self.task == "classification"
        if is_classes != (self.num_classes is not None):
            raise UsageError(
                f"{self.name}: classification needs num_classes and regression has None; "
                f"got {self.task} with {self.num_classes}"
            )
        for split in filter(None, (self.train, self.validation, self.test)):
            self._check(split, torch.int64 if is_classes else torch.float32)

    def _check_fields(self) -> None:
        for field in ("train", "test"):
            if not isinstance(getattr(self, field), Split):
                self._refuse(field, "a Split(x, y)")
        if not isinstance(self.validation, Split | None):
            self._refuse("validation", "a Split(x, y) or None")
        for field in ("name", "digest"):
            if not isinstance(getattr(self, field), str):
                self._refuse(field, "text" if field == "name" else "text, from content_digest")
        if isinstance(self.num_classes, np.integer):
            object.__setattr__(self, "num_classes", int(self.num_classes))
        if self.num_classes is not None and type(self.num_classes) is not int:
            self._refuse("num_classes", "a whole number, or None for regression")

    def _refuse(self, field: str, wanted: str) -> NoReturn:
        got = getattr(self, field)
        raise UsageError(f"{self.name}: {field} is {wanted}; got {type(got).__name__}")

    def _check(self, split: Split, target: torch.dtype) -> None:
        if split.y.dtype != target:
            raise UsageError(f"{self.name}: {self.task} wants {target} y; got {split.y.dtype}")
        got = (shapes_of(split.x), tuple(split.y.shape[1:]))
        wanted = (shapes_of(self.train.x), tuple(self.train.y.shape[1:]))
        if got != wanted:
            raise UsageError(
                f"{self.name}: the shapes of one example differ between splits: "
                f"x {got[0]} and {wanted[0]}, y {got[1]} and {wanted[1]}"
            )

    @classmethod
    def from_torch(
        cls,
        train: Any,
        test: Any = None,
        *,
        validation: Any = None,
        name: str = "torch",
        task: str = "",
        num_classes: int = 0,
        relabel: bool = False,
    ) -> "DataSet":
        """The data set of map-style torch `Dataset`s, whose items are (example, label).

        Each is read once, from beginning to end, into memory. x, y and the options mean what they
        mean for the data set `arrays`, and so does a missing `test`.

        Args:
            train, test, validation: such as `TensorDataset(x, y)`.
            name: what it is called.
            task: "classification" or "regression", where the labels do not say it.
            num_classes: how many classes there are, where some occur nowhere.
            relabel: number the classes anew, in the order of their values.

        Raises:
            UsageError: something is no such Dataset, its items differ from call to call or from
                one another, or they make no data set.

        Example:
            >>> from torch.utils.data import TensorDataset
            >>> items = TensorDataset(torch.randn(40, 3), torch.arange(40) % 2)
            >>> data = DataSet.from_torch(items)
            >>> len(data.train), len(data.test), data.num_classes
            (32, 8, 2)
        """
        from lottery_ticket.data._from_torch import from_torch  # which makes DataSets

        parts = {"train": train, "validation": validation, "test": test}
        return from_torch(name, parts, task=task, num_classes=num_classes, relabel=relabel)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example; () of several tensors by name."""
        return tuple(self.train.x.shape[1:]) if isinstance(self.train.x, torch.Tensor) else ()

    @property
    def output_size(self) -> int:
        """How many numbers a model returns for one example."""
        return self.train.y.shape[1] if self.num_classes is None else self.num_classes

    def to(self, device: torch.device | str) -> "DataSet":
        """The same data set on `device`."""
        validation = None if self.validation is None else self.validation.to(device)
        return replace(
            self, train=self.train.to(device), validation=validation, test=self.test.to(device)
        )


def content_digest(arrays: Mapping[str, np.ndarray | torch.Tensor]) -> str:
    """Hex SHA-256 of named arrays: of each one's name, dtype, shape and little-endian bytes.

    Args:
        arrays: name → array or tensor, of any shape and any plain dtype; their order is ignored.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> content_digest({"x": np.arange(3)}) == content_digest({"x": torch.arange(3)})
        True
    """
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name}\x1f{array.dtype.str}\x1f{array.shape}\x1f".encode())
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()
