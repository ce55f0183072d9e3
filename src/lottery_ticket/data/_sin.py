"""A noisy sine: the smallest regression."""

import math
from pathlib import Path

import torch

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.data._digest import content_digest
from lottery_ticket.data._table import DATASETS
from lottery_ticket.errors import UsageError
from lottery_ticket.seeds import generator

__all__ = ["sin"]

TRAIN_SHARE = 0.7


@DATASETS.register("sin")
def sin(data_dir: Path | None, num_points: int = 100, noise: float = 0.2, seed: int = 0) -> DataSet:
    """`y = sin(x) + noise · N(0, 1)`, x uniform on [−π, π]: x and y `(N, 1)`, 70 % for training.

    Args:
        data_dir: not used, the points are drawn.
        num_points: how many, for training and test together.
        noise: the standard deviation of the noise.
        seed: of the points and the noise.

    Raises:
        UsageError: fewer than two points, or a noise that is negative or not finite.

    Example:
        >>> data = sin(None, num_points=10)
        >>> len(data.train), len(data.test), data.output_size
        (7, 3, 1)
    """
    if num_points < 2:
        raise UsageError(f"data set 'sin': num_points is 2 or more; got {num_points}")
    if not (math.isfinite(noise) and noise >= 0):
        raise UsageError(f"data set 'sin': noise is a finite number ≥ 0; got {noise}")
    stream = generator(seed, "data", "sin")
    # in float64, so that a last bit that differs between machines is rounded away
    shape, wide = (num_points, 1), torch.float64
    x = (torch.rand(shape, generator=stream, dtype=wide) * 2 - 1) * math.pi
    y = x.sin() + noise * torch.randn(shape, generator=stream, dtype=wide)
    x, y = x.float(), y.float()
    num_train = round(TRAIN_SHARE * num_points)
    return DataSet(
        name="sin",
        train=Split(x[:num_train], y[:num_train]),
        validation=None,
        test=Split(x[num_train:], y[num_train:]),
        task="regression",
        num_classes=None,
        digest=content_digest({"x": x, "y": y, "num_train": torch.tensor(num_train)}),
    )
