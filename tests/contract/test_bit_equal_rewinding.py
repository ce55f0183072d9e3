"""Law 4: rewound weights are θ₀ or θ_k to the bit where kept, zero elsewhere; buffers too."""

import functools

import pytest
import torch
import torch.nn.functional as F
from contract_nets import NETS, built, train_steps

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.masks import PruningMask
from lottery_ticket.pruning import prune, rewind_


def bits(value):
    return value.detach().contiguous().numpy().tobytes()


def check_is(state, origin, mask):
    """`state` is origin ⊙ mask, with positive zeros."""
    assert list(state) == list(origin)
    for name, value in state.items():
        wanted = origin[name].clone()
        if name in mask:
            wanted[~mask[name]] = 0.0
        assert bits(value) == bits(wanted), name


def copied(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def check_rewinds(rewind, case):
    mask = prune(case.model, density=0.3, scope="layerwise")
    parameters = dict(case.model.named_parameters())
    given = {name: value.clone() for name, value in case.initial.items()}
    rewind(case.model, given, mask)
    check_is(case.model.state_dict(), case.initial, mask)
    assert all(bits(given[name]) == bits(value) for name, value in case.initial.items())
    assert all(value is parameters[name] for name, value in case.model.named_parameters())


@pytest.mark.parametrize("net", NETS)
def test_rewinds(net, case_of):
    check_rewinds(rewind_, case_of(net))


def multiplies(model, weights, mask):
    """Half of the zeros are negative."""
    model.load_state_dict({n: w * mask[n] if n in mask else w for n, w in weights.items()})


def prunable_weights_only(model, weights, mask):
    own = model.state_dict()
    rewind_(model, {n: weights[n] if n in mask else own[n] for n in own}, mask)


def does_not_rewind(model, weights, mask):
    mask.apply(model)


def in_place(model, weights, mask):
    for name, kept in mask.items():
        weights[name][~kept] = 0.0
    model.load_state_dict(weights)


MUTANTS = [multiplies, prunable_weights_only, does_not_rewind, in_place]


@pytest.mark.parametrize("net", ["LSTM", "ResNet20"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_other_rewinds_are_caught(mutant, net, case_of):
    with pytest.raises(AssertionError):
        check_rewinds(mutant, case_of(net))


def check_search(find, case, pipeline):
    """The whole state that each of three trainings starts from."""
    starts, masks, middle = [], [], []

    def train_fn(model, mask, start_step=0):
        starts.append(copied(model))
        masks.append(mask)
        train_steps(model, case.batches[:1])
        middle.append(copied(model))
        train_steps(model, case.batches[1:])

    @torch.no_grad()
    def eval_fn(model):
        model.eval()
        x, y = case.batches[0]
        return -F.cross_entropy(model(x), y).item()

    rewind_step = 1 if pipeline == "rewind" else None
    finder = LotteryTicketFinder(model_fn=functools.partial(built, case.net))
    find(
        finder,
        train_fn=train_fn,
        eval_fn=eval_fn,
        target_sparsity=0.7,
        pruning_rounds=2,
        scope="layerwise",
        pipeline=pipeline,
        rewind_step=rewind_step,
        verbose=False,
    )
    assert len(starts) == 3
    assert finder.results.is_valid
    check_is(starts[0], case.initial, {})
    origin = case.initial if pipeline == "lth" else middle[0]
    for start, mask, before in zip(starts[1:], masks[1:], masks, strict=False):
        assert mask.is_nested_in(before)
        assert mask.num_kept < before.num_kept
        check_is(start, origin, mask)


@pytest.mark.parametrize("pipeline", ["lth", "rewind"])
@pytest.mark.parametrize("net", NETS)
def test_searches_rewind(net, pipeline, case_of):
    check_search(LotteryTicketFinder.find_winning_ticket, case_of(net), pipeline)


def keeps_training(finder, *, pipeline, rewind_step, **given):
    finder.find_winning_ticket(pipeline="finetune", **given)


def rewinds_to_the_other(finder, *, pipeline, rewind_step, **given):
    if pipeline == "lth":
        finder.find_winning_ticket(pipeline="rewind", rewind_step=1, **given)
    else:
        finder.find_winning_ticket(pipeline="lth", **given)


def keeps_buffers(finder, *, train_fn, **given):
    kept = {}

    def train(model, mask, start_step=0):
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(kept.get(name, buffer))
        train_fn(model, mask)
        kept.update({name: buffer.clone() for name, buffer in model.named_buffers()})

    finder.find_winning_ticket(train_fn=train, **given)


@pytest.mark.parametrize("pipeline", ["lth", "rewind"])
@pytest.mark.parametrize(
    ("mutant", "net"),
    [(keeps_training, "MLP"), (rewinds_to_the_other, "MLP"), (keeps_buffers, "ResNet20")],
)
def test_other_searches_are_caught(mutant, net, pipeline, case_of):
    with pytest.raises(AssertionError):
        check_search(mutant, case_of(net), pipeline)


def test_a_dense_mask_changes_nothing(case_of):
    case = case_of("ResNet20")
    rewind_(case.model, case.initial, PruningMask(case.model))
    check_is(case.model.state_dict(), case.initial, {})
