"""What killed or other processes leave in a store: checkpoints, work folders, locks, links."""

import os
from dataclasses import replace

import pytest
from checkpoints import rewritten, sealed
from each_step import kinds_kept, look_at_each_step
from safetensors.torch import load, save
from test_execution import Recorder
from tiny_runs import digests, planned, run_in
from wrong_engines import trains_by

from lottery_ticket.errors import DamagedError
from lottery_ticket.experiment import Context, execute
from lottery_ticket.store import Store


@pytest.fixture(scope="module")
def pair():
    from tiny_runs import TINY

    from lottery_ticket.spec import spec_from_mapping

    return spec_from_mapping(TINY | {"arms": ["ticket"], "prune": {"rate": 0.4, "levels": 1}})


@pytest.fixture(scope="module")
def undisturbed(pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_in(folder, pair)
    return digests(folder)


@pytest.fixture
def stopped(pair, tmp_path):
    """A store whose sparse training was stopped at its first step; returns its checkpoint."""
    store, _ = run_in(tmp_path, pair)
    cell = planned(pair).cells[planned(pair).rows[-1].cell]
    contents = {role: store.get(parent).content for role, parent in cell.parents.items()}
    store.discard(cell.name)
    store.board.put("stop", "mine", b"")
    with kinds_kept():
        look_at_each_step()
        (outcome,) = execute([cell], [contents], Context(store, stops=("mine",)))
    assert outcome.status == "stopped"
    store.board.remove("stop", "mine")
    return store.work_folder(cell.name) / "checkpoint"


def halve(tensors):
    name = next(name for name in tensors if name.startswith("model."))
    tensors[name] = tensors[name][:1].clone()


def fill(tensors):
    for name, value in tensors.items():
        if name.startswith("model."):
            value.fill_(1.0)


UNREADABLE = {
    "another format": lambda data: sealed(b"another format"),
    "a huge header": lambda data: sealed(b"\xff" * 8 + b"{}"),
    "no words": lambda data: sealed(save(load(data[32:]))),
    "a tensor less": lambda data: rewritten(data, lambda t: t.pop("rng.cpu")),
    "a layer less": lambda data: rewritten(data, lambda t: t.pop("model.fc1.weight")),
    "a layer more": lambda data: rewritten(
        data, lambda t: t.update({"model.x": t["rng.cpu"].clone()})
    ),
    "another shape": lambda data: rewritten(data, halve),
    "another type": lambda data: rewritten(
        data, lambda t: t.update({"model.fc1.weight": t["model.fc1.weight"].double()})
    ),
    "another optimiser": lambda data: rewritten(
        data, lambda t: t.update({"optimizer.0.momentum_buffer": t["model.fc3.weight"].clone()})
    ),
    "another mask": lambda data: rewritten(data, fill),
    "a step too far": lambda data: rewritten(data, step=10**6),
    "a step back": lambda data: rewritten(data, step=-1),
    "a word for a step": lambda data: rewritten(data, step="3"),
    "a history of words": lambda data: rewritten(data, history=[{"step": 1, "test_loss": "low"}]),
    "no history": lambda data: rewritten(data, history=5),
    "an endless sum": lambda data: rewritten(data, loss_sum=float("inf")),
}


def check_begins_anew(store, checkpoint, pair, undisturbed, data):
    """A checkpoint that cannot be continued stops nothing, is said, and stays."""
    checkpoint.write_bytes(data)
    recorder = Recorder()
    _, outcome = run_in(store.root, pair, observer=recorder)
    assert outcome.is_complete
    assert digests(store.root) == undisturbed
    (note,) = recorder.notes
    assert f"{checkpoint}: cannot be continued (" in note
    (kept,) = (store.root / "work").iterdir()
    assert str(kept) in note
    assert kept.read_bytes() == data
    assert store.collect_garbage().num_bytes == len(data)


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_a_sealed_checkpoint_that_cannot_be_read_is_set_aside(damage, stopped, pair, undisturbed):
    data = damage(stopped.read_bytes())
    check_begins_anew(Store(stopped.parents[2]), stopped, pair, undisturbed, data)


def gives_up_where_it_left(train, cell, parents, workspace):
    def fails(note):
        raise RuntimeError(note)

    return train(cell, parents, replace(workspace, note=fails))


def test_an_engine_that_cannot_get_past_it_is_caught(stopped, pair, undisturbed, own_kinds):
    trains_by(gives_up_where_it_left)
    data = UNREADABLE["another shape"](stopped.read_bytes())
    with pytest.raises(AssertionError):
        check_begins_anew(Store(stopped.parents[2]), stopped, pair, undisturbed, data)


def test_a_checkpoint_that_can_be_read_is_continued(stopped, pair, undisturbed):
    recorder = Recorder()
    run_in(stopped.parents[2], pair, observer=recorder)
    assert recorder.notes == []
    assert digests(stopped.parents[2]) == undisturbed
    assert list((stopped.parents[2] / "work").iterdir()) == []


def test_links_in_a_work_folder_are_not_written_through(stopped, pair, undisturbed, tmp_path):
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("mine")
    for name in ("history.jsonl", "progress.json", "traceback.txt", "checkpoint"):
        path = stopped.with_name(name)
        path.unlink(missing_ok=True)
        path.symlink_to(outside)
    assert run_in(stopped.parents[2], pair)[1].is_complete
    assert digests(stopped.parents[2]) == undisturbed
    assert outside.read_text() == "mine"


def test_work_of_finished_cells_is_freed_by_the_next_run(pair, tmp_path):
    store, _ = run_in(tmp_path, pair)
    for name in store.cell_names():  # as if it had been killed before it cleared up
        (store.work_folder(name) / "result-1").mkdir(parents=True)
    busy = store.claim(planned(pair).rows[0].cell)
    assert busy is not None
    run_in(tmp_path, pair)
    assert store.work_names() == {busy.folder.name}
    busy.release()


def test_a_run_cannot_be_removed_while_it_runs(pair, tmp_path):
    removals = []

    class Remover(Recorder):
        def ended(self, cell, outcome):
            try:
                removals.append(Store(tmp_path).remove_run(Store(tmp_path).run("last")))
            except ValueError as error:
                removals.append(str(error))

    _, outcome = run_in(tmp_path, pair, observer=Remover())
    assert outcome.is_complete
    assert len(removals) == 3
    assert all("is being run; stop it first" in str(said) for said in removals)
    assert Store(tmp_path).remove_run(Store(tmp_path).run("last")).num_cells == 3


def test_a_cell_that_cannot_be_read_is_not_made_anew(pair, tmp_path, monkeypatch):
    """Too many open files, say, is no damage."""
    from lottery_ticket.errors import StoreError

    store, _ = run_in(tmp_path, pair)
    before = digests(tmp_path)
    opened, limit = os.open, [5]

    def few(path, *arguments, **more):
        limit[0] -= "weights" in str(path)
        if limit[0] < 4:
            raise OSError(24, "Too many open files", str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", few)
    with pytest.raises(StoreError, match=r"Too many open files; raise the limit, `ulimit -n") as e:
        run_in(tmp_path, pair)
    assert not isinstance(e.value, DamagedError)
    monkeypatch.undo()
    assert digests(tmp_path) == before
    assert all(store.check(name) for name in store.cell_names())
