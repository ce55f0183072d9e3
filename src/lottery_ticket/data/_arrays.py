"""The user's own arrays, without any code."""

from functools import partial
from pathlib import Path

from lottery_ticket.data._content import data_of
from lottery_ticket.data._dataset import DataSet
from lottery_ticket.data._files import damaged
from lottery_ticket.data._labels import Said
from lottery_ticket.data._npy_folder import read_npy_folder
from lottery_ticket.data._npz import read_npz
from lottery_ticket.data._table import DATASETS

__all__ = ["arrays"]


@DATASETS.register("arrays")
def arrays(
    data_dir: Path | None,
    path: str,
    validation: int = 0,
    task: str = "",
    num_classes: int = 0,
    relabel: bool = False,
) -> DataSet:
    """Your own arrays x and y, and optionally x_test, y_test, x_validation, …: a `.npz`, or a
    folder of `.npy`.

    Integer y `(N,)` makes it a classification; its classes are 0, 1, 2, … without a gap. Float y
    `(N,)` or `(N, k)` makes it a regression; where such floats could be classes, `task` must say
    what they are (in a spec the loss says it). x of uint8 is divided by 255, any other becomes
    float32 as it is: there is no other normalisation, bring your own. x `(N,)` is taken as
    `(N, 1)`, classes `(N, 1)` as `(N,)`. Without x_test and y_test a fixed fifth of x and y is
    held out as the test split; then `validation` of what is left.

    Args:
        data_dir: not used.
        path: the file or folder, absolute or from the current folder.
        validation: how many training examples to hold out, if there is no x_validation.
        task: "classification" or "regression", where y does not say it.
        num_classes: how many classes there are, where some occur nowhere, or not in training.
        relabel: number the classes anew, in the order of their values: labels 1…K, {0, 255},
            -1 and 1, names, or one-hot `(N, K)`.

    Raises:
        UsageError: `validation` is out of range, or the file brings a validation split; an option
            does not fit y.
        DataError: the file is missing or damaged, or its arrays do not fit.

    Example:
        >>> load_dataset("arrays", path="mine.npz", validation=100)  # doctest: +SKIP
    """
    said = Said(task, num_classes, relabel)
    file = Path(path).expanduser()
    content = read_npy_folder(file) if file.is_dir() else read_npz(file)
    fail = partial(damaged, file)
    return data_of("arrays", content, said, fail, validation=validation, source=str(file))
