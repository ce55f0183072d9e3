"""Batches of every form: pairs, mappings as Hugging Face models take them, anything else."""

import itertools
from collections import UserDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import all_kept, assert_same_scores, joined, mlp, pairs, some_kept
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from lottery_ticket.criteria import CRITERIA, score
from lottery_ticket.criteria._batches import DeviceBatches, num_examples
from lottery_ticket.errors import UsageError

DATA = sorted(name for name in CRITERIA if CRITERIA[name].needs_data)


def test_which_criteria_look_at_data():
    assert DATA == ["force", "grasp", "iterative_snip", "saliency", "snip"]


def check_cuts(name, score, sizes):
    """Scores do not depend on how the examples are cut into batches."""
    model = mlp(3, 4, 3)
    mask, batches = some_kept(model), pairs(*sizes)
    whole = score(name, model=model, mask=mask, batches=[joined(batches)])
    assert_same_scores(score(name, model=model, mask=mask, batches=batches), whole, 1e-8, 1e-17)


@pytest.mark.parametrize("name", DATA)
@settings(max_examples=15)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_cuts_do_not_matter(name, sizes):
    check_cuts(name, score, sizes)


@pytest.mark.parametrize("name", DATA)
def test_cuts_that_matter_are_caught(name):
    def first_only(name, *, batches, **arguments):
        return score(name, batches=batches[:1], **arguments)

    def summed(name, *, batches, **arguments):
        parts = [score(name, batches=[batch], **arguments) for batch in batches]
        return {n: sum(part[n] for part in parts) for n in parts[0]}

    def meaned(name, *, batches, **arguments):
        return {n: s / len(batches) for n, s in summed(name, batches=batches, **arguments).items()}

    for mutant in (first_only, summed, meaned):
        with pytest.raises(AssertionError):
            check_cuts(name, mutant, [5, 1, 3])


class Tokens(nn.Module):
    """As Hugging Face models are: keyword inputs, an output with a loss."""

    def __init__(self, output=SimpleNamespace):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.embed = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7)
        self.output = output

    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.head(self.embed(input_ids))
        if labels is None:
            return self.output(logits=logits)
        return self.output(logits=logits, loss=F.cross_entropy(logits.mT, labels))


IDS = torch.randint(7, (5, 6), generator=torch.Generator().manual_seed(0))
HEAD = {"head.weight": torch.ones(7, 4, dtype=torch.bool)}


@pytest.mark.parametrize("output", [SimpleNamespace, dict, UserDict])
@pytest.mark.parametrize("kind", [dict, UserDict])
def test_mappings_are_passed_by_keyword_and_the_model_has_its_loss(kind, output):
    batches = [kind(input_ids=IDS[:3], labels=IDS[:3]), kind(input_ids=IDS[3:], labels=IDS[3:])]
    found = score("saliency", model=Tokens(output), mask=HEAD, batches=batches)
    model = Tokens()
    loss = F.cross_entropy(model(IDS).logits.mT, IDS)
    (gradient,) = torch.autograd.grad(loss, model.head.weight)
    assert_same_scores(found, {"head.weight": (gradient * model.head.weight).abs()}, rtol=1e-4)


def test_a_batch_loss_takes_any_batch():
    batches = [SimpleNamespace(ids=IDS)]
    found = score(
        "saliency",
        model=Tokens(),
        mask=HEAD,
        batches=batches,
        batch_loss=lambda model, batch: model(batch.ids, labels=batch.ids).loss,
    )
    wanted = score(
        "saliency", model=Tokens(), mask=HEAD, batches=[{"input_ids": IDS, "labels": IDS}]
    )
    assert_same_scores(found, wanted, rtol=0)


def test_pairs_take_the_loss_given():
    model = mlp(3, 4, 3)
    (x, _), mask = pairs(6)[0], all_kept(model)
    target = torch.ones(6, 3, dtype=torch.float64)
    found = score("snip", model=model, mask=mask, batches=[[x, target]], loss=F.mse_loss)
    wanted = score(
        "snip",
        model=model,
        mask=mask,
        batches=[x],
        batch_loss=lambda model, batch: (model(batch) - 1).square().mean(),
    )
    assert_same_scores(found, wanted)
    with pytest.raises(AssertionError):
        assert_same_scores(score("snip", model=model, mask=mask, batches=[(x, target)]), wanted)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (IDS, r"a batch that is one tensor of shape \(5, 6\)"),
        ((IDS,), "a batch of 1 things"),
        ((IDS, IDS, IDS), "a batch of 3 things"),
        (SimpleNamespace(ids=IDS), "a batch that is a SimpleNamespace"),
    ],
)
def test_other_batches_want_a_batch_loss(batch, message):
    with pytest.raises(UsageError, match=f"the loss of {message} is not defined .* batch_loss="):
        score("saliency", model=Tokens(), mask=HEAD, batches=[batch])


def test_a_forgotten_bracket_is_explained():
    with pytest.raises(UsageError, match=r"one tensor .* pass batches of"):
        score("saliency", model=mlp(3, 4, 3), mask=all_kept(mlp(3, 4, 3)), batches=pairs(4)[0])


def test_mappings_want_labels_and_no_loss_of_pairs():
    arguments = {"model": Tokens(), "mask": HEAD}
    with pytest.raises(
        UsageError, match="for a batch of 'input_ids' has no loss; add the 'labels'"
    ):
        score("saliency", batches=[{"input_ids": IDS}], **arguments)
    batch = {"input_ids": IDS, "labels": IDS}
    with pytest.raises(
        UsageError, match="a batch of 'input_ids', 'labels' is not defined by a los"
    ):
        score("saliency", batches=[batch], loss=F.cross_entropy, **arguments)


@pytest.mark.parametrize("name", DATA)
def test_losses_that_are_no_scalar_are_refused(name):
    model = mlp(3, 4, 3)
    arguments = {"model": model, "mask": all_kept(model), "batches": pairs(4)}
    for loss, got in [
        (lambda output, target: output.sum(1), r"\(4,\)"),
        (lambda output, target: 0.5, "float"),
        (lambda output, target: None, "NoneType"),
    ]:
        with pytest.raises(UsageError, match=f"the loss is {got}, wanted a scalar tensor; take it"):
            score(name, loss=loss, **arguments)
    found = score(name, loss=lambda o, t: F.cross_entropy(o, t)[None], **arguments)
    assert_same_scores(found, score(name, **arguments), rtol=0)


@pytest.mark.parametrize("name", DATA)
def test_iterables_of_every_kind(name):
    """A generator is gone through once, GraSP goes through its batches twice."""
    model, batches = mlp(3, 4, 3), pairs(4, 4, 2)
    arguments = {"model": model, "mask": all_kept(model)}
    wanted = score(name, batches=batches, **arguments)
    loader = DataLoader(TensorDataset(*joined(batches)), batch_size=4)
    for same in (tuple(batches), iter(batches), (batch for batch in batches), loader):
        assert_same_scores(score(name, batches=same, **arguments), wanted)


def test_a_shuffling_loader_draws_nothing_from_the_global_generator():
    model = mlp(3, 4, 3)
    loader = DataLoader(TensorDataset(*joined(pairs(8))), batch_size=4, shuffle=True)
    state = torch.get_rng_state()
    scores = score("grasp", model=model, mask=all_kept(model), batches=loader)
    assert torch.equal(torch.get_rng_state(), state)
    assert_same_scores(
        scores, score("grasp", model=model, mask=all_kept(model), batches=pairs(8)), 1e-8, 1e-17
    )


def test_only_the_first_batch_is_drawn_for_criteria_that_look_at_one():
    def endless():
        for batch in itertools.cycle(pairs(4)):
            drawn.append(batch)
            yield batch

    def one(mask, batch, input_shape):
        assert input_shape == (3,)
        return {name: torch.full(kept.shape, len(batch[0])) for name, kept in mask.items()}

    drawn = []
    scores = score(one, mask=HEAD, batches=endless())
    assert scores["head.weight"].unique().tolist() == [4]
    assert len(drawn) == 1
    score("magnitude", weights={"w": torch.ones(2)}, batches=endless())
    assert len(drawn) == 1


def test_batches_without_a_length():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(x[0], y[0]) for x, y in pairs(1, 1, 1)])

    model = mlp(3, 4, 3)
    given = {"model": model, "mask": all_kept(model)}
    found = score("grasp", batches=DataLoader(Stream(), batch_size=2), **given)
    assert_same_scores(found, score("grasp", batches=pairs(1, 1, 1), **given), 1e-8, 1e-17)
    score("synflow", batches=DataLoader(Stream(), batch_size=2), **given)


def test_a_generator_of_batches_draws_nothing_from_the_global_state():
    def augmented():
        for x, y in pairs(4, 4):
            yield x + torch.rand(()), y

    model = mlp(3, 4, 3)
    state = torch.get_rng_state()
    score("snip", model=model, mask=all_kept(model), batches=augmented())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", [*DATA, "synflow"])
def test_no_batches_are_refused(name):
    model = mlp(3, 4, 3)
    for empty in ([], iter([])):
        with pytest.raises(UsageError, match="batches is empty; pass at least one batch"):
            score(name, model=model, mask=all_kept(model), batches=empty)
    with pytest.raises(UsageError, match="batches: got a int, wanted an iterable such as"):
        score(name, model=model, mask=all_kept(model), batches=3)


def test_tensors_are_moved_to_the_models_device():
    Pair = namedtuple("Pair", "x y")
    meta, x = torch.device("meta"), torch.zeros(4, 3)
    odd = SimpleNamespace(x=x)
    source = [x, (x, "label"), [x, [x]], {"x": x, "n": 3}, UserDict(x=x), Pair(x, odd), odd]
    moved = list(DeviceBatches(source, meta))
    assert moved[0].device == moved[1][0].device == moved[2][1][0].device == meta
    assert [type(batch) for batch in moved] == [
        torch.Tensor,
        tuple,
        list,
        dict,
        dict,
        Pair,
        SimpleNamespace,
    ]
    assert moved[3]["x"].device == moved[4]["x"].device == moved[5].x.device == meta
    assert (moved[1][1], moved[3]["n"], moved[5].y, moved[6].x) == ("label", 3, odd, x)
    for device in (None, torch.device("cpu")):  # there already: the very same objects
        assert all(a is b for a, b in zip(DeviceBatches(source, device), source, strict=True))


def test_number_of_examples():
    x = torch.zeros(5, 3)
    for batch in (x, (x, x[:2]), {"mask": None, "x": x}, [3, {"x": [x]}], UserDict(x=x)):
        assert num_examples(batch) == 5
    for batch in ((torch.tensor(3.0), x), "text", None, []):
        assert num_examples(batch) == 1
