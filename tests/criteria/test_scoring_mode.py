"""How the model is when it is scored: no noise, batch statistics, its mask applied."""

import pytest
import torch
import torch.nn.functional as F
from small_nets import all_kept, assert_same_scores, mlp, pairs, some_kept
from torch import nn

from lottery_ticket.criteria import score

BATCHES = pairs(6)


class Noisy(nn.Module):
    """Dropout as a module and as a function, a norm with averages that are far off."""

    def __init__(self):
        super().__init__()
        self.one = nn.Linear(3, 5)
        self.norm = nn.BatchNorm1d(5)
        self.drop = nn.Dropout(0.5)
        self.two = nn.Linear(5, 3)

    def forward(self, x):
        x = F.dropout(self.drop(self.norm(self.one(x))), 0.5, training=self.training)
        return self.two(x.tanh())


def noisy():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Noisy().double()
    model.norm.running_mean.fill_(30.0)
    model.norm.running_var.fill_(0.01)
    return model


def by_hand(model):
    """|g·w| with the batch normalised by its own mean and variance."""
    weights = {name: model.get_parameter(name) for name in all_kept(model)}
    ((x, y),) = BATCHES
    hidden = model.one(x)
    deviation = hidden - hidden.mean(0)
    normed = deviation / (deviation.square().mean(0) + model.norm.eps).sqrt()
    loss = F.cross_entropy(model.two(normed.tanh()), y)
    gradients = torch.autograd.grad(loss, list(weights.values()))
    return {n: (g * w).abs() for (n, w), g in zip(weights.items(), gradients, strict=True)}


MODES = {
    "training": lambda model: model.train(),
    "evaluation": lambda model: model.eval(),
    "frozen norm": lambda model: model.train().norm.eval(),
}


def check_mode(score):
    """The same scores whatever mode the model was left in, and time after time."""
    for set_mode in MODES.values():
        model = noisy()
        set_mode(model)
        found = score("saliency", model=model, mask=all_kept(model), batches=BATCHES)
        assert_same_scores(found, by_hand(noisy()))


def test_scores_are_without_noise_and_with_batch_statistics():
    check_mode(score)


def plain_scores(model, mask, batches):
    weights = [model.get_parameter(name) for name in mask]
    loss = F.cross_entropy(model(batches[0][0]), batches[0][1])
    grads = torch.autograd.grad(loss, weights)
    return {n: (g * w).abs() for n, g, w in zip(mask, grads, weights, strict=True)}


def as_it_is(criterion, *, model, mask, batches):
    return plain_scores(model, mask, batches)


def in_training_mode(criterion, *, model, mask, batches):
    return plain_scores(model.train(), mask, batches)


def in_evaluation_mode(criterion, *, model, mask, batches):
    return plain_scores(model.eval(), mask, batches)


def with_dropout_modules_off(criterion, *, model, mask, batches):
    model.train().drop.eval()
    return plain_scores(model, mask, batches)


@pytest.mark.parametrize(
    "mutant", [as_it_is, in_training_mode, in_evaluation_mode, with_dropout_modules_off]
)
def test_other_modes_are_caught(mutant):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError):
        check_mode(mutant)


def test_a_function_of_ones_own_can_choose_another_mode():
    def in_evaluation(model, mask, batches):
        return plain_scores(model.eval(), mask, list(batches))

    model = noisy()
    found = score(in_evaluation, model=model, mask=all_kept(model), batches=BATCHES)
    assert_same_scores(found, plain_scores(noisy().eval(), all_kept(model), BATCHES))
    assert model.training


def seen_by(criterion_arguments):
    """What a criterion sees of the model."""
    seen = {}

    def looks(model, weights, mask):
        seen["values"] = {n: p.detach().clone() for n, p in model.named_parameters()}
        seen["weights"] = {name: weight.clone() for name, weight in weights.items()}
        seen["requires_grad"] = {n: p.requires_grad for n, p in model.named_parameters()}
        seen["grads"] = [p.grad for p in model.parameters()]
        return {name: torch.zeros(kept.shape) for name, kept in mask.items()}

    score(looks, **criterion_arguments)
    return seen


def test_pruned_weights_are_zero_while_scored():
    model = mlp(3, 4, 3)
    mask = some_kept(model)
    seen = seen_by({"model": model, "mask": mask})
    for name, value in model.named_parameters():
        wanted = value * mask[name] if name in mask else value
        assert torch.equal(seen["values"][name], wanted), name
        if name in mask:
            assert torch.equal(seen["weights"][name], wanted), name
    weights = {name: -torch.ones(kept.shape) for name, kept in mask.items()}
    alone = {}
    score(lambda weights: alone.update(weights) or weights, weights=weights, mask=mask)
    for values in (seen["values"], alone):
        for name, kept in mask.items():
            assert not values[name][~kept].any()
            assert not values[name][~kept].signbit().any()
            assert values[name][kept].all()


def test_a_model_is_scored_at_the_weights_given_with_it():
    """A whole `state_dict` will do: biases and buffers count too."""
    model, trained = noisy(), noisy()
    with torch.no_grad():
        for value in trained.state_dict().values():
            value.add_(1)
    mask = all_kept(model)
    weights = trained.state_dict()
    seen = seen_by({"model": model, "mask": mask, "weights": weights})
    for name, value in trained.named_parameters():
        assert torch.equal(seen["values"][name], value), name
    arguments = {"mask": mask, "batches": BATCHES}
    assert_same_scores(
        score("saliency", model=model, weights=weights, **arguments),
        score("saliency", model=trained, **arguments),
        rtol=0,
    )
    some = {name: weights[name] for name in mask}
    seen = seen_by({"model": model, "mask": mask, "weights": some})
    assert torch.equal(seen["values"]["one.weight"], trained.one.weight)
    assert torch.equal(seen["values"]["one.bias"], model.one.bias)


def test_scored_parameters_can_be_differentiated():
    """Frozen layers, and callers that have switched gradients off."""
    model = mlp(3, 4, 3)
    arguments = {"model": model, "mask": all_kept(model), "batches": BATCHES}
    wanted = score("grasp", **arguments)
    model(BATCHES[0][0]).sum().backward()
    model.requires_grad_(False)
    seen = seen_by({"model": model, "mask": {"0.weight": all_kept(model)["0.weight"]}})
    assert [name for name, is_trained in seen["requires_grad"].items() if is_trained] == [
        "0.weight"
    ]
    assert seen["grads"] == [None] * 4
    for switched_off in (torch.no_grad, torch.inference_mode):
        with switched_off():
            assert_same_scores(score("grasp", **arguments), wanted, rtol=0)


@pytest.mark.parametrize("name", ["saliency", "snip", "grasp"])
def test_recurrent_nets_are_scored(name):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.lstm(x.unflatten(0, (-1, 2)))[0].flatten(0, 1))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Recurrent().double()
    scores = score(name, model=model, mask=all_kept(model), batches=BATCHES)
    assert all(values.any() for values in scores.values())


def test_cudnn_is_off_for_recurrent_nets():
    """It differentiates them in training mode only, and only once."""
    seen = []

    def looks(model, mask):
        seen.append(torch.backends.cudnn.enabled)
        return {name: torch.zeros(kept.shape) for name, kept in mask.items()}

    assert torch.backends.cudnn.enabled
    for model in (nn.LSTM(3, 4), mlp(3, 4)):
        score(looks, model=model, mask=all_kept(model))
    assert seen == [False, True]
    assert torch.backends.cudnn.enabled


@pytest.mark.parametrize("name", ["saliency", "snip", "grasp", "synflow"])
def test_a_parameter_that_is_not_used_scores_zero(name):
    model = mlp(3, 4, 3)
    wanted = score(name, model=model, mask=all_kept(model), batches=BATCHES)
    model.unused = nn.Linear(2, 2).double()
    model.forward = lambda x: nn.Sequential(*model[:3])(x)
    found = score(name, model=model, mask=all_kept(model), batches=BATCHES)
    assert not found.pop("unused.weight").any()
    assert_same_scores(found, wanted)


def test_low_precision_weights_have_float32_scores():
    model = mlp(3, 4, 3).to(torch.bfloat16)
    batches = [(x.to(torch.bfloat16), y) for x, y in BATCHES]
    scores = score("saliency", model=model, mask=all_kept(model), batches=batches)
    assert {values.dtype for values in scores.values()} == {torch.float32}


def test_a_compiled_model_is_scored():
    model = mlp(3, 4, 3)
    compiled = torch.compile(model, backend="eager")
    wanted = score("saliency", model=model, mask=some_kept(model), batches=BATCHES)
    mask = {f"_orig_mod.{name}": kept for name, kept in some_kept(model).items()}
    found = score("saliency", model=compiled, mask=mask, batches=BATCHES)
    assert_same_scores({name.removeprefix("_orig_mod."): s for name, s in found.items()}, wanted)
