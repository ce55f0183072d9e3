"""A `train_fn` that does other than train under the mask is found out, and nothing is repaired;
mistakes are said before anything trains."""

import pytest
import torch
from own_loops import Loop, net
from torch import nn

from lottery_ticket import LotteryTicketFinder, UsageError
from lottery_ticket.masks import LayerCollapseWarning
from lottery_ticket.pruning import one_shot


def find(train_fn, **arguments):
    loop = Loop(epochs=1)
    options = {"target_sparsity": 0.5, "pruning_rounds": 1, "verbose": False} | arguments
    return LotteryTicketFinder(model_fn=net).find_winning_ticket(
        train_fn=train_fn, eval_fn=options.pop("eval_fn", loop.accuracy), **options
    )


def ignores_the_mask(model, mask):
    Loop(epochs=1).train(model, mask)


def writes_weights(model, mask):
    Loop(epochs=1).train(model, mask)
    with torch.no_grad():
        model[0].weight.add_(0.001)


def loads_other_weights(model, mask):
    other = net()
    Loop(epochs=1).train(other, mask)
    model.load_state_dict(other.state_dict())


def trains_another_model(model, mask):
    Loop(epochs=1).train(net(), mask)


def diverges(model, mask):
    Loop(epochs=1).train(model, mask)
    with torch.no_grad():
        model[3].bias.fill_(float("nan"))


def changes_the_mask(model, mask):
    mask["0.weight"].logical_not_()
    Loop(epochs=1).train(model, mask)


def test_a_loop_that_changes_its_mask_changes_no_other():
    model, mask, results = find(changes_the_mask)
    assert "train_fn changed the mask that it was given, which changes nothing" in str(results)
    assert mask == find(ignores_the_mask)[1]
    assert not model[0].weight[~mask["0.weight"]].any()


def test_a_loop_that_ignores_the_mask_is_held_to_it():
    model, mask, results = find(ignores_the_mask)
    assert results.is_valid
    assert not model[0].weight[~mask["0.weight"]].any()


@pytest.mark.parametrize(
    ("train_fn", "problem"),
    [
        (writes_weights, "train_fn wrote pruned weights: '0.weight' is not zero"),
        (loads_other_weights, "train_fn wrote pruned weights: '0.weight' was not zero"),
        (trains_another_model, "train_fn changed no parameter of the model it was given"),
        (diverges, "after train_fn '3.bias' holds values that are not finite"),
    ],
)
def test_other_loops_make_the_result_invalid(train_fn, problem, capsys):
    model, mask, results = find(train_fn, verbose=True)
    assert not results.is_valid
    assert any(problem in line for line in results.problems)
    assert "INVALID" in str(results)
    assert "INVALID" in capsys.readouterr().out
    if "is not zero" in problem:
        assert model[0].weight[~mask["0.weight"]].any(), "it was repaired"


def test_a_metric_that_is_not_finite_makes_the_result_invalid():
    values = iter([0.1, 0.9, float("nan")])
    _, _, results = find(ignores_the_mask, eval_fn=lambda model: next(values))
    assert results.problems == ["ticket level 1: eval_fn returned nan"]


def test_a_model_without_an_optimiser_of_torch():
    def by_hand(model, mask):
        x = torch.rand(50, 64)
        for _ in range(3):
            model.zero_grad()
            model(x).square().sum().backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 1e-4 * parameter.grad

    _, _, results = find(by_hand)
    assert results.is_valid
    assert [row.num_steps for row in results.rows] == [0, 0]


def never(*arguments):
    raise AssertionError("this should not have run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target_sparsity": 90}, r"target_sparsity: 90 is not a fraction .*; for 90 % write 0.9"),
        ({"target_sparsity": 1.0}, "target_sparsity: 1 is not a fraction between 0 and 1"),
        ({"target_sparsity": "0.9"}, r"target_sparsity: got '0.9' \(str\), wanted a fraction"),
        ({"pruning_rounds": 0}, "rounds: got 0, wanted a whole number of at least 1"),
        ({"pruning_rounds": 2.0}, "rounds: got 2.0, wanted a whole number"),
        (
            {"schedule": one_shot(0.5), "target_sparsity": 0.5},
            "give either schedule, or target_sparsity and pruning",
        ),
        ({"criterion": "magnitud"}, "unknown criterion 'magnitud'; did you mean 'magnitude'"),
        ({"criterion": "snip"}, "criterion 'snip' needs .*batches"),
        ({"scope": "globl"}, "unknown scope 'globl'; did you mean 'global'"),
        ({"structure": "2:5:1"}, "structure: got '2:5:1', wanted one of"),
        ({"structure": "2:4", "target_sparsity": 0.9}, "structure '2:4' keeps 0.5 of every"),
        ({"train_fn": None}, "train_fn: got NoneType, wanted a function train_fn"),
        ({"eval_fn": 0.5}, "eval_fn: got float, wanted a function eval_fn"),
        ({"eval_fn": lambda model: "good"}, "eval_fn returned str, wanted one number"),
        ({"eval_fn": lambda model: None}, "eval_fn returned NoneType"),
        ({"model": "resnet"}, "model: got str, wanted a torch.nn.Module"),
        ({"model": nn.LayerNorm(3)}, "nothing to prune: the model has weight .norm."),
        ({"pruning_rounds": 1000}, "level .* would prune nothing"),
    ],
)
def test_mistakes_are_said_before_training(arguments, message):
    options = {"train_fn": never, "eval_fn": lambda model: 0.5} | arguments
    with pytest.raises(UsageError, match=message):
        LotteryTicketFinder(model_fn=net).find_winning_ticket(**options)


def test_lazy_layers_have_no_shape():
    def lazy():
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2))

    for options in ({}, {"ignore": ["1"]}):  # a rewind wants shapes, whatever is pruned
        with pytest.raises(
            UsageError, match=r"'1\.weight' has no shape yet .*; run the model once"
        ):
            LotteryTicketFinder(model_fn=lazy, **options).find_winning_ticket(
                train_fn=never, eval_fn=never
            )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"targt_sparsity": 0.5},
            "find_winning_ticket: unknown argument 'targt_sparsity'; did you",
        ),
        ({"ignore": ["1"]}, r"takes no ignore=; the finder does: LotteryTicketFinder\(ignore=…\)"),
    ],
)
def test_arguments_that_the_search_does_not_take(arguments, message):
    with pytest.raises(UsageError, match=message):
        LotteryTicketFinder(model_fn=net).find_winning_ticket(never, never, **arguments)
    with pytest.raises(UsageError, match="LotteryTicketFinder: unknown argument 'ignor'; did you"):
        LotteryTicketFinder(model_fn=net, ignor=["1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "maximum"}, "mode: got 'maximum'"),
        ({"model_class": net, "model_fn": net}, "give model_class or model_fn, not both"),
        ({"model_kwargs": {"a": 1}}, "model_kwargs has no effect without model_class"),
        ({"model_class": net()}, "model_class: got Sequential, wanted a class or function"),
        ({"model_fn": "net"}, "model_fn: got str"),
        ({"device": "tpu"}, "device 'tpu' is not available here"),
    ],
)
def test_mistakes_in_the_constructor(arguments, message):
    with pytest.raises(UsageError, match=message):
        LotteryTicketFinder(**arguments)


def test_mistakes_in_verify():
    finder = LotteryTicketFinder(model_fn=net)
    with pytest.raises(UsageError, match="nothing was found yet; call find_winning_ticket"):
        finder.verify(never, never)
    loop = Loop(epochs=1)
    finder.find_winning_ticket(None, loop.train, loop.accuracy, 0.5, 1, verbose=False)
    with pytest.raises(UsageError, match="unknown control 'reinitt'; did you mean 'reinit'"):
        finder.verify(never, loop.accuracy, ["shuffled", "reinitt"])
    with pytest.raises(UsageError, match="replicates: got 0, wanted a whole number of at least 1"):
        finder.verify(never, loop.accuracy, replicates=0)


def test_without_a_model_or_a_way_to_build_one():
    with pytest.raises(UsageError, match="pass model_class="):
        LotteryTicketFinder().find_winning_ticket(train_fn=never, eval_fn=never)


def test_a_layer_that_collapses_is_named():
    def first_layer_is_worth_nothing(weights):
        return {n: torch.full_like(w, float(n == "3.weight")) for n, w in weights.items()}

    loop = Loop(epochs=1)
    with pytest.warns(LayerCollapseWarning, match="no weight of 0.weight is kept"):
        find(loop.train, criterion=first_layer_is_worth_nothing, target_sparsity=0.9)
