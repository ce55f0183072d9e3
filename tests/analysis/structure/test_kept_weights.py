import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lottery_ticket.analysis.structure import kept_weights
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask

MASK = PruningMask.from_tensors(
    {
        "a": torch.tensor([[True, True], [True, False]]),
        "b": torch.tensor([True, False]),
        "c": torch.tensor([False]),
    }
)
BEFORE = {
    "a": torch.tensor([[1.0, -2.0], [4.0, 9.0]]),
    "b": torch.tensor([-1.0, 7.0]),
    "c": torch.tensor([1.0]),
}
AFTER = {
    "a": torch.tensor([[2.0, 5.0], [3.0, 0.0]]),
    "b": torch.tensor([-3.0, 0.0]),
    "c": torch.tensor([0.0]),
}


def check_by_loops(kept, mask, before, after):
    table = kept(mask, before, after).set_index("layer")
    for layer in [*mask, "all"]:
        names = list(mask) if layer == "all" else [layer]
        pairs = [
            (float(w), float(v))
            for name in names
            for w, v, k in zip(*(x[name].flatten() for x in (before, after, mask)), strict=True)
            if k
        ]
        row = table.loc[layer]
        assert row["num_kept"] == len(pairs)
        same = [np.sign(w) == np.sign(v) for w, v in pairs]
        assert row["sign_kept"] == pytest.approx(np.mean(same) if same else math.nan, nan_ok=True)
        sizes = np.abs(np.array(pairs)).T
        if len(pairs) > 1 and np.all(np.std(sizes, axis=1) > 1e-6):
            assert row["magnitude_correlation"] == pytest.approx(np.corrcoef(sizes)[0, 1], abs=1e-9)
        for column, values in zip(("mean_initial", "mean_trained"), sizes, strict=False):
            assert row[column] == pytest.approx(values.mean())


def test_by_hand():
    table = kept_weights(MASK, BEFORE, AFTER).set_index("layer")
    assert list(table.index) == ["a", "b", "c", "all"]
    assert list(table["num_kept"]) == [3, 1, 0, 4]
    assert list(table["sign_kept"]) == pytest.approx([2 / 3, 1, math.nan, 3 / 4], nan_ok=True)
    assert table["magnitude_correlation"].isna().tolist() == [False, True, True, False]
    check_by_loops(kept_weights, MASK, BEFORE, AFTER)


numbers = st.floats(-3, 3, width=32, allow_subnormal=False)


@given(st.lists(st.tuples(numbers, numbers, st.booleans()), min_size=1, max_size=8))
def test_against_loops(triples):
    before, after, kept = zip(*triples, strict=True)
    mask = PruningMask.from_tensors({"w": torch.tensor(kept)})
    check_by_loops(kept_weights, mask, {"w": torch.tensor(before)}, {"w": torch.tensor(after)})


def with_pruned(mask, before, after):
    everything = PruningMask.from_tensors({n: torch.ones_like(k) for n, k in mask.items()})
    return kept_weights(everything, before, after)


def signed_correlation(mask, before, after):
    positive = {n: w + 100 for n, w in before.items()}, {n: w + 100 for n, w in after.items()}
    wrong = kept_weights(mask, *positive)
    return kept_weights(mask, before, after).assign(
        magnitude_correlation=wrong["magnitude_correlation"]
    )


@pytest.mark.parametrize("mutant", [with_pruned, signed_correlation])
def test_other_formulas_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_by_loops(mutant, MASK, BEFORE, AFTER)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="trained: no 'c', which the mask names"):
        kept_weights(MASK, BEFORE, {"a": AFTER["a"], "b": AFTER["b"]})
    with pytest.raises(UsageError, match=r"trained: 'c' has shape \(2,\), its mask has \(1,\)"):
        kept_weights(MASK, BEFORE, AFTER | {"c": torch.ones(2)})
    with pytest.raises(UsageError, match=r"initial: 'b' has shape \(1,\), its mask has \(2,\)"):
        kept_weights(MASK, {**BEFORE, "b": torch.zeros(1)}, AFTER)
