import copy
import gc

import pytest
import torch
from torch import nn

from lottery_ticket.data import Split
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import (
    Budget,
    MaskedParameters,
    PruningMask,
    budget_at_rates,
    prunable_parameters,
    prunable_sizes,
    select,
)
from lottery_ticket.models import build
from lottery_ticket.pruning import next_mask, rewind_
from lottery_ticket.seeds import generator
from lottery_ticket.train import LOSSES, AutogradStep, Batches, TrainState, make_optimizer, train


def normed():
    """A small net with biases, buffers and a norm."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5)
        )


def noisy_weights(model, seed):
    stream = torch.Generator().manual_seed(seed)
    return {
        name: value + torch.randn(value.shape, generator=stream)
        for name, value in prunable_parameters(model).items()
    }


def check_chain(next_mask, criterion, scope):
    """Masks nest, counts are the budgets', and only prunable weights count."""
    model = normed()
    sizes = prunable_sizes(model)
    assert sizes == {"0.weight": 36, "3.weight": 720}
    mask = PruningMask(model)
    for level, budget in enumerate(budget_at_rates(sizes, scope=scope, rate=0.3, levels=12)):
        weights = noisy_weights(model, level)
        found = next_mask(criterion, mask, budget, weights=weights, generator=generator(0, "mask"))
        assert found.is_nested_in(mask)
        assert found.num_kept == budget.total
        assert found.num_prunable == 756
        mask = found
    assert mask.num_kept < 20


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("criterion", ["magnitude", "random"])
def test_masks_nest_along_a_chain(criterion, scope):
    check_chain(next_mask, criterion, scope)


def from_scratch(criterion, mask, budget, **given):
    dense = PruningMask.from_tensors({n: torch.ones_like(m) for n, m in mask.items()})
    return next_mask(criterion, dense, budget, **given)


def one_too_many(criterion, mask, budget, **given):
    if budget.per_layer is not None:
        layers = tuple((name, max(count - 1, 0)) for name, count in budget.per_layer)
        return next_mask(criterion, mask, Budget(0, layers), **given)
    return next_mask(criterion, mask, Budget(budget.total - 1), **given)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("mutant", [from_scratch, one_too_many])
def test_other_chains_are_caught(mutant, scope):
    with pytest.raises(AssertionError):
        check_chain(mutant, "magnitude", scope)


def test_literal_magnitude():
    mask = PruningMask.from_tensors({"w": torch.tensor([[True, True], [False, True]])})
    weights = {"w": torch.tensor([[-3.0, 1.0], [9.0, -1.0]]), "bias": torch.tensor([99.0])}
    found = next_mask("magnitude", mask, Budget(2), weights=weights)
    assert found["w"].tolist() == [[True, True], [False, False]]
    assert mask["w"].tolist() == [[True, True], [False, True]]
    assert weights["w"].tolist() == [[-3.0, 1.0], [9.0, -1.0]]


def test_nan_weights_and_unknown_criteria():
    mask = PruningMask.from_tensors({"w": torch.tensor([True, True])})
    with pytest.raises(UsageError, match="'w' contain NaN"):
        next_mask("magnitude", mask, Budget(1), weights={"w": torch.tensor([1.0, float("nan")])})
    with pytest.raises(UsageError, match="unknown criterion 'magnitud'"):
        next_mask("magnitud", mask, Budget(1), weights={"w": torch.ones(2)})


def bits(tensor):
    return tensor.detach().contiguous().view(torch.uint8 if tensor.ndim else tensor.dtype).tolist()


def check_rewinds(rewind):
    """Bit-equal to θ₀ where kept, exactly +0.0 elsewhere, buffers and biases as they were."""
    model = normed()
    with torch.no_grad():
        model[1].running_mean.fill_(0.25)
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    ones = PruningMask(model)
    scores = {n: torch.rand(m.shape, generator=torch.Generator()) for n, m in ones.items()}
    mask = select(scores, ones, Budget(200))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):  # moves the weights, the norm's buffers and its counter
        model(torch.randn(8, 1, 8, 8, generator=torch.Generator())).square().sum().backward()
        optimizer.step()
    assert not torch.equal(model[1].running_mean, initial["1.running_mean"])
    kept_initial = {name: value.clone() for name, value in initial.items()}
    parameters = dict(model.named_parameters())
    rewind(model, initial, mask)
    for name, value in model.state_dict().items():
        wanted = kept_initial[name].clone()
        if name in mask:
            wanted[~mask[name]] = 0.0
        assert bits(value) == bits(wanted), name
        assert torch.equal(initial[name], kept_initial[name]), "θ₀ itself was changed"
    assert all(value is parameters[name] for name, value in model.named_parameters())


def test_rewinds():
    check_rewinds(rewind_)


def does_not_reset(model, weights, mask):
    mask.apply(model)


def resets_prunable_weights_only(model, weights, mask):
    model.load_state_dict({**model.state_dict(), **{name: weights[name] for name in mask}})
    mask.apply(model)


def resets_parameters_only(model, weights, mask):
    names = dict(model.named_parameters())
    model.load_state_dict({**model.state_dict(), **{n: weights[n] for n in names}})
    mask.apply(model)


def multiplies(model, weights, mask):
    model.load_state_dict({n: w * mask[n] if n in mask else w for n, w in weights.items()})


def forgets_the_mask(model, weights, mask):
    model.load_state_dict(weights)


def rewinds_on_the_spot(model, weights, mask):
    for name, kept in mask.items():
        weights[name][~kept] = 0.0
    model.load_state_dict(weights)


@pytest.mark.parametrize(
    "mutant",
    [
        does_not_reset,
        resets_prunable_weights_only,
        resets_parameters_only,
        multiplies,
        forgets_the_mask,
        rewinds_on_the_spot,
    ],
)
def test_other_rewinds_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_rewinds(mutant)


def test_rewinds_without_a_mask():
    model = normed()
    initial = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        model[0].weight.mul_(2)
    rewind_(model, initial, None)
    assert bits(model[0].weight) == bits(initial["0.weight"])


def num_tensors():
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def check_memory_is_flat(next_mask):
    """No tensor more is alive after level 30 than after level 5."""
    model = build("LeNet300", 0, input_size=8, num_classes=3, hidden=[12, 10])
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    mask = PruningMask(model)
    stream = torch.Generator().manual_seed(0)
    x = torch.randn(32, 8, generator=stream)
    batches = Batches(Split(x, torch.randint(0, 3, (32,), generator=stream)), 16, 0)
    counts = {}
    budgets = budget_at_rates(prunable_sizes(model), scope="global", rate=0.1, levels=30)
    for level, budget in enumerate(budgets):
        mask = next_mask("magnitude", mask, budget, weights=model.state_dict())
        rewind_(model, initial, mask)
        optimizer = make_optimizer("adam", model.parameters(), lr=0.01)
        loss = LOSSES["cross_entropy"]
        masked = MaskedParameters(model, mask)
        train(
            TrainState(model, optimizer),
            AutogradStep(model, optimizer, masked, batches, loss=loss),
            batches,
            loss=loss,
            total_steps=3,
            learning_rate=lambda step: 0.01,
            evaluate_every=3,
            evaluation_splits={"val": batches.split},
        )
        if level in (5, 30):
            counts[level] = num_tensors()
    assert counts[30] <= counts[5]


def test_memory_is_flat():
    check_memory_is_flat(next_mask)


def test_a_chain_that_keeps_its_masks_is_caught():
    past = []

    def remembers(*arguments, **given):
        past.append(next_mask(*arguments, **given))
        return past[-1]

    with pytest.raises(AssertionError):
        check_memory_is_flat(remembers)
