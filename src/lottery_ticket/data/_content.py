"""Named arrays → a data set: what y means, what is held out."""

from collections.abc import Mapping

import numpy as np
import torch

from lottery_ticket.data._dataset import PARTS, DataSet, Split, content_digest
from lottery_ticket.data._features import shapes_of
from lottery_ticket.data._hold_out import check_validation, held_out
from lottery_ticket.data._labels import (
    Fail,
    Said,
    class_labels,
    is_regression,
    missing_classes,
)
from lottery_ticket.errors import UsageError

__all__ = ["data_of"]

TEST_SHARE = 0.2
SPLIT_REMEDY = "Give every example one x and one y, of the same shape throughout."


def data_of(
    name: str,
    content: Mapping[str, np.ndarray],
    said: Said,
    fail: Fail,
    *,
    validation: int = 0,
    source: str = "it",
) -> DataSet:
    """The data set that named arrays make.

    Args:
        name: what it is called.
        content: `train.x`, `train.y`, and of `validation` and `test` both or none. x of uint8 is
            divided by 255, any other becomes float32 as it is; without `test`, a fixed fifth of
            `train` is held out.
        said: what the user says of y.
        fail: makes the error of arrays that do not fit: (what is wrong, what to do).
        validation: how many training examples to hold out.
        source: where the arrays are from, for the error of a second validation split.

    Raises:
        UsageError: an option does not fit.
        LotteryError: what `fail` makes.
    """
    y = {part: content[f"{part}.y"] for part in PARTS if f"{part}.y" in content}
    for part in y:
        if len(content[f"{part}.x"]) != len(y[part]):
            got = f"{part} has {len(content[f'{part}.x'])} x and {len(y[part])} y"
            raise fail(got, SPLIT_REMEDY)
    _check_same_scale(content, fail)
    targets, num_classes, classes = _targets(y, said, fail)
    splits = {
        part: Split(_floats(part, content[f"{part}.x"], fail, is_x=True), targets[part])
        for part in y
    }
    _check_shapes(splits, fail)
    splits = _with_held_out(name, splits, validation, fail, source)
    return DataSet(
        name=name,
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        task="regression" if num_classes is None else "classification",
        num_classes=num_classes,
        digest=content_digest(content),
        classes=classes,
    )


def _check_same_scale(content: Mapping[str, np.ndarray], fail: Fail) -> None:
    """uint8 is divided by 255, and nothing else: splits of both kinds would be of other scales."""
    kinds = {part: content[f"{part}.x"].dtype for part in PARTS if f"{part}.x" in content}
    are_bytes = {kind == np.uint8 for kind in kinds.values()}
    if len(are_bytes) > 1:
        listed = ", ".join(f"{part} {kind}" for part, kind in kinds.items())
        raise fail(
            f"x is uint8, which is divided by 255, in some splits alone ({listed})",
            "Save x of one type in all.",
        )


def _targets(
    y: Mapping[str, np.ndarray], said: Said, fail: Fail
) -> tuple[dict[str, torch.Tensor], int | None, tuple | None]:
    """Tensors by split, the number of classes, and what these were called."""
    if is_regression(y, said, fail):
        for part, array in y.items():
            if array.ndim > 2:
                wanted = f"{part} y has shape {array.shape}, wanted (N,) or (N, k)"
                raise fail(wanted, SPLIT_REMEDY)
        return {part: _floats(part, array, fail) for part, array in y.items()}, None, None
    labels = class_labels(y, said, fail)
    for part in () if said.num_classes else ("validation", "test"):
        missing = missing_classes(labels.y.get(part, labels.y["train"]), labels.y["train"])
        if missing:
            called = missing[0] if labels.values is None else repr(labels.values[missing[0]])
            raise fail(
                f"class {called} occurs in {part} and in no training example",
                "Put some of its examples into training, or take it out; if it is meant to be so, "
                f"say num_classes={labels.num_classes}.",
            )
    tensors = {part: torch.from_numpy(array) for part, array in labels.y.items()}
    return tensors, labels.num_classes, labels.values


def _floats(part: str, array: np.ndarray, fail: Fail, *, is_x: bool = False) -> torch.Tensor:
    """float32 `(N, …)`, of at least two dimensions."""
    if array.size == 0:
        raise fail(f"{part} has shape {array.shape}: nothing in it", SPLIT_REMEDY)
    with np.errstate(over="ignore"):  # what is too large for float32 is refused below
        floats = array.astype(np.float32, copy=False)  # a mapped file stays mapped
    if is_x and array.dtype == np.uint8:
        floats /= 255
    # NaN is the least and the largest of whatever holds it
    if not np.isfinite([floats.min(), floats.max()]).all():
        raise fail(
            f"the {part} split holds NaN, infinity or numbers beyond float32",
            "Remove those examples or fill them in.",
        )
    return torch.from_numpy(floats[:, None] if floats.ndim == 1 else floats)


def _check_shapes(splits: Mapping[str, Split], fail: Fail) -> None:
    wanted = splits["train"]
    for part, split in splits.items():
        for axis, got, want in (("x", split.x, wanted.x), ("y", split.y, wanted.y)):
            if shapes_of(got) != shapes_of(want):
                raise fail(
                    f"one {part} {axis} has shape {shapes_of(got)}, one train {axis} "
                    f"{shapes_of(want)}",
                    SPLIT_REMEDY,
                )


def _with_held_out(
    name: str, splits: Mapping[str, Split], validation: int, fail: Fail, source: str
) -> dict[str, Split]:
    splits = dict(splits)
    if "validation" in splits and validation:
        raise UsageError(
            f"data set {name!r}: {source} has its own x_validation; leave out "
            f"validation={validation}"
        )
    if "test" not in splits:
        num_test = max(1, round(TEST_SHARE * len(splits["train"])))
        if num_test >= len(splits["train"]):
            raise fail("one example cannot make a train and a test split", "Add x_test and y_test.")
        splits["train"], splits["test"] = held_out(splits["train"], num_test, "test")
    check_validation(name, validation, len(splits["train"]))
    if validation:
        held = held_out(splits["train"], validation, "validation")
        splits["train"], splits["validation"] = held
    return splits
