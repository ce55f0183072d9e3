"""Overlap beside chance, held against every pair of masks there is."""

from fractions import Fraction
from itertools import combinations, product
from math import comb, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from lottery_ticket.analysis.structure import (
    Chance,
    LayerCounts,
    MaskPlace,
    chance_overlap,
    mask_overlap,
    overlap_table,
)
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import PruningMask


def mask_of(**layers):
    return PruningMask.from_tensors(
        {n: torch.tensor(v, dtype=torch.bool) for n, v in layers.items()}
    )


@st.composite
def counts(draw):
    n = draw(st.integers(1, 6))
    kept = st.integers(0, n)
    return LayerCounts(n, draw(kept), draw(kept))


def by_enumeration(layers):
    """Mean, sd and mean ratio over all pairs of masks with these counts, in exact fractions."""
    per_layer = [
        [
            (len(set(one) & set(two)), len(set(one) | set(two)))
            for one in combinations(range(n), a)
            for two in combinations(range(n), b)
        ]
        for n, a, b in layers
    ]
    pairs = [tuple(map(sum, zip(*parts, strict=True))) for parts in product(*per_layer)]
    mean = Fraction(sum(shared for shared, _ in pairs), len(pairs))
    square = Fraction(sum(shared**2 for shared, _ in pairs), len(pairs))
    ratios = [Fraction(shared, either) for shared, either in pairs if either]
    iou = float(sum(ratios) / len(ratios)) if ratios else float("nan")
    return float(mean), sqrt(square - mean**2), iou


def check_chance(chance, layers):
    mean, sd, iou = by_enumeration(layers)
    got = chance(layers)
    assert got.num_shared == pytest.approx(mean, abs=1e-12)
    assert got.sd == pytest.approx(sd, abs=1e-7)
    assert got.iou == pytest.approx(iou, abs=1e-12, nan_ok=True)


SMALL = [LayerCounts(5, 2, 3), LayerCounts(3, 3, 1)]


@settings(max_examples=60)
@given(st.lists(counts(), min_size=1, max_size=2))
def test_chance_is_the_mean_over_all_pairs_of_masks(layers):
    check_chance(chance_overlap, layers)


def test_three_layers():
    check_chance(chance_overlap, [*SMALL, LayerCounts(2, 1, 1)])


def blind_to_layers(layers):
    """One urn for the whole net: what is forgotten when densities per layer are."""
    return chance_overlap([LayerCounts(*map(sum, zip(*layers, strict=True)))])


def ratio_of_means(layers):
    mean, sd, _ = chance_overlap(layers)
    either = sum(layer.num_kept + layer.num_kept_other for layer in layers) - mean
    return Chance(mean, sd, mean / either)


def with_replacement(layers):
    mean, _, iou = chance_overlap(layers)
    return Chance(mean, sqrt(sum(a * b / n * (1 - b / n) for n, a, b in layers)), iou)


@pytest.mark.parametrize("mutant", [blind_to_layers, ratio_of_means, with_replacement])
def test_other_notions_of_chance_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_chance(mutant, SMALL)


@pytest.mark.parametrize(
    ("n", "a", "b"), [(235_200, 120_000, 90_000), (235_200, 1_440, 9), (30_000, 1_193, 1_210)]
)
def test_chance_in_large_layers_is_scipys(n, a, b):
    chance = chance_overlap([LayerCounts(n, a, b)])
    urn = hypergeom(n, a, b)
    assert chance.num_shared == pytest.approx(urn.mean())
    assert chance.sd == pytest.approx(urn.std())
    s = np.arange(max(0, int(urn.mean() - 10 * urn.std())), int(urn.mean() + 10 * urn.std()) + 20)
    assert chance.iou == pytest.approx(urn.pmf(s) @ (s / (a + b - s)), rel=1e-9)


def test_two_masks_by_hand():
    one = mask_of(a=[[1, 1, 0, 0]], b=[1, 0])
    two = mask_of(a=[[1, 0, 1, 0]], b=[1, 1])
    rows = mask_overlap(one, two).set_index("layer")
    assert list(rows.index) == ["a", "b", "all"]
    columns = ["num_prunable", "num_kept", "num_kept_other", "num_shared"]
    assert rows[columns].to_numpy().tolist() == [[4, 2, 2, 1], [2, 1, 2, 1], [6, 3, 4, 2]]
    assert list(rows["share"]) == pytest.approx([1 / 2, 1, 2 / 3])
    assert list(rows["iou"]) == pytest.approx([1 / 3, 1 / 2, 2 / 5])
    assert list(rows["expected_share"]) == pytest.approx([1 / 2, 1, 2 / 3])
    # a: 1 of 6 masks shares both (1), 4 one (1/3), 1 none (0)
    assert rows.loc["a", "expected_iou"] == pytest.approx((1 + 4 / 3) / 6)
    assert rows.loc["a", "z"] == 0
    assert rows["z"].isna().tolist() == [False, True, False]  # b leaves chance no room


def test_a_nested_mask_shares_all_it_has():
    one, two = mask_of(w=[1, 1, 1, 0, 0]), mask_of(w=[1, 0, 1, 0, 0])
    row = mask_overlap(one, two).iloc[0]
    assert (row["share"], row["iou"]) == (1, pytest.approx(2 / 3))
    assert row["z"] == pytest.approx((2 - 6 / 5) / sqrt(3 * 2 * 2 * 3 / (25 * 4)))


def test_nothing_kept_has_no_ratio():
    rows = mask_overlap(mask_of(w=[0, 0]), mask_of(w=[0, 0]))
    assert rows[["share", "iou", "expected_share", "expected_iou", "z"]].isna().all(axis=None)


def test_masks_of_different_nets_are_refused():
    with pytest.raises(UsageError, match=r"'w' has shape \(2,\) in one and \(3,\) in the other"):
        mask_overlap(mask_of(w=[1, 0]), mask_of(w=[1, 0, 1]))
    with pytest.raises(UsageError, match=r"'v' has shape None in one and \(1,\)"):
        mask_overlap(mask_of(w=[1, 0]), mask_of(w=[1, 0], v=[1]))


@settings(max_examples=25)
@given(st.integers(1, 40), st.data())
def test_random_masks_overlap_as_chance_says(n, data):
    """Of one mask and all shifts of another, the mean share is exactly that of chance."""
    one = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    two = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    rows = [mask_overlap(mask_of(w=one), mask_of(w=two[k:] + two[:k])).iloc[0] for k in range(n)]
    mean = sum(row["num_shared"] for row in rows) / n
    assert mean == pytest.approx(sum(one) * sum(two) / n)
    if sum(one) and sum(two):
        assert mean / min(sum(one), sum(two)) == pytest.approx(rows[0]["expected_share"])


PLACES = {
    MaskPlace("r", "ticket", 1, 0): mask_of(w=[1, 1, 0, 0]),
    MaskPlace("r", "ticket", 1, 1): mask_of(w=[0, 1, 1, 0]),
    MaskPlace("r", "ticket", 1, 2): mask_of(w=[0, 0, 1, 1]),
    MaskPlace("r", "ticket", 2, 0): mask_of(w=[1, 0, 0, 0]),
    MaskPlace("r", "oneshot", 1, 0): mask_of(w=[1, 1, 0, 0]),
    MaskPlace("s", "ticket", 1, 0): mask_of(w=[0, 0, 1, 1]),
}


def pairs_of(across):
    table = overlap_table(PLACES, across=across)
    rows = table[table["layer"] == "all"]
    columns = ["run", "arm", "level", "replicate", f"{across}_other", "num_shared"]
    return [tuple(row) for row in rows[columns].to_numpy()]


def test_pairs_differ_in_one_coordinate_alone():
    assert pairs_of("replicate") == [
        ("r", "ticket", 1, 0, 1, 1),
        ("r", "ticket", 1, 0, 2, 0),
        ("r", "ticket", 1, 1, 2, 1),
    ]
    assert pairs_of("arm") == [("r", "ticket", 1, 0, "oneshot", 2)]
    assert pairs_of("level") == [("r", "ticket", 1, 0, 2, 1)]
    assert pairs_of("run") == [("r", "ticket", 1, 0, "s", 0)]


def test_no_pairs_is_an_empty_table_and_a_wrong_coordinate_an_error():
    assert overlap_table({}).empty
    with pytest.raises(UsageError, match="across: got 'replicat'; did you mean 'replicate'"):
        overlap_table(PLACES, across="replicat")


def test_the_enumeration_counts_what_it_should():
    assert comb(5, 2) * comb(5, 3) == 100
    assert by_enumeration([LayerCounts(2, 1, 1)]) == (0.5, 0.5, 0.5)
