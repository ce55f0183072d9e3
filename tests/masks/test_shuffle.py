import pytest
import torch

from lottery_ticket.masks import Budget, PruningMask, select, shuffle


def magnitude_mask(density=0.3):
    """What a search gives: kept weights follow the scores, here the first half of each layer."""
    shapes = {"fc1": (40, 16), "fc2": (9, 4, 3, 3), "fc3": (50,)}
    ones = PruningMask.from_tensors({n: torch.ones(s, dtype=torch.bool) for n, s in shapes.items()})
    scores = {n: -torch.arange(m.numel()).view(m.shape) for n, m in ones.items()}
    counts = tuple((name, int(density * m.numel())) for name, m in ones.items())
    return select(scores, ones, Budget(0, counts))


def check_shuffle(shuffle_fn):
    mask = magnitude_mask()
    before = {name: kept.clone() for name, kept in mask.items()}
    found = shuffle_fn(mask, torch.Generator().manual_seed(1))
    assert list(found) == list(mask)
    for name, kept in mask.items():
        assert found[name].shape == kept.shape
        assert found[name].sum() == kept.sum()
        overlap = float((found[name] & kept).sum() / kept.sum())
        assert 0.05 < overlap < 0.65, "chance overlaps in 30 %"
        assert torch.equal(kept, before[name])
    assert found == shuffle_fn(mask, torch.Generator().manual_seed(1))
    assert found != shuffle_fn(mask, torch.Generator().manual_seed(2))


def test_shuffle():
    check_shuffle(shuffle)


def forgets_to_permute(mask, generator):
    return PruningMask.from_tensors({name: kept.clone() for name, kept in mask.items()})


def draws_anew(mask, generator):
    """A random mask of the same density: the layer counts vary."""
    return PruningMask.from_tensors(
        {n: torch.rand(m.shape, generator=generator) < m.float().mean() for n, m in mask.items()}
    )


def draws_from_the_global_state(mask, generator):
    return PruningMask.from_tensors(
        {n: m.flatten()[torch.randperm(m.numel())].view(m.shape) for n, m in mask.items()}
    )


def permutes_in_place(mask, generator):
    found = shuffle(mask, generator)
    for name, kept in mask.items():
        kept.copy_(found[name])
    return mask


@pytest.mark.parametrize(
    "mutant",
    [forgets_to_permute, draws_anew, draws_from_the_global_state, permutes_in_place],
)
def test_other_shuffles_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_shuffle(mutant)


def test_literal():
    mask = PruningMask.from_tensors({"w": torch.tensor([True, True, False, False, False])})
    order = torch.randperm(5, generator=torch.Generator().manual_seed(3))
    found = shuffle(mask, torch.Generator().manual_seed(3))
    assert found["w"].tolist() == [index < 2 for index in order.tolist()]


def test_uses_no_global_random_state():
    before = torch.get_rng_state()
    shuffle(magnitude_mask(), torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_full_and_empty_layers_stay():
    mask = PruningMask.from_tensors(
        {"a": torch.ones(3, dtype=torch.bool), "b": torch.zeros(3, dtype=torch.bool)}
    )
    assert shuffle(mask, torch.Generator().manual_seed(0)) == mask
