import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.data import content_digest

numbers = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=6)


def test_pinned():
    found = content_digest({"x": np.array([[1, 2]], np.uint8), "y": np.array([3], np.int64)})
    assert found == "4e4c19997b1f0ce5f8f70b768f3c839bf5522542755d40f5061b3a7af442d2c1"


@given(numbers)
def test_memory_layout_does_not_count(values):
    array = np.array([values, values], np.int32)
    digest = content_digest({"x": array})
    for same in (array.astype(">i4"), np.asfortranarray(array), np.repeat(array, 2, 1)[:, ::2]):
        assert content_digest({"x": same}) == digest
    assert content_digest({"x": torch.tensor(array)}) == digest


@given(numbers)
def test_content_counts(values):
    array = np.array(values, np.int32)
    others = [
        {"y": array},
        {"x": array + 1},
        {"x": array[None]},
        {"x": array.astype(np.int64)},
        {"x": array.view(np.uint32)},
        {"x": array, "y": array},
    ]
    assert len({content_digest(arrays) for arrays in [{"x": array}, *others]}) == 7


def test_order_does_not_count():
    x, y = np.arange(2), np.arange(3)
    assert content_digest({"x": x, "y": y}) == content_digest({"y": y, "x": x})
