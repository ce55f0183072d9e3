import pytest
import torch

from lottery_ticket.criteria import CRITERIA
from lottery_ticket.errors import UsageError
from lottery_ticket.masks import prunable_parameters
from lottery_ticket.models import build

magnitude, random = CRITERIA["magnitude"].score, CRITERIA["random"].score


def test_the_registered_ones():
    assert {"magnitude", "random"} <= set(CRITERIA)
    assert CRITERIA["magnitude"].needs_weights
    assert not CRITERIA["random"].needs_weights
    with pytest.raises(UsageError, match="unknown criterion 'magnitud'; did you mean 'magnitude'"):
        CRITERIA["magnitud"]


def check_leaves_everything_as_it_was(score):
    """Scores fit the weights; model, gradients, mode and the global random state stay."""
    model = build("LeNet300", 3, input_size=6, hidden=[20, 20])
    model.eval()
    model(torch.ones(2, 6)).square().sum().backward()
    weights = prunable_parameters(model)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    assert all(gradient.any() for gradient in gradients.values())
    state = torch.get_rng_state()
    scores = score(weights, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name])
        assert torch.equal(value.grad, gradients[name])
        assert value.requires_grad
    assert list(scores) == list(weights)
    for name, values in scores.items():
        assert values.shape == weights[name].shape
        assert not values.requires_grad
        assert not values.isnan().any()
        values.fill_(-1.0)
        assert torch.equal(weights[name], before[name]), "scores share memory with weights"


@pytest.mark.parametrize("name", ["magnitude", "random"])
def test_scoring_leaves_everything_as_it_was(name):
    check_leaves_everything_as_it_was(CRITERIA[name].score)


def in_place(weights, generator):
    return {name: weight.detach().abs_() for name, weight in weights.items()}


def the_weights_themselves(weights, generator):
    return {name: weight.detach() for name, weight in weights.items()}


def from_the_global_state(weights, generator):
    return {name: torch.rand(weight.shape) for name, weight in weights.items()}


def with_a_graph(weights, generator):
    return {name: weight.abs() for name, weight in weights.items()}


def clears_gradients(weights, generator):
    for weight in weights.values():
        weight.grad.zero_()
    return magnitude(weights, generator)


@pytest.mark.parametrize(
    "mutant",
    [in_place, the_weights_themselves, from_the_global_state, with_a_graph, clears_gradients],
)
def test_scores_that_leave_traces_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_leaves_everything_as_it_was(mutant)


def test_magnitude():
    weights = {"w": torch.tensor([-2.0, 1.0, -0.0]), "v": torch.tensor([[-float("inf")]])}
    scores = magnitude(weights, torch.Generator())
    assert scores["w"].tolist() == [2.0, 1.0, 0.0]
    assert scores["v"].tolist() == [[float("inf")]]


def test_random_depends_on_the_generator_alone():
    def draw(seed, fill):
        weights = {"w": torch.full((3, 2), fill), "v": torch.full((4,), fill)}
        return random(weights, torch.Generator().manual_seed(seed))

    assert all(torch.equal(draw(0, 1.0)[name], draw(0, -5.0)[name]) for name in ("w", "v"))
    assert not torch.equal(draw(0, 1.0)["w"], draw(1, 1.0)["w"])
    stream = torch.Generator().manual_seed(0)
    for values in draw(0, 1.0).values():  # one stream, layers in model order
        wanted = torch.rand(values.shape, dtype=torch.float64, generator=stream)
        assert torch.equal(values, wanted)


def test_random_is_uniform():
    scores = random({"w": torch.zeros(20_000)}, torch.Generator().manual_seed(0))["w"]
    assert scores.dtype == torch.float64  # so that ties do not favour low indices
    assert len(scores.unique()) == 20_000
    assert torch.histc(scores.float(), 10, 0, 1).sub(2000).abs().max() < 200
