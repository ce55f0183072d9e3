"""What is checked after each training is the model as `train_fn` left it."""

import copy

import pytest
import torch
import torch.nn.functional as F
from own_loops import NUM_TRAIN, X, Y, net
from torch import nn
from torch.nn.utils import parametrizations

from lottery_ticket import LotteryTicketFinder, UsageError


def train(model, num_steps=12):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    model.train()
    for rows in torch.randperm(NUM_TRAIN).split(NUM_TRAIN // num_steps):
        optimizer.zero_grad()
        weight = next(model.parameters())
        F.cross_entropy(model(X[rows].to(weight)).float(), Y[rows]).backward()
        optimizer.step()
    return optimizer


@torch.no_grad()
def accuracy(model):
    weight = next(model.parameters())
    output = model.eval()(X[NUM_TRAIN:].to(weight))
    return (output.argmax(1) == Y[NUM_TRAIN:]).float().mean().item()


def find(train_fn, *, model_fn=net, **arguments):
    options = {"target_sparsity": 0.6, "pruning_rounds": 2, "verbose": False} | arguments
    finder = LotteryTicketFinder(model_fn=model_fn)
    return finder, *finder.find_winning_ticket(train_fn=train_fn, eval_fn=accuracy, **options)


def cloned(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assigns_at_first(model, mask):
    model.load_state_dict(cloned(model), assign=True)
    train(model)


def assigns_in_the_middle(model, mask):
    train(model)
    model.load_state_dict(cloned(model), assign=True)
    train(model)


def assigns_at_the_end(model, mask):
    train(model)
    model.load_state_dict(cloned(model), assign=True)


def converts_and_comes_back(model, mask):
    model.double()
    train(model)
    model.float()


def trains_the_same_and_returns_it(model, mask):
    train(model)
    return model


def returns_a_wrapper(model, mask):
    wrapped = nn.DataParallel(model)
    train(wrapped)
    return wrapped


def freezes_the_first_layer(model, mask):
    model[0].requires_grad_(False)
    train(model)


@pytest.mark.parametrize(
    "train_fn",
    [
        assigns_at_first,
        assigns_in_the_middle,
        assigns_at_the_end,
        converts_and_comes_back,
        trains_the_same_and_returns_it,
        returns_a_wrapper,
        freezes_the_first_layer,
    ],
)
def test_these_are_trainings_under_the_mask(train_fn):
    finder, model, mask, results = find(train_fn)
    assert results.problems == []
    for name, kept in mask.items():
        weight = model.get_parameter(name)
        assert not weight[~kept].any()
        assert weight[kept].any()
    assert finder.ticket().mask == mask
    assert {row.num_steps for row in results.rows} in ({12}, {24})
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert finder.verify(train_fn, accuracy, verbose=False).is_valid


def holds_by_identity(monkeypatch):
    """A mutant: parameters are never looked up again."""
    mark = "lottery_ticket.masks.attachment._marks.Mark"
    monkeypatch.setattr(f"{mark}.found_in", lambda self, model: self.parameter_in(model))


def test_a_mask_held_by_identity_is_caught(monkeypatch):
    holds_by_identity(monkeypatch)
    with pytest.raises((AssertionError, UsageError)):
        test_these_are_trainings_under_the_mask(assigns_at_first)


def has_a_new_head(model, mask):
    model[3] = nn.Linear(24, 10)
    train(model)


def has_a_new_head_at_the_end(model, mask):
    train(model)
    model[3] = nn.Linear(24, 10)


def assigns_dense_weights(model, mask):
    train(model)
    model.load_state_dict({n: v + 1 for n, v in cloned(model).items()}, assign=True)


def puts_a_copy_in(model, mask):
    other = copy.deepcopy(model)
    train(other)
    for name, child in other.named_children():
        setattr(model, name, child)


def ends_in_bfloat16(model, mask):
    train(model.to(torch.bfloat16))


def returns_another_model(model, mask):
    other = copy.deepcopy(model)
    train(other)
    return other


def writes_before_it_trains(model, mask):
    nn.init.normal_(model[3].weight)
    train(model)


def sets_data_before_it_trains(model, mask):
    model[3].weight.data = torch.randn_like(model[3].weight)
    train(model)


def ruins_a_buffer(model, mask):
    train(model)
    model[1].running_var.fill_(float("inf"))


def trains_by_hand_what_it_replaced(model, mask):
    model[3] = nn.Linear(24, 10)
    for _ in range(3):
        model.zero_grad()
        F.cross_entropy(model(X[:100]), Y[:100]).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad


@pytest.mark.parametrize(
    ("train_fn", "problem", "first"),
    [
        (has_a_new_head, "train_fn replaced '3.weight' by a parameter that was not zero", 1),
        (has_a_new_head_at_the_end, "train_fn wrote pruned weights: '3.weight' is not", 1),
        (assigns_dense_weights, "train_fn replaced '0.weight' by a parameter that was not", 1),
        (puts_a_copy_in, "train_fn wrote pruned weights: '0.weight' is not zero", 1),
        (trains_by_hand_what_it_replaced, "train_fn wrote pruned weights: '3.weight'", 1),
        (ends_in_bfloat16, "train_fn left '0.weight' in torch.bfloat16; it is rewound to", 0),
        (writes_before_it_trains, "train_fn wrote pruned weights: '3.weight' was not zero", 1),
        (sets_data_before_it_trains, "train_fn replaced '3.weight' by a parameter that was", 1),
        (returns_another_model, r"train_fn returned another model (a Sequential)", 0),
        (ruins_a_buffer, "after train_fn '1.running_var' holds values that are not finite", 0),
    ],
)
def test_these_are_not(train_fn, problem, first):
    finder, _, _, results = find(train_fn)
    for row in results.rows[first:]:
        assert any(problem in text for text in row.problems), row
    assert not any(problem in text for row in results.rows[:first] for text in row.problems)
    with pytest.raises(UsageError, match="the results are invalid: ticket level"):
        finder.ticket()
    controls = finder.verify(train_fn, accuracy, ["shuffled"], verbose=False)
    assert problem in " ".join(controls.rows[-1].problems)


def adds_a_layer(model, mask):
    model.append(nn.Linear(10, 10))
    train(model)


def adds_a_buffer(model, mask):
    train(model)
    model.register_buffer("steps", torch.ones(1))


def loses_a_bias(model, mask):
    model[0].bias = None
    train(model)


def has_a_wider_layer(model, mask):
    model[0], model[1], model[3] = nn.Linear(64, 30), nn.BatchNorm1d(30), nn.Linear(30, 10)
    train(model)


def has_a_wider_norm(model, mask):
    train(model)
    model[1].running_mean = torch.zeros(25)


def is_parametrized(model, mask):
    parametrizations.weight_norm(model[0])
    train(model)


def is_parametrized_at_the_end(model, mask):
    train(model)
    parametrizations.weight_norm(model[0])


def lacks_a_layer(model, mask):
    model[2] = nn.Identity()
    del model[3]
    train(model)


@pytest.mark.parametrize(
    ("train_fn", "message"),
    [
        (adds_a_layer, "the model has '4.weight', which it had not: it cannot be rewound"),
        (adds_a_buffer, "the model has 'steps', which it had not"),
        (loses_a_bias, "the model has no '0.bias' any more"),
        (has_a_wider_layer, r"'0.weight' has shape \(24, 64\), the model has \(30, 64\)"),
        (has_a_wider_norm, r"after train_fn '1.running_mean' has shape \(25,\), it had \(24,\)"),
        (is_parametrized, "no parameter '0.weight'.*a parametrization makes '0.weight' from"),
        (is_parametrized_at_the_end, "after train_fn the model has no '0.weight' any more"),
        (lacks_a_layer, "the model has no parameter '3.weight'"),
    ],
)
def test_a_model_that_cannot_be_rewound_ends_the_search_at_once(train_fn, message):
    calls = []

    def counted(model, mask):
        calls.append(mask.num_kept)
        train_fn(model, mask)

    with pytest.raises(UsageError, match=message):
        find(counted)
    assert len(calls) == 1, "a training was wasted"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(64, 64), nn.Linear(64, 64)
        self.two.weight = self.one.weight

    def forward(self, x):
        return self.two(self.one(x))


class Untied(Tied):
    def __init__(self):
        super().__init__()
        self.two.weight = nn.Parameter(self.one.weight.detach().clone())


def assigns(model, mask):
    train(model)
    model.load_state_dict(cloned(model), assign=True)


def ties(model, mask):
    train(model)
    model.two.weight = model.one.weight


@pytest.mark.parametrize(
    ("model_fn", "train_fn", "message"),
    [
        (Tied, assigns, "'two.weight' is a tensor of its own, it was tied to 'one.weight'"),
        (Tied, assigns_at_first, "'one.weight' and 'two.weight' were one tied parameter"),
        (Untied, ties, "'two.weight' is tied to 'one.weight', it was a tensor of its own"),
    ],
)
def test_ties_stay(model_fn, train_fn, message):
    with pytest.raises(UsageError, match=message):
        find(train_fn, model_fn=model_fn)


def test_what_was_frozen_is_thawed_for_the_next_training():
    seen = []

    def freezes_at_the_end(model, mask):
        seen.append([parameter.requires_grad for parameter in model.parameters()])
        train(model)
        model.requires_grad_(False)

    def model_fn():
        model = net()
        model[1].requires_grad_(False)
        return model

    assert find(freezes_at_the_end, model_fn=model_fn)[-1].is_valid
    assert seen == [[True, True, False, False, True, True]] * 3


def test_fine_tuning_goes_on_with_the_optimizer_made_last():
    states = []

    def train_fn(model, mask, start_step=0):
        train(model)
        model.load_state_dict(cloned(model), assign=True)
        states.append(train(model).state_dict()["state"])

    finder, *_ = find(train_fn, pipeline="finetune", pruning_rounds=1)
    for index, state in finder.results.search.optimizer_state.items():
        assert torch.equal(state["momentum_buffer"], states[-1][index]["momentum_buffer"])
