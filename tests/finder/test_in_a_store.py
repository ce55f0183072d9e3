"""A search in a store is a run: every command reads it, and only that search makes it again."""

import json
import random

import pytest
import torch
from memory_bucket import MemoryBucket
from own_loops import Loop, X, net
from test_saving import StoppedError
from torch import nn

from lottery_ticket import LotteryTicketFinder, Ticket, UsageError, load_run, register_model
from lottery_ticket.analysis.structure import kept_weights, run_kept_weights
from lottery_ticket.errors import DataError, StoreError
from lottery_ticket.experiment import read_mask, read_weights
from lottery_ticket.finder import _stored_cells
from lottery_ticket.finder._plain import joined_memory, split_memory
from lottery_ticket.models import MODELS
from lottery_ticket.spec import load_spec
from lottery_ticket.store import LocalStore, Store
from lottery_ticket.store.remote import ObjectStore

ARMS = ["reinit", "random", "shuffled", "oneshot", "gradual"]


def find(loop, store, *, seed=0, **arguments):
    finder = LotteryTicketFinder(model_fn=net, seed=seed)
    options = {"target_sparsity": 0.8, "pruning_rounds": 2, "verbose": False} | arguments
    found = finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, resume=store, **options
    )
    return finder, *found


def told(results):
    """Every training, in whatever order they were made."""
    table = results.table.drop(columns=["run", "replicate", "train_seconds"])
    return sorted(map(repr, table.to_dict("records")))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Three searches and their controls in a store, and what they said themselves."""
    store = Store(tmp_path_factory.mktemp("searches") / "store")
    loop, finders = Loop(epochs=1), []
    for seed in range(3):
        finder = find(loop, store, seed=seed)[0]
        finder.verify(loop.train, loop.accuracy, arms=ARMS, verbose=False)
        finders.append(finder)
    return store, load_run(store=store), finders, len(loop.calls)


def test_its_table_is_that_of_the_finders(searched):
    store, run, finders, _ = searched
    assert [record.id for record in store.runs()] == [run.id]
    place = ["arm", "level", "draw"]
    for number, finder in enumerate(finders):
        own = run.table[run.table["replicate"] == number]
        columns = ["arm", "level", "draw", "density", "num_kept", "test_accuracy", "num_steps"]
        one, other = (
            table[columns].sort_values(place).reset_index(drop=True)
            for table in (own, finder.results.table)
        )
        assert one.equals(other)


def test_its_verdict_is_that_of_the_finders(searched):
    _, run, finders, _ = searched
    one, *others = [finder.results for finder in finders]
    of_run, of_finders = run.verdict(2.0), one.verdict(*others, margin=2.0)
    assert of_run.label == of_finders.label
    assert of_run.levels == of_finders.levels


def test_its_cells_hold_what_the_finder_has(searched):
    store, run, finders, _ = searched
    for row in run.record.rows:
        search = finders[row.replicate].results.search
        if row.arm == "ticket" and row.level:
            assert read_mask(store, row.mask) == search.masks[row.level]
        if row.arm == "ticket" and row.level == search.best_level:
            weights = read_weights(store, row.cell)
            assert all(torch.equal(weights[name], search.best[name]) for name in search.best)
        if row.arm in ("reinit", "gradual"):
            is_tickets = row.mask == next(
                r.mask for r in run.record.rows
                if (r.arm, r.level, r.replicate) == ("ticket", row.level, row.replicate)
            )  # fmt: skip
            assert is_tickets == (row.arm == "reinit")


def test_figures_report_and_list(searched, tmp_path):
    _, run, _, _ = searched
    names = {path.stem for path in run.plot(tmp_path, formats=["png"])}
    assert {"accuracy", "verdict", "difference", "layers", "overlap"} <= names
    assert "inputs" not in names  # whether the first layer reads the data nobody knows
    page = run.report(tmp_path / "page.html")
    assert "a loop of the user" in page
    assert "only the search that found it can make it again" in page


def test_signs_are_those_since_the_start_it_keeps(searched):
    _, run, finders, _ = searched
    kept = run_kept_weights(run.store, run.record, arms={"ticket", "reinit"})
    assert set(kept["arm"]) == {"ticket"}  # of the others nobody knows what they began with
    search = finders[1].results.search
    own = kept[(kept["replicate"] == 1) & (kept["level"] == search.best_level)]
    expected = kept_weights(search.masks[search.best_level], search.initial, search.best)
    columns = list(expected.columns)
    assert own[columns].reset_index(drop=True).equals(expected)


def test_exports_are_the_trained_net(searched, tmp_path):
    _, run, finders, _ = searched
    level = finders[0].results.level
    with pytest.raises(UsageError, match=r"unknown model 'net'.*--import"):
        run.export(level, out=tmp_path / "refused")
    register_model("net")(net)
    try:
        exported = run.export(level, format=["state_dict", "ticket"], out=tmp_path / "out")
        pruned = run.pruned_model(level)
        model = finders[0]._model
        model.eval()
        assert torch.equal(pruned.model(X), model(X))
        ticket = Ticket.load(tmp_path / "out" / "model.ticket.safetensors")
        built = ticket.build().state_dict()
        initial, mask = finders[0].initial_state, finders[0].mask
        assert all(torch.equal(built[name], initial[name] * mask[name]) for name in mask)
        assert len(exported.files) == 2
        assert run.pruned_model(level, arm="reinit").ticket is None
        with pytest.raises(UsageError, match="tells no data set"):
            run.pruned_model(level, data={"path": "elsewhere"})
    finally:
        MODELS.remove("net")


def test_nothing_is_trained_again(searched):
    store, _, finders, _ = searched
    loop = Loop(epochs=1)
    before = store.cell_names()
    for seed in range(3):
        finder, *_ = find(loop, store, seed=seed)
        finder.verify(loop.train, loop.accuracy, arms=ARMS, verbose=False)
        assert told(finder.results) == told(finders[seed].results)
    assert loop.calls == []
    assert store.cell_names() == before
    # a further draw is one that is not there
    finder.verify(loop.train, loop.accuracy, arms=["reinit"], verbose=False)
    assert [row.draw for row in finder.results.rows if row.arm == "reinit"] == [0, 1]


def test_whole_and_kept(searched):
    store = searched[0]
    found = [store.checked(name) for name in store.cell_names()]
    assert all(cell is not None and not store.strangers(cell) for cell in found)
    assert load_run(store=store).record.cells() == store.cell_names()
    assert store.collect_garbage().num_cells == 0


@pytest.mark.parametrize("call", ["transfer", "retrain", "evaluate", "by_class", "rederive"])
def test_what_only_the_search_can_do_is_said(searched, call):
    _, run, *_ = searched
    calls = {
        "transfer": lambda: run.transfer(data="mnist"),
        "retrain": lambda: run.retrain(2, overrides=["train.lr=1"]),
        "evaluate": lambda: run.evaluate(),
        "by_class": lambda: run.by_class(2),
        "rederive": lambda: run.pruned_model(2, rederive=True),
    }
    with pytest.raises(UsageError, match=r"search with a training loop|no classifier|unknown mod"):
        calls[call]()


# names: at random


def names_of(store, **arguments):
    find(Loop(epochs=1), store, **arguments)
    return store.cell_names()


def check_nobody_else_finds_it(folder):
    one = names_of(Store(folder / "one"))
    assert one.isdisjoint(names_of(Store(folder / "two")))  # the same search, elsewhere
    shared = Store(folder / "three")
    first = names_of(shared, name="first")
    assert first < names_of(shared, name="second")
    assert len(names_of(shared, name="second")) == 2 * len(first)
    ids = {each for run in shared.runs() for each in run.searches}
    assert len(ids) == len(shared.runs()) == 2
    assert all(each in str(record.inputs) for each in ids
               for run in shared.runs() if each in run.searches
               for record in map(shared.get, run.cells()))  # fmt: skip


def test_no_other_run_finds_its_cells(tmp_path):
    check_nobody_else_finds_it(tmp_path)


def test_names_by_the_settings_are_caught(tmp_path, monkeypatch):
    start = _stored_cells.Named._cell

    def by_settings(named, inputs, parents=None):
        return start(_stored_cells.Named("0" * 32, named.model, named.pipeline), inputs, parents)

    monkeypatch.setattr(_stored_cells.Named, "_cell", by_settings)
    with pytest.raises((AssertionError, DataError)):
        check_nobody_else_finds_it(tmp_path)


# stopped, damaged, at the same time


def damage(store, name):
    folder = next((store.root / "cells").glob(f"*/{name}"))
    file = next(path for path in sorted(folder.iterdir()) if path.suffix == ".safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_damaged_is_made_anew(tmp_path, seed):
    store, loop = Store(tmp_path / "store"), Loop(epochs=1)
    first, _, mask, _ = find(loop, store, pruning_rounds=3)
    first.verify(loop.train, loop.accuracy, arms=["random"], verbose=False)
    run = load_run(store=store).record
    start = _stored_cells.Named(run.searches[0], {}, first._method.pipeline).start.name
    names = sorted(store.cell_names() - {start})
    damage(store, random.Random(seed).choice(names))
    again, _, mask_again, _ = find(Loop(epochs=1), store, pruning_rounds=3)
    again.verify(loop.train, loop.accuracy, arms=["random"], verbose=False)
    assert mask_again == mask
    assert told(again.results) == told(first.results)
    assert all(store.check(name) is not None for name in store.cell_names())
    damage(store, start)
    with pytest.raises(DataError, match="began with is gone or damaged"):
        find(Loop(epochs=1), store, pruning_rounds=3)


def test_a_search_that_eval_fn_failed_goes_on(tmp_path):
    store, loop = Store(tmp_path / "store"), Loop(epochs=1)

    class Fails(Loop):
        def accuracy(self, model):
            if len(self.calls) == 2:
                raise StoppedError
            return super().accuracy(model)

    with pytest.raises(StoppedError):
        find(Fails(epochs=1), store)
    run = load_run(store=store)
    assert list(run.table["level"]) == [0]
    assert len(run.record.rows) == 3  # those to come, too
    *_, results = find(loop, store)
    assert len(loop.calls) == 1  # level 1 was trained before
    assert told(results) == told(find(Loop(epochs=1), None)[-1])
    assert store.cell_names() == load_run(store=store).record.cells()


def test_one_process_at_a_time(tmp_path):
    store = Store(tmp_path / "store")
    find(Loop(epochs=1), store)

    class Meddles(Loop):
        def train(self, model, mask):
            if not self.calls:
                with pytest.raises(UsageError, match="another process goes on with this search"):
                    find(Loop(epochs=1), store, pruning_rounds=3)
                with pytest.raises(UsageError, match="is being run; stop it first"):
                    store.remove_run(load_run(store=store).record)
                find(Loop(epochs=1), store, seed=1, pruning_rounds=3)  # another replicate may
            super().train(model, mask)

    find(Meddles(epochs=1), store, pruning_rounds=3)
    run = load_run(store=store)
    assert len(run.record.searches) == 2
    assert run.table.groupby("replicate").size().tolist() == [4, 4]
    store.remove_run(run.record)
    other = store.runs()[0]
    assert store.cell_names() == other.cells()


def test_where_it_may_be(tmp_path):
    loop = Loop(epochs=1)
    path = tmp_path / "store"
    find(loop, Store(path))
    find(loop, str(path))  # a store that is there
    find(loop, tmp_path / "folder")
    assert (tmp_path / "folder" / "search.json").exists()
    assert len(loop.calls) == 6
    with pytest.raises(UsageError, match="name: got ''"):
        find(loop, path, name="")


def test_invalid_results_are_not_judged(tmp_path):
    store = Store(tmp_path / "store")

    class Writes(Loop):
        def train(self, model, mask):
            super().train(model, mask)
            with torch.no_grad():
                model[0].weight.add_(0.1)

    finder, *_ = find(Writes(epochs=1), store)
    assert not finder.results.is_valid
    run = load_run(store=store)
    assert run.table.loc[run.table["level"] > 0, "test_accuracy"].isna().all()
    with pytest.raises(UsageError, match=r"invalid: ticket level 1, replicate 0: train_fn wrote"):
        run.verdict()
    again, *_ = find(Loop(epochs=1), store)
    assert again.results.problems == finder.results.problems


def test_a_preset_shares_nothing_with_it(tmp_path):
    store = Store(tmp_path / "store")
    find(Loop(epochs=1), store)
    from lottery_ticket.api import prepare

    planned = prepare(load_spec("quickstart"), store=store.root).plan
    assert planned.cells.keys().isdisjoint(store.cell_names())


# what a search is told apart by


class Scaled(nn.Sequential):
    """Its options show in no layer."""

    def __init__(self, scale=1.0, note=None):
        super().__init__(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
        self.scale = scale

    def forward(self, x):
        return super().forward(self.scale * x)


def find_scaled(store, *, seed=0, **options):
    loop = Loop(epochs=1)
    finder = LotteryTicketFinder(Scaled, options, seed=seed)
    finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=loop.accuracy, target_sparsity=0.5, pruning_rounds=1,
        verbose=False, resume=store,
    )  # fmt: skip
    return len(loop.calls)


def test_another_model_is_another_search(tmp_path):
    store = Store(tmp_path / "store")
    assert [find_scaled(store, scale=scale) for scale in (1.0, 2.0, 1.0, 2.0)] == [2, 2, 0, 0]
    assert find_scaled(store, seed=1, scale=2.0) == 2
    runs = sorted(store.runs(), key=lambda run: len(run.searches))
    assert [len(run.searches) for run in runs] == [1, 2]
    assert [run.spec["model"]["scale"] for run in runs] == [1.0, 2.0]
    assert store.collect_garbage().num_cells == 0


@pytest.mark.parametrize("note", ["\n", float("inf"), 10**40, object(), ("a", 1)])
def test_odd_options_leave_the_store_whole(note, tmp_path):
    store = Store(tmp_path / "store")
    assert find_scaled(store, note=note) == 2
    assert find_scaled(store, note=note) == 0
    assert len(store.runs()) == 1


@pytest.mark.parametrize("name", ["a\nb", "x\u202ay", "\x00", " ", "n" * 151, 3])
def test_an_odd_name_is_refused_before_anything_trains(name, tmp_path):
    loop = Loop(epochs=1)
    with pytest.raises(UsageError, match="name: got"):
        find(loop, Store(tmp_path / "store"), name=name)
    assert not loop.calls
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["_mine", "../../etc", "Ünïcode", "…", "con"])
def test_other_names_are_fine(name, tmp_path):
    store = Store(tmp_path / "store")
    find(Loop(epochs=1), store, name=name)
    assert store.runs()[0].model == name


def test_a_search_stopped_at_its_start_keeps_the_weights_it_goes_on_with(tmp_path):
    store = Store(tmp_path / "store")

    class Stops(Loop):
        def train(self, model, mask):
            raise StoppedError

    def search(loop):
        finder = LotteryTicketFinder()
        finder.find_winning_ticket(
            net(), loop.train, loop.accuracy, 0.5, 1, verbose=False, resume=store
        )
        return finder

    with pytest.raises(StoppedError):
        search(Stops())
    loop = Loop(epochs=1)
    first = search(loop)
    again = search(Loop(epochs=1))
    began = loop.calls[0][0]
    assert all(torch.equal(again.initial_state[name], began[name]) for name in began)
    assert all(torch.equal(first.initial_state[n], v) for n, v in again.initial_state.items())


def test_a_replicate_that_never_began_keeps_no_other_out(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    find(Loop(epochs=1), store)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "commit", lambda *arguments: (_ for _ in ()).throw(StoppedError))
        with pytest.raises(StoppedError):
            find(Loop(epochs=1), store, seed=1)
    for seed in (1, 2):
        find(Loop(epochs=1), store, seed=seed)
    (run,) = store.runs()
    assert run.searches
    assert load_run(store=store).table.groupby("replicate").size().tolist() == [3, 3, 3]


def test_a_run_that_was_removed_is_not_half_written(tmp_path):
    store, loop = Store(tmp_path / "store"), Loop(epochs=1)
    finder, *_ = find(loop, store)
    store.remove_run(store.runs()[0])
    with pytest.raises(StoreError, match="it was removed meanwhile"):
        finder.verify(loop.train, loop.accuracy, verbose=False)
    assert not store.runs()


def test_another_criterion_of_the_same_name_is_told(tmp_path, capsys):
    store = Store(tmp_path / "store")

    def own(weights):
        return {name: weight.abs() for name, weight in weights.items()}

    find(Loop(epochs=1), store, criterion=own)

    def own(weights):
        return {name: -weight.abs() for name, weight in weights.items()}

    find(Loop(epochs=1), store, criterion=own, verbose=True)
    assert "finished before, by another criterion than now" in capsys.readouterr().out


def test_what_an_optimiser_remembers_in_lists_comes_back():
    one, two = torch.randn(3), torch.randn(2, 2)
    state = {0: {"step": 3, "history": [one, [two, None]], "empty": []}, 1: {"average": two}}
    tensors = {}
    plain = json.loads(json.dumps(split_memory("state", state, tensors)))
    found = joined_memory(plain, tensors)
    assert found.keys() == state.keys()
    assert (found[0]["step"], found[0]["empty"]) == (3, [])
    assert torch.equal(found[0]["history"][0], one)
    assert torch.equal(found[0]["history"][1][0], two)
    assert found[0]["history"][1][1] is None
    assert torch.equal(found[1]["average"], two)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_what_is_no_number_is_worse(mode):
    values = iter([0.5, 0.5, 0.5, float("nan"), 0.5])
    loop, finder = Loop(epochs=1), LotteryTicketFinder(model_fn=net, mode=mode)
    *_, results = finder.find_winning_ticket(
        train_fn=loop.train, eval_fn=lambda model: next(values), target_sparsity=0.8,
        pruning_rounds=4, max_drop=0.05, verbose=False,
    )  # fmt: skip
    assert (results.level, len(loop.calls)) == (1, 3)


def test_a_search_in_a_bucket_is_the_one_in_a_folder(tmp_path, s3):
    tables, loop = [], Loop(epochs=1)
    stores = Store(tmp_path / "store"), ObjectStore.over(MemoryBucket()), Store(s3)
    for store in stores:
        find(loop, s3 if store.location == s3 else store)
        columns = ["arm", "level", "num_kept", "num_steps", "test_accuracy"]
        tables.append(load_run(store=store).table[columns].to_dict("records"))
    assert tables[0] == tables[1] == tables[2]
    num_calls = len(loop.calls)
    for store in stores:
        find(loop, store)
    assert len(loop.calls) == num_calls  # all of it was found
