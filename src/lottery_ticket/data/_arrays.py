"""The user's own arrays, without any code."""

from pathlib import Path

import numpy as np
import torch

from lottery_ticket.data._dataset import DataSet, Split
from lottery_ticket.data._digest import content_digest
from lottery_ticket.data._files import damaged
from lottery_ticket.data._hold_out import check_validation, hold_out
from lottery_ticket.data._npz import PARTS, read_npz
from lottery_ticket.data._table import DATASETS
from lottery_ticket.errors import UsageError

__all__ = ["arrays"]

TEST_SHARE = 0.2
SPLIT_REMEDY = "Give every example one x and one y, of the same shape throughout."
CLASS_REMEDY = (
    "Number the classes 0, 1, 2, … in integers of shape (N,); for regression save y as floats."
)


@DATASETS.register("arrays")
def arrays(data_dir: Path | None, path: str, validation: int = 0) -> DataSet:
    """Your own `.npz` with arrays x and y, and optionally x_test, y_test, x_validation, ….

    Integer y `(N,)` makes it classification into max + 1 classes, float y `(N,)` or `(N, k)`
    regression. x of uint8 is divided by 255, any other becomes float32 as it is: there is no
    other normalisation, bring your own. x `(N,)` is taken as `(N, 1)`. Without x_test and y_test
    a fixed fifth of x and y is held out as the test split; then `validation` of what is left.

    Args:
        data_dir: not used.
        path: the file, absolute or from the current folder.
        validation: how many training examples to hold out, if the file has no x_validation.

    Raises:
        UsageError: `validation` is out of range, or the file brings a validation split.
        DataError: the file is missing or damaged, or its arrays do not fit.

    Example:
        >>> load_dataset("arrays", path="mine.npz", validation=100)  # doctest: +SKIP
    """
    file = Path(path).expanduser()
    content = read_npz(file)
    num_classes = _num_classes(file, content)
    splits = {
        part: _split(file, part, content[f"{part}.x"], content[f"{part}.y"])
        for part in PARTS
        if f"{part}.x" in content
    }
    _check_shapes(file, splits)
    splits = _with_held_out(file, splits, validation)
    return DataSet(
        name="arrays",
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        task="regression" if num_classes is None else "classification",
        num_classes=num_classes,
        digest=content_digest(content),
    )


def _num_classes(path: Path, content: dict[str, np.ndarray]) -> int | None:
    targets = {part: content[f"{part}.y"] for part in PARTS if f"{part}.y" in content}
    are_floats = {part: y.dtype.kind == "f" for part, y in targets.items()}
    if len(set(are_floats.values())) > 1:
        raise damaged(path, "y is integers in one split and floats in another", CLASS_REMEDY)
    if are_floats["train"]:
        return None
    for part, y in targets.items():
        if y.ndim != 1:
            raise damaged(path, f"{part} labels have shape {y.shape}, wanted (N,)", CLASS_REMEDY)
        if int(y.min()) < 0:
            raise damaged(path, f"{part} labels go down to {int(y.min())}", CLASS_REMEDY)
    num_classes = 1 + max(int(y.max()) for y in targets.values())
    if not 2 <= num_classes <= max(2, len(targets["train"])):
        raise damaged(
            path,
            f"labels go up to {num_classes - 1} in {len(targets['train'])} training examples, "
            "wanted at least two classes and no more than examples",
            CLASS_REMEDY,
        )
    return num_classes


def _split(path: Path, part: str, x: np.ndarray, y: np.ndarray) -> Split:
    if len(x) != len(y):
        raise damaged(path, f"{part} has {len(x)} x and {len(y)} y", SPLIT_REMEDY)
    if y.dtype.kind != "f":
        return Split(_floats(path, part, x), torch.from_numpy(y.astype(np.int64)))
    if y.ndim > 2:
        raise damaged(path, f"{part} y has shape {y.shape}, wanted (N,) or (N, k)", SPLIT_REMEDY)
    return Split(_floats(path, part, x), _floats(path, part, y))


def _floats(path: Path, part: str, array: np.ndarray) -> torch.Tensor:
    if array.size == 0:
        raise damaged(path, f"{part} has shape {array.shape}: nothing in it", SPLIT_REMEDY)
    with np.errstate(over="ignore"):  # what is too large for float32 is refused below
        floats = array.astype(np.float32)
    if array.dtype == np.uint8:
        floats /= 255
    if not np.isfinite(floats).all():
        raise damaged(
            path,
            f"the {part} split holds NaN, infinity or numbers beyond float32",
            "Remove those examples or fill them in.",
        )
    return torch.from_numpy(floats[:, None] if floats.ndim == 1 else floats)


def _check_shapes(path: Path, splits: dict[str, Split]) -> None:
    wanted = splits["train"]
    for part, split in splits.items():
        for axis, got, want in (("x", split.x, wanted.x), ("y", split.y, wanted.y)):
            if got.shape[1:] != want.shape[1:]:
                raise damaged(
                    path,
                    f"one {part} {axis} has shape {tuple(got.shape[1:])}, one train {axis} "
                    f"{tuple(want.shape[1:])}",
                    SPLIT_REMEDY,
                )


def _with_held_out(path: Path, splits: dict[str, Split], validation: int) -> dict[str, Split]:
    splits = dict(splits)
    if "validation" in splits and validation:
        raise UsageError(
            f"data set 'arrays': {path} has its own x_validation; leave out validation={validation}"
        )
    if "test" not in splits:
        num_test = max(1, round(TEST_SHARE * len(splits["train"])))
        if num_test >= len(splits["train"]):
            raise damaged(
                path, "one example cannot make a train and a test split", "Add x_test and y_test."
            )
        splits["train"], splits["test"] = _held_out(splits["train"], num_test, "test")
    check_validation("arrays", validation, len(splits["train"]))
    if validation:
        held = _held_out(splits["train"], validation, "validation")
        splits["train"], splits["validation"] = held
    return splits


def _held_out(split: Split, num_held: int, stream: str) -> tuple[Split, Split]:
    kept, held = hold_out(len(split), num_held, stream)
    return Split(split.x[kept], split.y[kept]), Split(split.x[held], split.y[held])
