"""`find_winning_ticket` with a user's loop on real digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from own_loops import NUM_TRAIN, STEPS_PER_EPOCH, Loop, X, Y, net
from torch import nn

from lottery_ticket import LotteryTicketFinder, UsageError
from lottery_ticket.masks import MissedDensityWarning, PruningMask
from lottery_ticket.models import LeNet300
from lottery_ticket.pruning import densities, iterative, one_shot
from lottery_ticket.store import TABLE_COLUMNS

SIZE = 64 * 24 + 24 * 10  # 1,776 prunable weights


def check_is_lth(find):
    """Law 4 for the finder: every training starts from θ₀ where kept, and zero elsewhere."""
    loop = Loop()
    finder = LotteryTicketFinder(model_fn=net)
    model, mask, results = find(
        finder, train_fn=loop.train, eval_fn=loop.accuracy, target_sparsity=0.9, pruning_rounds=4
    )
    assert [kept for _, kept in loop.calls] == [SIZE, 999, 562, 316, 178]
    initial = finder.initial_state
    masks = [PruningMask(model), *finder.results.search.masks[1:]]
    for (start, _), before, level_mask in zip(loop.calls, [masks[0], *masks], masks, strict=False):
        assert level_mask.is_nested_in(before)
        for name, value in start.items():
            kept = level_mask.get(name, torch.ones_like(value, dtype=torch.bool))
            assert torch.equal(value[kept], initial[name][kept]), f"{name} is not rewound"
            assert not value[~kept].any()
    assert mask == finder.mask == masks[-1]
    assert mask.sparsity == pytest.approx(0.9, abs=0.5 / SIZE)
    trained = dict(model.named_parameters())
    for name, kept in mask.items():
        assert not trained[name][~kept].any()
        assert not torch.equal(trained[name], initial[name] * kept)
    assert results.dense > 0.8
    assert loop.accuracy(model) == results.ticket


def test_is_iterative_magnitude_pruning(capsys):
    check_is_lth(LotteryTicketFinder.find_winning_ticket)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 5
    assert "ticket level 4" in out
    assert "density  10.02 %           178 weights" in out


def never_rewinds(finder, **arguments):
    return finder.find_winning_ticket(**arguments, pipeline="lr_rewind", verbose=False)


def prunes_at_random(finder, **arguments):
    made = finder.find_winning_ticket(**arguments, verbose=False)
    finder.results.search.masks[-1] = PruningMask.from_tensors(
        {n: torch.rand(m.shape) < m.float().mean() for n, m in finder.mask.items()}
    )
    return made


def trains_the_dense_net_once_more(finder, *, pruning_rounds, **arguments):
    return finder.find_winning_ticket(**arguments, pruning_rounds=pruning_rounds + 1, verbose=False)


@pytest.mark.parametrize(
    "mutant", [never_rewinds, prunes_at_random, trains_the_dense_net_once_more]
)
def test_other_searches_are_caught(mutant):
    with pytest.raises(AssertionError):
        check_is_lth(mutant)


@pytest.fixture(scope="module")
def search():
    loop = Loop()
    finder = LotteryTicketFinder(model_fn=net, seed=3)
    finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.8,
        pruning_rounds=2,
        verbose=False,
    )
    return finder, loop


def test_results_are_the_result_table(search):
    results = search[0].results
    assert list(results.table.columns) == list(TABLE_COLUMNS)
    ticket = results.table[results.table["arm"] == "ticket"]
    assert ticket["num_kept"].tolist() == [SIZE, 794, 355]
    assert ticket["num_prunable"].unique().tolist() == [SIZE]
    np.testing.assert_allclose(ticket["density"] + ticket["sparsity"], 1.0)
    assert ticket["test_accuracy"].tolist() == [row.metric for row in results.rows[:3]]
    assert ticket["test_loss"].isna().all()
    assert ticket["num_steps"].unique().tolist() == [2 * STEPS_PER_EPOCH]
    assert (ticket["train_seconds"] > 0).all()
    assert isinstance(results.summary, pd.DataFrame)
    layers = results.layers
    assert layers.groupby("level")["num_kept"].sum().tolist() == [SIZE, 794, 355]
    assert results.gap == results.ticket - results.dense
    assert results.retained == pytest.approx(100 * results.ticket / results.dense)
    text = str(results)
    assert f"{100 * results.dense:.2f} %" in text
    assert "355 weights kept, density 19.99 %, sparsity 80.01 %" in text


def test_controls_train_what_they_say(search):
    finder, loop = search
    before = {name: value.clone() for name, value in finder._model.state_dict().items()}
    loop.calls.clear()
    accuracy = finder.verify_random_ticket(loop.train, loop.accuracy)
    results = finder.verify(
        loop.train, loop.accuracy, ["shuffled", "random", "oneshot", "reinit"], 2, verbose=False
    )
    arms = [row.arm for row in results.rows[3:]]
    assert arms == [
        "reinit",
        "shuffled",
        "shuffled",
        "random",
        "random",
        "oneshot",
        "reinit",
        "reinit",
    ]
    assert [row.draw for row in results.rows[3:]] == [0, 0, 1, 0, 1, 0, 1, 2]
    assert results.control("reinit")[0] == accuracy
    assert {row.num_kept for row in results.rows[3:]} == {355}
    initial, mask = finder.initial_state, finder.mask
    for (start, _), row in zip(loop.calls, results.rows[3:], strict=True):
        kept = {name: start[name] != 0 for name in mask}
        is_ticket_mask = all(torch.equal(kept[name], mask[name]) for name in mask)
        is_initial = all(torch.equal(start[n][kept[n]], initial[n][kept[n]]) for n in mask)
        assert is_ticket_mask == (row.arm == "reinit")
        assert is_initial == (row.arm != "reinit")
        if row.arm == "shuffled":
            assert [int(k.sum()) for k in kept.values()] == [int(m.sum()) for m in mask.values()]
    starts = [start["0.weight"] for start, _ in loop.calls]
    assert not torch.equal(starts[0], starts[-1]), "two draws of reinit are one"
    after = finder._model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "the ticket was trained"
    assert "reinit" in str(results)
    assert "(3 draws)" in str(results)
    assert finder.results.search is results.search


def test_a_search_is_reproducible_and_leaves_the_random_state_alone():
    found = []
    for _ in range(2):
        torch.manual_seed(5)
        state = torch.get_rng_state()
        loop = Loop(epochs=1)
        model, mask, results = LotteryTicketFinder(model_fn=net).find_winning_ticket(
            None, loop.train, loop.accuracy, 0.5, 1, False
        )
        assert torch.equal(torch.get_rng_state(), state)
        found.append((model.state_dict(), mask, [row.metric for row in results.rows]))
        torch.rand(3)
    assert found[0][1:] == found[1][1:]
    assert all(torch.equal(found[0][0][n], v) for n, v in found[1][0].items())
    loop = Loop(epochs=1)
    other = LotteryTicketFinder(model_fn=net, seed=1)
    other.find_winning_ticket(None, loop.train, loop.accuracy, 0.5, 1, False)
    assert other.mask != found[0][1]


def test_a_given_model_is_searched_in_place():
    loop = Loop(epochs=1)
    mine = net()
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    finder = LotteryTicketFinder()
    model, _mask, _ = finder.find_winning_ticket(
        mine, loop.train, loop.accuracy, target_sparsity=0.5, pruning_rounds=1, verbose=False
    )
    assert model is mine
    assert all(torch.equal(finder.initial_state[n], v) for n, v in before.items())
    with pytest.raises(UsageError, match="pass model_class="):
        finder.verify_random_ticket(loop.train, loop.accuracy)
    assert finder.verify(loop.train, loop.accuracy, ["shuffled"], verbose=False).is_valid


def test_our_models_take_their_seed_and_options():
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(LeNet300, {"input_size": 64, "hidden": [20, 12]}, device="cpu")
    _model, mask, _ = finder.find_winning_ticket(
        None, loop.train, loop.accuracy, 0.9, 1, verbose=False
    )
    assert mask.num_prunable == 64 * 20 + 20 * 12 + 12 * 10


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ({"schedule": iterative(0.2, 3)}, [1776, 1421, 1137, 910]),
        ({"schedule": densities(0.5, 0.1)}, [1776, 888, 178]),
        ({"schedule": one_shot(0.75)}, [1776, 444]),
        ({"scope": "layerwise", "schedule": iterative(0.2, 2)}, [1776, 1421, 1137]),
        ({"scope": "erk", "schedule": one_shot(0.9)}, [1776, 178]),
        ({"structure": "2:4", "schedule": one_shot(0.5)}, [1776, 888]),
        ({"criterion": "random", "schedule": one_shot(0.5)}, [1776, 888]),
        ({"criterion": "movement", "schedule": one_shot(0.5)}, [1776, 888]),
        ({"min_layer_density": 0.3, "schedule": one_shot(0.6)}, [1776, 710]),
    ],
)
def test_schedules_scopes_structures_criteria(arguments, counts):
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    _, mask, results = finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, verbose=False, **arguments
    )
    assert [row.num_kept for row in results.rows] == counts
    assert results.is_valid
    assert min(1 - s for s in mask.layer_sparsities.values()) >= arguments.get(
        "min_layer_density", 0
    )


def test_the_users_own_criterion():
    def kept_outputs_first(weights):
        return {n: torch.arange(w.numel(), 0.0, -1.0).view(w.shape) for n, w in weights.items()}

    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    _, mask, _ = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.5,
        pruning_rounds=1,
        criterion=kept_outputs_first,
        scope="layerwise",
        verbose=False,
    )
    assert mask["3.weight"].flatten().tolist() == [True] * 120 + [False] * 120


@pytest.mark.parametrize("criterion", ["snip", "grasp", "synflow"])
def test_pruning_at_initialisation(criterion):
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    batches = [(X[:200], Y[:200])]
    _, mask, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.8,
        criterion=criterion,
        pipeline="at_init",
        batches=batches,
        verbose=False,
    )
    assert [row.num_kept for row in results.rows] == [SIZE, 355]
    start = loop.calls[1][0]
    for name, kept in mask.items():
        assert torch.equal(start[name], finder.initial_state[name] * kept)
    # made from the initial weights: training has no part in it
    other = LotteryTicketFinder(model_fn=net)
    _, again, _ = other.find_winning_ticket(
        train_fn=Loop(epochs=2, lr=0.3).train,
        eval_fn=loop.accuracy,
        target_sparsity=0.8,
        criterion=criterion,
        pipeline="at_init",
        batches=batches,
        verbose=False,
    )
    assert again == mask


def test_prune_until_the_metric_falls():
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    model, mask, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        schedule=iterative(0.5, 9),
        max_drop=0.1,
        verbose=False,
    )
    metrics = [row.metric for row in results.rows]
    assert 2 < len(metrics) < 10, "it should stop early"
    assert metrics[-1] < metrics[0] - 0.1 <= min(metrics[:-1])
    assert results.level == len(metrics) - 2
    assert mask.num_kept == results.rows[-2].num_kept
    assert loop.accuracy(model) == results.ticket == metrics[-2]
    for name, kept in mask.items():
        assert not dict(model.named_parameters())[name][~kept].any()


def test_a_loss_is_minimised():
    def loss(model):
        with torch.no_grad():
            return nn.functional.cross_entropy(model.eval()(X[NUM_TRAIN:]), Y[NUM_TRAIN:])

    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net, mode="min")
    _, _, results = finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loss, target_sparsity=0.5, pruning_rounds=1, verbose=False
    )
    assert results.table["test_accuracy"].isna().all()
    assert results.table["test_loss"].tolist() == [row.metric for row in results.rows]
    assert results.retained == pytest.approx(100 * results.dense / results.ticket)
    assert "points" not in str(results)


def test_percent_is_stored_as_a_fraction():
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=net)
    _, _, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=lambda model: 100 * loop.accuracy(model),
        target_sparsity=0.5,
        pruning_rounds=1,
        verbose=False,
    )
    assert results.dense > 50
    np.testing.assert_allclose(100 * results.table["test_accuracy"][0], results.dense)
    assert f"dense    {results.dense:.2f} %" in str(results)


@pytest.mark.parametrize("structure", ["2:4", "channel"])
def test_controls_keep_the_structure_of_the_ticket(structure):
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=conv_net if structure == "channel" else net)
    finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        structure=structure,
        schedule=one_shot(0.5),
        scope="layerwise",
        verbose=False,
    )
    loop.calls.clear()
    arms = ["shuffled", "random", "oneshot"]
    results = finder.verify(loop.train, loop.accuracy, arms, verbose=False)
    mask = finder.mask
    assert {row.num_kept for row in results.rows[2:]} == {results.rows[1].num_kept}
    for arm, (start, _) in zip(arms, loop.calls, strict=True):
        kept = {name: start[name] != 0 for name in mask}
        assert any(not torch.equal(kept[name], mask[name]) for name in mask) == (arm != "oneshot")
        for layer in kept.values():
            if structure == "2:4":
                assert bool((layer.unflatten(1, (-1, 4)).sum(-1) == 2).all())
            else:
                channels = layer.flatten(1)
                assert torch.equal(channels.any(1), channels.all(1))
                assert bool(channels.any())


def conv_net():
    """With a branch of one channel, which no control may lose."""
    return nn.Sequential(
        *(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.ReLU()),
        *(nn.Conv2d(8, 1, 1), nn.Conv2d(1, 8, 3), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(128, 10)),
    )


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_channels_by_weights_and_every_class_alive(scope):
    loop = Loop(epochs=2)
    finder = LotteryTicketFinder(model_fn=conv_net)
    model, mask, results = finder.find_winning_ticket(
        train_fn=loop.train,
        eval_fn=loop.accuracy,
        target_sparsity=0.5,
        pruning_rounds=2,
        structure="channel",
        scope=scope,
        verbose=False,
    )
    assert list(mask) == ["1.weight", "3.weight", "4.weight"]
    for row, density in zip(results.rows, (1, 0.5**0.5, 0.5), strict=True):
        # half a channel of nine weights, in each layer
        assert row.num_kept / mask.num_prunable == pytest.approx(density, abs=9 / 2 * 3 / 152)
    assert [row.num_kept for row in results.rows][-1] == mask.num_kept
    assert results.table["density"].tolist() == [row.num_kept / 152 for row in results.rows]
    assert bool(mask["3.weight"].any())
    assert bool(mask["7.weight"].all())
    assert "the model's output, as its graph says" in repr(mask)
    assert results.mask.left_out == mask.left_out
    assert bool((model[7].weight != 0).all())
    assert results.problems == []
    found = finder.verify(loop.train, loop.accuracy, ["shuffled", "random"], verbose=False)
    assert [row.num_kept for row in found.rows[3:]] == [mask.num_kept] * 2


def test_channels_of_linear_layers_are_units_where_they_are_named(tmp_path):
    loop = Loop(epochs=1)
    how = {"train_fn": loop.train, "eval_fn": loop.accuracy, "verbose": False}
    how |= {"structure": "channel", "schedule": one_shot(0.5), "resume": tmp_path}
    with pytest.raises(UsageError, match="cuts convolutions, and there are none to prune"):
        LotteryTicketFinder(model_fn=net).find_winning_ticket(**how)
    assert loop.calls == []
    finder = LotteryTicketFinder(model_fn=net, targets=["Linear"])
    _, mask, _ = finder.find_winning_ticket(**how)
    assert list(mask) == ["0.weight"]
    assert mask.density == 0.5
    _, again, _ = LotteryTicketFinder(model_fn=net, targets=["Linear"]).find_winning_ticket(**how)
    assert again == mask
    assert len(loop.calls) == 2


def test_channels_that_cannot_be_had_are_said_before_training():
    loop = Loop(epochs=1)
    how = {"train_fn": loop.train, "eval_fn": loop.accuracy, "verbose": False}
    how |= {"structure": "channel", "schedule": one_shot(0.95)}
    finder = LotteryTicketFinder(model_fn=conv_net)
    with pytest.raises(MissedDensityWarning, match="each layer keeps at least one channel"):
        finder.find_winning_ticket(**how)  # in tests a warning is an error
    assert loop.calls == []
    with pytest.warns(MissedDensityWarning):
        _, mask, _ = finder.find_winning_ticket(**how)
    assert mask.num_kept == 9 + 8 + 9
