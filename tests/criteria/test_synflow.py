"""SynFlow against an enumeration of paths, and the conservation laws of its paper."""

import functools
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import all_kept, assert_same_scores, matrices, mlp, some_kept
from torch import nn

from lottery_ticket.criteria import CRITERIA, score, synflow
from lottery_ticket.errors import UsageError


def relu_net(*widths, seed=0):
    return mlp(*widths, activation=nn.ReLU, bias=False, seed=seed).float()


def by_paths(model, mask):
    """For each weight, the sum over all paths through it of the product of |w| along the path."""
    layers = {name: (w.detach().double() * mask[name]).abs() for name, w in matrices(model).items()}
    widths = [next(iter(layers.values())).shape[1], *(len(w) for w in layers.values())]
    totals = {name: torch.zeros_like(w) for name, w in layers.items()}
    for path in itertools.product(*(range(width) for width in widths)):
        steps = list(zip(layers, path[1:], path, strict=False))
        product = 1.0
        for name, to, start in steps:
            product *= float(layers[name][to, start])
        for name, to, start in steps:
            totals[name][to, start] += product
    return totals


def check_paths(criterion):
    model = relu_net(3, 4, 2, 3)
    with torch.no_grad():
        model[0].weight[0, 0] = -0.0
        model[2].weight[1] = -model[2].weight[1].abs()  # a unit that ReLU would silence
    for mask in (all_kept(model), some_kept(model)):
        found = score(criterion, model=model, mask=mask, input_shape=(3,))
        assert_same_scores(found, by_paths(model, mask), rtol=1e-12)
        assert all(values.dtype == torch.float64 for values in found.values())
        assert all((values >= 0).all() for values in found.values())


def test_scores_are_sums_over_paths():
    check_paths("synflow")


def flow_gradients(model, mask, x, scored):
    parameters = {name: dict(model.named_parameters())[name] for name in mask}
    grads = torch.autograd.grad(model(x).sum(), list(parameters.values()))
    return {n: scored(g, w.detach()) for (n, w), g in zip(parameters.items(), grads, strict=True)}


def signed_weights(model, mask, input_shape):
    model.double()
    x = torch.ones(1, *input_shape).double()
    return flow_gradients(model, mask, x, lambda g, w: (g * w).abs())


def linear(model):
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    return model


def gradient_alone(model, mask, input_shape):
    x = torch.ones(1, *input_shape).double()
    return flow_gradients(linear(model), mask, x, lambda g, w: g)


def squared(model, mask, input_shape):
    x = torch.ones(1, *input_shape).double()
    return flow_gradients(linear(model), mask, x, lambda g, w: (g * w).square())


def random_input(model, mask, input_shape):
    x = torch.rand(1, *input_shape).double()
    return flow_gradients(linear(model), mask, x, lambda g, w: g * w)


def unmasked(model, mask, input_shape):
    model.load_state_dict(relu_net(3, 4, 2, 3).state_dict())
    return synflow(model, mask, input_shape)


def in_float32(model, mask, input_shape):
    x = torch.ones(1, *input_shape)
    return flow_gradients(linear(model).float(), mask, x, lambda g, w: (g * w).double())


@pytest.mark.parametrize(
    "mutant",
    [
        signed_weights,
        gradient_alone,
        squared,
        random_input,
        unmasked,
        in_float32,
        CRITERIA["magnitude"],
    ],
)
def test_other_scores_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_paths(mutant)


def check_conservation(criterion, model, mask, num_inputs):
    """A layer's scores sum to R; what flows into a hidden unit flows out of it."""
    scores = list(score(criterion, model=model, mask=mask, input_shape=(num_inputs,)).values())
    weights = [w.detach().double() * mask[name] for name, w in matrices(model).items()]
    flow = functools.reduce(lambda x, w: w.abs() @ x, weights, torch.ones(num_inputs).double())
    for values in scores:
        torch.testing.assert_close(values.sum(), flow.sum(), rtol=1e-10, atol=0.0)
    for incoming, outgoing in itertools.pairwise(scores):
        into, out_of = incoming.sum(1), outgoing.sum(0)
        torch.testing.assert_close(into, out_of, rtol=1e-10, atol=float(flow.sum()) * 1e-14)


nets = st.builds(
    lambda widths, seed, density: (
        model := relu_net(*widths, seed=seed),
        some_kept(model, density, seed),
        widths[0],
    ),
    st.lists(st.integers(1, 6), min_size=3, max_size=7),
    st.integers(0, 2**32),
    st.floats(0.3, 1.0),
)


@settings(max_examples=40)
@given(nets)
def test_flow_is_conserved(net):
    check_conservation("synflow", *net)


@pytest.mark.parametrize(
    "mutant",
    [signed_weights, gradient_alone, squared, CRITERIA["magnitude"], in_float32],
)
def test_what_is_not_conserved_is_caught(mutant):
    model = relu_net(4, 6, 5, 3)
    with pytest.raises(AssertionError):
        check_conservation(mutant, model, all_kept(model), 4)


def deep(scale, num_layers=60, width=64):
    model = relu_net(width, *[width] * num_layers)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(0, scale, generator=torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_deep_nets_neither_overflow_nor_underflow(scale):
    model = deep(scale)
    check_conservation("synflow", model, all_kept(model), 64)
    flow = in_float32(model, all_kept(model), (64,))["0.weight"].sum()
    assert not (flow > 0 and flow.isfinite()), "the net is too shallow to test anything"


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_float32_is_caught_in_deep_nets(scale):
    model = deep(scale)
    with pytest.raises((AssertionError, UsageError)):
        check_conservation(in_float32, model, all_kept(model), 64)


def test_flow_beyond_float64_is_refused():
    model = deep(1.0, num_layers=190)
    with pytest.raises(UsageError, match="synflow: the flow through the net is inf even in float"):
        score("synflow", model=model, mask=all_kept(model), input_shape=(64,))


def conv_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(3, 4, 2, bias=False),
        nn.Flatten(),
        nn.Linear(16, 3, bias=False),
    )


@pytest.fixture
def no_stray_draws():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.usefixtures("no_stray_draws")
def test_layers_of_a_convolutional_net_carry_the_same_flow():
    model = conv_net().train()
    scores = score("synflow", model=model, mask=all_kept(model), input_shape=(2, 8, 8))
    sums = [float(values.sum()) for values in scores.values()]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-12)
    assert sums[0] > 0


def check_batch_norm(criterion):
    """Evaluation mode, running variance in, running mean out; the same whatever the mode was."""
    with torch.random.fork_rng(devices=[]):
        model = conv_net()
    arguments = {"mask": all_kept(model), "input_shape": (2, 8, 8)}
    model[1].running_var.copy_(torch.tensor([0.25, 4.0, 1.0]))
    wanted = score("synflow", model=model.eval(), **arguments)
    by_hand = conv_net_without_norm(model)
    flow = score("synflow", model=by_hand, mask=all_kept(by_hand), input_shape=(2, 8, 8))
    torch.testing.assert_close(wanted["0.weight"].sum(), flow["0.weight"].sum(), rtol=1e-4, atol=0)
    model[1].running_mean.copy_(torch.tensor([-3.0, 0.0, 3.0]))
    for is_training in (True, False):
        assert_same_scores(score(criterion, model=model.train(is_training), **arguments), wanted)


def conv_net_without_norm(model):
    """The same flow, the norm's 1/σ in the convolution."""
    with torch.random.fork_rng(devices=[]):
        other = conv_net()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other[0].weight.mul_(model[1].running_var.rsqrt()[:, None, None, None])
    other[1] = nn.Identity()
    return other


def test_batch_norms_scale_and_do_not_shift():
    check_batch_norm("synflow")


def with_running_means(model, mask, input_shape):
    x = torch.ones(1, *input_shape).double()
    return flow_gradients(linear(model.eval()), mask, x, lambda g, w: (g * w).abs())


def in_training_mode(model, mask, input_shape):
    x = torch.ones(1, *input_shape).double()
    return flow_gradients(linear(model.train()), mask, x, lambda g, w: (g * w).abs())


@pytest.mark.parametrize("mutant", [with_running_means, in_training_mode])
def test_batch_norms_in_the_way_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_batch_norm(mutant)


def test_biases_count_by_their_absolute_value():
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[2.0, -3.0]]))
        model.bias.fill_(-7.0)
    kept = {"weight": torch.tensor([[True, True]]), "bias": torch.tensor([True])}
    scores = score("synflow", model=model, mask=kept, input_shape=(2,))
    assert scores["weight"].tolist() == [[2.0, 3.0]]
    assert scores["bias"].tolist() == [7.0]


def test_the_input_shape_is_that_of_the_first_x():
    model = relu_net(3, 4, 2)
    mask = all_kept(model)
    wanted = score("synflow", model=model, mask=mask, input_shape=[3])
    batches = iter([(torch.zeros(5, 3), None)])
    assert_same_scores(score("synflow", model=model, mask=mask, batches=batches), wanted)
    for batch in ({"x": torch.zeros(5, 3)}, (torch.zeros(5, 3, dtype=torch.long), 1), 7):
        with pytest.raises(UsageError, match=r"shape of an example cannot be told .* input_shape="):
            score("synflow", model=model, mask=mask, batches=[batch])


def test_autocast_does_not_take_the_precision_away():
    model = relu_net(3, 4, 2)
    mask = all_kept(model)
    wanted = score("synflow", model=model, mask=mask, input_shape=(3,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = score("synflow", model=model, mask=mask, input_shape=(3,))
    assert_same_scores(found, wanted, rtol=0, atol=0)


def test_an_output_that_is_no_tensor_is_refused():
    class Two(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    model = Two(3, 2)
    with pytest.raises(UsageError, match="synflow: the model's output is a tuple, not a tensor"):
        score("synflow", model=model, mask=all_kept(model), input_shape=(3,))


def test_its_paper_takes_a_hundred_rounds():
    assert CRITERIA["synflow"].rounds == 100
    assert [n for n in CRITERIA if CRITERIA[n].rounds != 1] == [
        "force",
        "iterative_snip",
        "synflow",
    ]
    assert not CRITERIA["synflow"].needs_data
