"""What every loader hands over: tensors in splits, and what they are for."""

from dataclasses import dataclass, replace

import torch

from lottery_ticket.errors import UsageError

__all__ = ["DataSet", "Normalisation", "Split"]

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


# eq=False: comparing tensors gives tensors, so two sets are compared by their digests instead
@dataclass(frozen=True, eq=False)
class Split:
    """Examples and their targets.

    Args:
        x: float32 `(N, …)`, normalised.
        y: int64 `(N,)` class numbers, or float32 `(N, k)` regression targets.

    Raises:
        UsageError: a dtype or a shape is another one, or there are no examples.

    Example:
        >>> len(Split(torch.zeros(3, 2), torch.tensor([0, 1, 0])))
        3
    """

    x: torch.Tensor
    y: torch.Tensor

    def __post_init__(self) -> None:
        if self.x.dtype != torch.float32 or self.x.ndim < 2:
            raise UsageError(
                f"a split's x is float32 (N, …); got {self.x.dtype} {tuple(self.x.shape)}"
            )
        if (self.y.dtype, self.y.ndim) not in ((torch.int64, 1), (torch.float32, 2)):
            raise UsageError(
                "a split's y is int64 (N,) for classes or float32 (N, k) for regression; "
                f"got {self.y.dtype} {tuple(self.y.shape)}"
            )
        if len(self.x) != len(self.y) or len(self.x) == 0:
            raise UsageError(
                f"a split needs as many examples as targets, and at least one; "
                f"got {len(self.x)} and {len(self.y)}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> "Split":
        """The same split on `device`."""
        return Split(self.x.to(device), self.y.to(device))


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

    def __post_init__(self) -> None:
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

    def _check(self, split: Split, target: torch.dtype) -> None:
        if split.y.dtype != target:
            raise UsageError(f"{self.name}: {self.task} wants {target} y; got {split.y.dtype}")
        got = (split.x.shape[1:], split.y.shape[1:])
        wanted = (self.train.x.shape[1:], self.train.y.shape[1:])
        if got != wanted:
            raise UsageError(
                f"{self.name}: the shapes of one example differ between splits: "
                f"x {tuple(got[0])} and {tuple(wanted[0])}, y {tuple(got[1])} and "
                f"{tuple(wanted[1])}"
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(self.train.x.shape[1:])

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
