"""Law 6 for the finder: a search that was killed continues after its last finished level, and
ends as if it had not been; a saved one comes back whole."""

import json
import os
import pickletools
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from own_loops import Loop, net
from test_pipelines import K, SteppedLoop

from lottery_ticket import LotteryTicketFinder, Ticket, UsageError
from lottery_ticket.errors import DataError
from lottery_ticket.models import LeNet300
from lottery_ticket.store import Store


class StoppedError(Exception):
    pass


def find(loop, folder, **arguments):
    finder = LotteryTicketFinder(model_fn=net, seed=4)
    options = {"target_sparsity": 0.9, "pruning_rounds": 4, "verbose": False} | arguments
    return finder, *finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, resume=folder, **options
    )


def same(one, other):
    return list(one) == list(other) and all(torch.equal(one[n], v) for n, v in other.items())


def check_continues(find, folder, stop_at, **arguments):
    undisturbed = SteppedLoop()
    _, model, mask, results = find(undisturbed, None, **arguments)
    loop = SteppedLoop()

    class Killed(SteppedLoop):
        def train(self, model, mask, start_step=0):
            if len(self.calls) == stop_at:
                raise StoppedError
            super().train(model, mask, start_step)

    with pytest.raises(StoppedError):
        find(Killed(), folder, **arguments)
    _, again, again_mask, again_results = find(loop, folder, **arguments)
    assert len(loop.calls) == 5 - stop_at, "a finished level was trained again"
    assert again_mask == mask
    assert again_mask.left_out == mask.left_out != {}
    assert same(model.state_dict(), again.state_dict())
    strip = ["run", "train_seconds"]
    assert again_results.table.drop(columns=strip).equals(results.table.drop(columns=strip))
    # and once more, when all is done
    loop.calls.clear()
    _, third, _, _ = find(loop, folder, **arguments)
    assert loop.calls == []
    assert same(model.state_dict(), third.state_dict())


PIPELINES = {
    "lth": {},
    "rewind": {"pipeline": "rewind", "rewind_step": K},
    "finetune": {"pipeline": "finetune"},
    "random": {"criterion": "random"},
}


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("stop_at", [1, 3])
@pytest.mark.parametrize("place", [Path, Store])
def test_a_stopped_search_continues(place, pipeline, stop_at, tmp_path):
    check_continues(find, place(tmp_path / "mine"), stop_at, **PIPELINES[pipeline])


def starts_anew(loop, folder, **arguments):
    return find(loop, None, **arguments)


def forgets_the_optimiser(loop, folder, **arguments):
    path = None if folder is None else folder / "search.json"
    if path is not None and path.exists():
        record = json.loads(path.read_text())
        del record["checksum"], record["files"]  # of a file as it was before it had any
        old = {"format": "lottery_ticket.finder/2", "optimizer": None, "rewind_optimizer": None}
        path.write_text(json.dumps(record | old))
    return find(loop, folder, **arguments)


def has_another_order(loop, folder, **arguments):
    class Reordered(type(loop)):
        def train(self, model, mask, start_step=0):
            torch.rand(len(loop.calls) if folder is None else 7)
            return loop.train(model, mask, start_step)

    return find(Reordered() if folder is not None else loop, folder, **arguments)


@pytest.mark.parametrize("mutant", [starts_anew, forgets_the_optimiser, has_another_order])
def test_other_ways_to_continue_are_caught(mutant, tmp_path):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_continues(mutant, tmp_path / "mine", 3, **PIPELINES["finetune"])


@pytest.mark.slow
@pytest.mark.parametrize("in_store", [False, True])
def test_killed_at_once(in_store, tmp_path):
    """A real process, killed with signal 9 in its third training."""
    script = tmp_path / "search.py"
    script.write_text(
        "import os, signal, sys\n"
        "from own_loops import Loop, net\n"
        "from lottery_ticket import LotteryTicketFinder\n"
        "loop = Loop(epochs=1)\n"
        "def train_fn(model, mask):\n"
        "    loop.train(model, mask)\n"
        "    if len(loop.calls) == int(sys.argv[2]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "finder = LotteryTicketFinder(model_fn=net)\n"
        "model, mask, results = finder.find_winning_ticket(\n"
        "    train_fn=train_fn, eval_fn=loop.accuracy, target_sparsity=0.9, pruning_rounds=4,\n"
        "    resume=sys.argv[1], verbose=False)\n"
        "print(len(loop.calls), [row.metric for row in results.rows], mask.num_kept)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}

    def run(folder, kill_at):
        if in_store:
            Store(tmp_path / folder).open_for_writing()
        return subprocess.run(
            [sys.executable, script, tmp_path / folder, str(kill_at)],
            capture_output=True, text=True, env=environment, timeout=120,
        )  # fmt: skip

    undisturbed = run("whole", 99)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert run("killed", 3).returncode == -signal.SIGKILL
    after = run("killed", 99)
    assert after.returncode == 0, after.stderr
    assert undisturbed.stdout.split(" ", 1)[0] == "5"
    assert after.stdout.split(" ", 1) == ["3", undisturbed.stdout.split(" ", 1)[1]]


@pytest.fixture
def finished(tmp_path):
    loop = Loop(epochs=1)
    finder, model, _, results = find(loop, None)
    finder.verify(loop.train, loop.accuracy, ["reinit", "shuffled"], verbose=False)
    finder.save_experiment(tmp_path / "mine", results)
    return finder, model, tmp_path / "mine"


def test_what_was_saved_comes_back(finished):
    finder, _, folder = finished
    other = LotteryTicketFinder(model_fn=net)  # the seed is the search's
    results = other.load_experiment(folder)
    assert other.mask == finder.mask
    assert same(other.initial_state, finder.initial_state)
    assert results.table.equals(finder.results.table)
    assert results.layers.equals(finder.results.layers)
    assert str(results) == str(finder.results)
    loop = Loop(epochs=1)
    arms = ["reinit", "random", "oneshot"]
    again = other.verify(loop.train, loop.accuracy, arms, verbose=False).rows
    there = finder.verify(loop.train, loop.accuracy, arms, verbose=False).rows
    assert [row.metric for row in again] == [row.metric for row in there]


def test_nothing_saved_is_pickled(finished):
    for path in finished[2].iterdir():
        assert path.suffix in (".json", ".safetensors")
        assert not zipfile.is_zipfile(path)
        with pytest.raises(ValueError):
            list(pickletools.genops(path.read_bytes()))


def test_tied_weights_and_odd_memory_come_back(tmp_path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)
            self.two.weight = self.one.weight
            self.conv = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
            self.register_buffer("scale", torch.ones((), dtype=torch.bfloat16))

        def forward(self, x):
            return self.two(self.one(x))

    def train_fn(model, mask):
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            (model(torch.rand(4, 8)).sum() + model.conv.weight.sum()).backward()
            optimizer.step()

    finder = LotteryTicketFinder(model_fn=Tied)
    model, mask, _ = finder.find_winning_ticket(
        None, train_fn, lambda model: 0.5, 0.5, 1, False, resume=tmp_path / "tied"
    )
    assert mask.num_prunable == 64 + 108
    other = LotteryTicketFinder(model_fn=Tied)
    other.load_experiment(tmp_path / "tied")
    assert same(other.initial_state, finder.initial_state)
    initial = other.initial_state
    assert initial["two.weight"] is initial["one.weight"]
    weights = other.ticket(trained=False).weights()
    assert not weights["two.weight"][~other.mask["one.weight"]].any()
    again, _, _ = other.find_winning_ticket(
        None, train_fn, lambda model: 0.5, 0.5, 1, False, resume=tmp_path / "tied"
    )
    assert same(again.state_dict(), model.state_dict())


def test_a_search_is_resumed_as_it_was(finished):
    with pytest.raises(UsageError, match=r"has scope 'global', this one 'layerwise'; resume it"):
        find(Loop(epochs=1), finished[2], scope="layerwise")
    with pytest.raises(UsageError, match="has schedule"):
        find(Loop(epochs=1), finished[2], pruning_rounds=3)


def test_damaged_and_missing_folders(finished, tmp_path):
    finder, _, folder = finished
    with pytest.raises(DataError, match=r"no search here \(no search.json\)"):
        finder.load_experiment(tmp_path / "nowhere")
    state = next(folder.glob("state-*.safetensors"))
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a readable saved search"):
        finder.load_experiment(folder)
    (folder / "search.json").write_text("{}")
    with pytest.raises(DataError, match="not a readable saved search"):
        finder.load_experiment(folder)
    with pytest.raises(DataError, match="cannot save the search"):
        finder.save_experiment(folder / "search.json" / "below")
    finder.save_experiment(tmp_path / "again")
    with pytest.raises(UsageError, match="the search has mode 'max', this finder 'min'"):
        LotteryTicketFinder(mode="min").load_experiment(tmp_path / "again")


def test_the_ticket_of_our_own_model_needs_no_weights(tmp_path):
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(LeNet300, {"input_size": 64, "hidden": (20, 12)}, seed=2)
    folder = tmp_path / "search"
    for _ in range(2):  # the second time it is there
        model, mask, results = finder.find_winning_ticket(
            None, loop.train, loop.accuracy, 0.9, 2, verbose=False, resume=folder
        )
    assert len(loop.calls) == 3
    finder.ticket(trained=False).save(tmp_path / "small.ticket.safetensors")
    finder.ticket().save(tmp_path / "mine.ticket.safetensors")
    small = (tmp_path / "small.ticket.safetensors").stat().st_size
    assert small < (tmp_path / "mine.ticket.safetensors").stat().st_size < 10_000
    ticket = Ticket.load(tmp_path / "mine.ticket.safetensors")
    assert ticket.mask == mask
    initial = ticket.build().state_dict()
    for name, value in finder.initial_state.items():
        assert torch.equal(initial[name], value * mask[name] if name in mask else value)
    assert same(ticket.build(trained=True).state_dict(), model.state_dict())
    assert ticket.metrics == {"metric": results.ticket, "dense": results.dense, "mode": "max"}
    assert ticket.provenance["criterion"] == "magnitude"


@pytest.mark.parametrize("pipeline", [{}, PIPELINES["rewind"]])
def test_the_ticket_of_ones_own_model_brings_its_weights(pipeline, tmp_path):
    finder, model, mask, _ = find(SteppedLoop(), None, **pipeline)
    finder.ticket().save(tmp_path / "mine.ticket.safetensors")
    ticket = Ticket.load(tmp_path / "mine.ticket.safetensors")
    search = finder.results.search
    start = search.rewind_point.weights if pipeline else finder.initial_state
    rebuilt = ticket.apply(net()).state_dict()
    for name, value in start.items():
        assert torch.equal(rebuilt[name], value * mask[name] if name in mask else value)
    assert same(ticket.apply(net(), trained=True).state_dict(), model.state_dict())


def test_a_search_by_ones_own_criterion_comes_back(tmp_path):
    def own(weights):
        return {name: weight.abs() for name, weight in weights.items()}

    loop = Loop(epochs=1)
    finder, _, mask, _ = find(loop, tmp_path / "mine", criterion=own)
    other = LotteryTicketFinder(model_fn=net)
    assert other.load_experiment(tmp_path / "mine").table.equals(finder.results.table)
    assert other.mask == mask
    other.verify(loop.train, loop.accuracy, ["shuffled"], verbose=False)
    with pytest.raises(UsageError, match="criterion 'own' is your own code, which is not saved"):
        other.verify(loop.train, loop.accuracy, ["oneshot"], verbose=False)
