"""A search finds out before its first training what makes no sense; and loses nothing after it."""

import functools
import math

import numpy as np
import pytest
import torch
from own_loops import Loop, net

from lottery_ticket import LotteryTicketFinder, UsageError
from lottery_ticket.errors import DataError, LotteryError
from lottery_ticket.masks import Attachment
from lottery_ticket.metric_names import Direction
from lottery_ticket.pruning import PIPELINES


def never(model, mask):
    raise AssertionError("this should not have run")


def find(train_fn=never, eval_fn=lambda model: 0.5, **arguments):
    options = {"target_sparsity": 0.5, "pruning_rounds": 2, "verbose": False} | arguments
    finder = LotteryTicketFinder(model_fn=net)
    return finder, *finder.find_winning_ticket(train_fn=train_fn, eval_fn=eval_fn, **options)


REFUSED = {
    "max_drop": [-1, -1e-9, math.nan, math.inf, "x", "0.1", True, [0.1], 1j, torch.tensor(0.1)],
    "scope": [5, None, ["global"], "", "GLOBAL"],
    "pipeline": [None, 5, "", ["lth"], {"weights_from": "end"}],
    "rewind_step": [-1, 2.0, "3", True, math.nan, [1]],
    "pruning_rounds": [0, -1, 10**9, 2.0, "2", True, math.nan],
    "target_sparsity": [0, 1, -0.5, "0.5", True, math.nan, math.inf, [0.5]],
    "structure": [5, None, "4:2", "block:0x4", ["2:4"]],
    "criterion": [5, None, "", ["magnitude"], lambda weight: weight],
    "min_layer_density": [-0.1, 1.5, math.nan, "0.1", True, None],
    "schedule": [0.5, [0.5, 0.25], "one_shot", max],
    "loss": [5, "cross_entropy", lambda output: output],
    "batch_loss": [5, lambda model: 0],
    "batches": [5, "batches", []],
    "model": [5, net, "resnet"],
    "resume": ["", 5, True, b"folder", ["folder"], "a\0b", "x" * 5000, "/dev/null", "/proc/x/y"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_what_makes_no_sense_is_refused(name, value):
    others = {"pipeline": "rewind"} if name == "rewind_step" else {}
    if name == "schedule":
        others = {"target_sparsity": None, "pruning_rounds": None}
    with pytest.raises(LotteryError) as caught:
        find(**others, **{name: value})
    assert str(caught.value)
    assert name.split("_")[0] in str(caught.value) or name in ("pruning_rounds", "schedule")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_drop", np.float32(0.25)),
        ("max_drop", 1),
        ("pruning_rounds", 1),
        ("min_layer_density", 0),
        ("pipeline", PIPELINES["lr_rewind"]),
    ],
)
def test_what_does_is_taken(name, value):
    loop = Loop(epochs=1)
    assert find(loop.train, loop.accuracy, **{name: value})[-1].is_valid


X, Y = torch.randn(4, 64), torch.arange(4)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (1, "a batch that is a int is not defined"),
        (X, "one tensor of shape"),
        ((X[:, :7], Y), "does not run on a torch.float32 tensor of shape .4, 7.: mat1 and mat2"),
        ((X.double(), Y), "does not run on a torch.float64 tensor"),
        ((X, Y.float()), "the loss of a torch.float32 .* and a torch.float32 .* cannot be taken"),
        ((X, Y + 100), "cannot be taken: Target 10[0-3] is out of bounds"),
        ((X.numpy(), Y), "does not run on a ndarray"),
    ],
)
def test_batches_that_have_no_loss_are_refused(batch, message):
    with pytest.raises(UsageError, match=message):
        find(criterion="snip", batches=[batch])


@pytest.mark.parametrize("value", ["a", 1.5, None, True, [0], math.nan])
def test_seeds_are_whole_numbers(value):
    with pytest.raises(UsageError, match=r"seed: got .* wanted a whole number"):
        LotteryTicketFinder(model_fn=net, seed=value)


def test_ways_to_build_a_model():
    with pytest.raises(UsageError, match=r"model_fn: its parameters are \(hidden\), wanted model"):
        LotteryTicketFinder(model_fn=lambda hidden: net())
    with pytest.raises(
        UsageError, match=r"model_class: its parameters are .* wanted called with n"
    ):
        LotteryTicketFinder(torch.nn.Linear)
    with pytest.raises(UsageError, match="'width'"):
        LotteryTicketFinder(torch.nn.Linear, {"in_features": 3, "out_features": 2, "width": 4})
    with pytest.raises(UsageError, match="model_kwargs: got list, wanted a dict"):
        LotteryTicketFinder(torch.nn.Linear, [3, 2])
    with pytest.raises(UsageError, match=r"built a int, wanted a torch.nn.Module"):
        LotteryTicketFinder(model_fn=lambda: 5).find_winning_ticket(None, never, lambda m: 0.5)


class Trainer:
    def __call__(self, model, mask, *, lr=0.1):
        Loop(epochs=1).train(model, mask)

    def with_loop(self, model, mask):
        self(model, mask)

    async def later(self, model, mask):
        self(model, mask)


def with_more(model, mask, rate, *, momentum=0.9):
    Loop(epochs=1).train(model, mask)


async def coroutine(model, mask):
    Loop(epochs=1).train(model, mask)


def generator(model, mask):
    yield Loop(epochs=1).train(model, mask)


def keyword_only(model, mask, *, lr):
    raise AssertionError


@pytest.mark.parametrize(
    "train_fn",
    [
        Trainer(),
        Trainer().with_loop,
        functools.partial(with_more, rate=0.1),
        lambda *arguments: with_more(*arguments, rate=0.1),
        lambda *arguments, **options: with_more(*arguments, rate=0.1),
        lambda model, mask, start_step: with_more(model, mask, start_step),
    ],
)
def test_functions_of_any_kind_are_called(train_fn):
    assert find(train_fn, functools.partial(lambda share, model: share, 0.5))[-1].is_valid


@pytest.mark.parametrize(
    ("train_fn", "message"),
    [
        (lambda model: None, r"its parameters are \(model\), wanted train_fn\(model, mask\)"),
        (lambda: None, r"its parameters are \(\)"),
        (with_more, "missing a required argument: 'rate'"),
        (keyword_only, "missing a required .*argument: 'lr'"),
        (functools.partial(with_more, momentum=0.5), "'rate'"),
        (functools.partial(with_more, mass=0.5), "has incorrect arguments; wanted train_fn"),
        (lambda model, mask, start_step, /: None, "start_step"),
        (coroutine, "got a coroutine function, which would not run"),
        (functools.partial(coroutine), "got a coroutine function"),
        (Trainer().later, "got a coroutine function"),
        (generator, "got a generator, which would not run"),
        ("train", "got str"),
    ],
)
def test_a_train_fn_that_cannot_be_called_is_refused(train_fn, message):
    with pytest.raises(UsageError, match=f"train_fn: .*{message}"):
        find(train_fn)


@pytest.mark.parametrize(
    ("eval_fn", "message"),
    [
        (lambda: 0.5, r"its parameters are \(\), wanted eval_fn\(model\)"),
        (lambda model, data: 0.5, "missing a required argument: 'data'"),
        (lambda *, model: 0.5, "too many positional arguments"),
        (coroutine, "got a coroutine function"),
        (None, "got NoneType"),
    ],
)
def test_an_eval_fn_that_cannot_be_called_is_refused(eval_fn, message):
    with pytest.raises(UsageError, match=f"eval_fn: .*{message}"):
        find(never, eval_fn)


@pytest.mark.parametrize(("mode", "other"), [("min", "max"), ("max", "min")])
def test_an_eval_fn_of_another_mode_is_refused(mode, other):
    """Those of integrations know whether a higher value is better."""

    def eval_fn(model):
        return 0.5

    eval_fn.direction = Direction("eval_los", mode, "pass greater_is_better=False")
    finder = LotteryTicketFinder(model_fn=lambda: torch.nn.Linear(2, 2), mode=other)
    told = f"LotteryTicketFinder\\(mode='{mode}'\\); .*pass greater.*did you mean 'eval_loss'"
    with pytest.raises(UsageError, match=told):
        finder.find_winning_ticket(train_fn=lambda model, mask: None, eval_fn=eval_fn)


class Evaluates:
    """Somebody's own, whose attributes say what they like."""

    mode, direction = "test", "left"

    def __call__(self, model):
        return 0.5


def test_attributes_of_an_own_eval_fn_mean_nothing():
    assert find(Trainer(), Evaluates()) is not None


def test_who_is_given_the_attachment():
    got: list[object] = []

    def needs(model, mask, attached):
        got.append(attached)

    def says(model, mask, *, attached: Attachment | None = None):
        got.append(attached)

    def says_in_words(model, mask, *, attached: "masks.Attachment" = None):  # noqa: F821
        got.append(attached)

    def has_one_of_its_own(model, mask, attached=False):
        got.append(attached)

    for train_fn in (needs, says, says_in_words):
        find(train_fn)
        assert got
        assert all(isinstance(each, Attachment) for each in got)
        got.clear()
    find(has_one_of_its_own)
    assert set(got) == {False}


def test_a_train_fn_that_cannot_start_later_is_refused_at_once():
    for arguments in ({"pipeline": "finetune"}, {"pipeline": "rewind", "rewind_step": 3}):
        with pytest.raises(UsageError, match=r"let train_fn take it: train_fn\(model, mask, start"):
            find(never, **arguments)


def test_a_folder_that_cannot_be_written_is_found_out_at_once(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "search.json").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mask-level-0.safetensors").mkdir()
    for place in ("file", "file/below", "link", "odd", "full"):
        with pytest.raises(DataError, match=place.split("/")[0]):
            find(resume=tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"
    # what is in the folder besides is left alone
    mine = tmp_path / "good" / "state-of-mine.safetensors"
    mine.parent.mkdir()
    mine.write_text("mine")
    loop = Loop(epochs=1)
    find(loop.train, loop.accuracy, resume=tmp_path / "good")
    assert mine.read_text() == "mine"


def test_a_search_that_finished_nothing_begins_anew(tmp_path):
    with pytest.raises(AssertionError, match="should not have run"):
        find(never, resume=tmp_path)
    loop = Loop(epochs=1)
    finder, *_ = find(loop.train, loop.accuracy, resume=tmp_path, scope="layerwise")
    assert len(loop.calls) == 3
    for folder in ("", "a\0b", 5):
        with pytest.raises(UsageError, match="folder: got"):
            finder.save_experiment(folder)
        with pytest.raises(UsageError, match="folder: got"):
            finder.load_experiment(folder)


@pytest.mark.parametrize("fails_at", [0, 1, 2])
@pytest.mark.parametrize("failure", ["raises", "returns nothing"])
def test_no_training_is_lost_to_an_eval_fn_that_fails(fails_at, failure, tmp_path):
    undisturbed = Loop(epochs=1)
    _, model, mask, results = find(undisturbed.train, undisturbed.accuracy)
    loop, counts = Loop(epochs=1), iter(range(100))

    def fails(model):
        if next(counts) == fails_at + 1:  # the first is of the untrained model
            if failure == "raises":
                raise MemoryError
            return None
        return loop.accuracy(model)

    with pytest.raises((MemoryError, UsageError)):
        find(loop.train, fails, resume=tmp_path)
    assert len(loop.calls) == fails_at + 1
    _, again, again_mask, again_results = find(loop.train, loop.accuracy, resume=tmp_path)
    assert len(loop.calls) == 3, "a training was lost"
    assert again_mask == mask
    assert [row.metric for row in again_results.rows] == [row.metric for row in results.rows]
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert "unrated" not in (tmp_path / "search.json").read_text()


def test_no_training_is_lost_to_a_criterion_that_fails(tmp_path):
    def fails_after_dense(weights):
        if is_broken:
            raise ZeroDivisionError
        return {name: weight.abs() for name, weight in weights.items()}

    loop, is_broken = Loop(epochs=1), True
    with pytest.raises(ZeroDivisionError):
        find(loop.train, loop.accuracy, criterion=fails_after_dense, resume=tmp_path)
    is_broken = False
    mask = find(loop.train, loop.accuracy, criterion=fails_after_dense, resume=tmp_path)[2]
    assert len(loop.calls) == 3
    assert mask == find(loop.train, loop.accuracy)[2]


def test_a_full_disk_loses_nothing(tmp_path):
    """What cannot be saved in the middle of a search is saved elsewhere, and resumed there."""
    loop = Loop(epochs=1)

    def train_fn(model, mask):
        loop.train(model, mask)
        if len(loop.calls) == 2:
            (tmp_path / "one").rename(tmp_path / "gone")
            (tmp_path / "one").write_text("no folder")

    finder = LotteryTicketFinder(model_fn=net)
    options = {"eval_fn": loop.accuracy, "target_sparsity": 0.5, "pruning_rounds": 2}
    with pytest.raises(DataError, match=r"finder\.save_experiment saves what was found"):
        finder.find_winning_ticket(None, train_fn, **options, resume=tmp_path / "one")
    finder.save_experiment(tmp_path / "two")
    finder.find_winning_ticket(None, train_fn, **options, resume=tmp_path / "two")
    assert len(loop.calls) == 3


def test_mistakes_in_verify_cost_nothing():
    loop = Loop(epochs=1)
    finder, *_ = find(loop.train, loop.accuracy)
    rows = len(finder.results.rows)
    for arguments, message in (
        ({"arms": "reinit"}, r"arms: got 'reinit', wanted a list"),
        ({"arms": 5}, "arms: got 5"),
        ({"arms": ["reinit", 5]}, "unknown control 5"),
        ({"replicates": 1.5}, "replicates: got 1.5"),
        ({"replicates": True}, "replicates: got True"),
        ({"train_fn": keyword_only}, "train_fn: .*'lr'"),
        ({"eval_fn": lambda: 1}, "eval_fn: its parameters"),
    ):
        options = {"train_fn": loop.train, "eval_fn": loop.accuracy} | arguments
        with pytest.raises(UsageError, match=message):
            finder.verify(**options)
    assert len(finder.results.rows) == rows


def test_a_reinit_that_draws_nothing_is_no_control():
    def same_weights():
        torch.manual_seed(3)
        return net()

    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(model_fn=same_weights)
    finder.find_winning_ticket(None, loop.train, loop.accuracy, 0.5, 1, False)
    with pytest.raises(UsageError, match="reinit: the model is built with the very weights"):
        finder.verify(loop.train, loop.accuracy, ["shuffled", "reinit"])
    assert len(finder.results.rows) == 2
    one = net()
    finder = LotteryTicketFinder(model_fn=lambda: one)
    finder.find_winning_ticket(None, loop.train, loop.accuracy, 0.5, 1, False)
    with pytest.raises(UsageError, match="returned the model that was searched already"):
        finder.find_winning_ticket(None, loop.train, loop.accuracy, 0.5, 1, False)
    with pytest.raises(UsageError, match="returned the model that was searched already"):
        finder.verify(loop.train, loop.accuracy)


def test_a_search_that_cannot_be_scored_again_says_so_before_its_controls(tmp_path):
    def own(weights):
        return {name: weight.abs() for name, weight in weights.items()}

    loop = Loop(epochs=1)
    find(loop.train, loop.accuracy, criterion=own, resume=tmp_path)
    finder = LotteryTicketFinder(model_fn=net)
    finder.load_experiment(tmp_path)
    with pytest.raises(UsageError, match="criterion 'own' is your own code"):
        finder.verify(never, loop.accuracy, ["shuffled", "oneshot"])


def test_nothing_is_shown_of_a_search_that_finished_nothing():
    finder = LotteryTicketFinder(model_fn=net)
    with pytest.raises(AssertionError, match="should not have run"):
        finder.find_winning_ticket(None, never, lambda model: 0.5, 0.5, 1, False)
    for ask in (finder.ticket, lambda: finder.results, lambda: finder.verify(never, lambda m: 1)):
        with pytest.raises(UsageError, match="no training was finished"):
            ask()
