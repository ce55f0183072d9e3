"""Cells as they are made: what is stored, what is shared, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import wrong_engines as wrong
from run_processes import start_noisy
from safetensors.torch import load
from tiny_runs import digests, planned, run_in

from lottery_ticket.errors import UsageError
from lottery_ticket.experiment import Context as ExecutionContext
from lottery_ticket.experiment import Observer, inspect_inputs, run_plan
from lottery_ticket.masks import PruningMask, has_only_zeros_where_pruned
from lottery_ticket.models import build
from lottery_ticket.store import Store, correct_rows, table_rows

ALL_ARMS = ["ticket", "reinit", "shuffled", "random", "oneshot"]


class Recorder(Observer):
    def __init__(self) -> None:
        self.made: list[str] = []
        self.notes: list[str] = []

    def ended(self, cell, outcome) -> None:
        if outcome.status == "made":
            self.made.append(cell.name)

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """All arms of the tiny experiment, run once."""
    from tiny_runs import TINY

    from lottery_ticket.spec import spec_from_mapping

    spec = spec_from_mapping(TINY | {"arms": ALL_ARMS})
    folder = tmp_path_factory.mktemp("finished")
    store, outcome = run_in(folder, spec)
    assert outcome.is_complete
    return store, planned(spec)


def weights_of(store: Store, name: str) -> dict[str, torch.Tensor]:
    record = store.get(name)
    assert record is not None
    return load(store.read(record, "weights.safetensors"))


def mask_of(store: Store, name: str) -> PruningMask:
    record = store.get(name)
    assert record is not None
    return PruningMask.from_bytes(store.read(record, "mask.safetensors"))


def test_masks_keep_what_the_plan_says_and_weights_are_zero_elsewhere(finished):
    store, plan = finished
    for row in plan.rows:
        if row.mask is None:
            continue
        mask = mask_of(store, row.mask)
        assert mask.num_kept == row.num_kept
        weights = weights_of(store, row.cell)
        assert has_only_zeros_where_pruned(weights, mask)
        assert all(bool(weights[name][kept].any()) for name, kept in mask.items())


def test_masks_of_a_chain_nest(finished):
    store, plan = finished
    masks = [mask_of(store, r.mask) for r in plan.rows if r.arm == "ticket" and r.mask]
    assert masks[1].is_nested_in(masks[0])
    assert not masks[0].is_nested_in(masks[1])


def test_ticket_mask_is_the_largest_trained_weights(finished):
    store, plan = finished
    rows = [row for row in plan.rows if row.arm == "ticket"]
    dense = weights_of(store, rows[0].cell)
    mask = mask_of(store, rows[1].mask)
    kept = torch.cat([dense[name][m].abs() for name, m in mask.items()])
    pruned = torch.cat([dense[name][~m].abs() for name, m in mask.items()])
    assert kept.min() >= pruned.max()


def test_every_arm_starts_from_the_weights_it_should(finished):
    store, plan = finished
    initial = {(r.arm, r.level): store.get(r.cell).results["initial_sha256"] for r in plan.rows}
    theta = initial["ticket", 0]
    for (arm, _), digest in initial.items():
        assert (digest == theta) == (arm != "reinit")
    assert len({d for (arm, _), d in initial.items() if arm == "reinit"}) == 1


def test_shuffled_mask_is_permuted_within_layers(finished):
    store, plan = finished
    masks = {r.arm: mask_of(store, r.mask) for r in plan.rows if r.level == 2}
    ticket, shuffled = masks["ticket"], masks["shuffled"]
    assert ticket != shuffled
    for name in ticket:
        assert int(ticket[name].sum()) == int(shuffled[name].sum())
    assert masks["random"].num_kept == ticket.num_kept


def test_correct_bits_are_the_accuracy(finished):
    store, plan = finished
    for row in plan.rows:
        record = store.get(row.cell)
        assert record is not None
        bits = np.frombuffer(store.read(record, "test_correct.bits"), np.uint8)
        right = np.unpackbits(bits, count=record.results["num_test"], bitorder="little")
        assert right.mean() == pytest.approx(record.results["test_accuracy"], abs=1e-12)


def test_correct_rows_are_those_of_the_table(finished):
    store, plan = finished
    run = store.run(plan.id)
    rows = list(correct_rows(store, run))
    table = table_rows(store, run)
    places = ("arm", "level", "replicate", "draw")
    assert [[row[key] for key in places] for row in rows] == [
        [row[key] for key in places] for row in table
    ]
    for row, full in zip(rows, table, strict=True):
        assert (row["correct"].dtype, len(row["correct"])) == (bool, full["num_test"])
        assert row["correct"].mean() == pytest.approx(full["test_accuracy"], abs=1e-12)


def test_stored_weights_score_what_the_record_says(finished):
    from lottery_ticket.data import load_dataset
    from lottery_ticket.train import LOSSES, evaluate

    store, plan = finished
    row = plan.rows[-1]
    model = build("LeNet300", 0, input_size=64, num_classes=10, hidden=[20, 10])
    model.load_state_dict(weights_of(store, row.cell))
    measured = evaluate(model, load_dataset("digits").test, LOSSES["cross_entropy"])
    assert measured.accuracy == store.get(row.cell).results["test_accuracy"]


def test_running_again_makes_nothing(finished):
    store, plan = finished
    again = run_plan(plan, store, ExecutionContext(store))
    assert (again.num_made, again.num_found) == (0, len(plan.cells))


def test_same_spec_gives_the_same_bytes(tmp_path, tiny):
    for name in ("a", "b"):
        run_in(tmp_path / name, tiny())
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def check_whoever_makes_it(folder, engine=None):
    """One process makes all cells, or each is made by its own, whatever its random state."""
    with start_noisy(folder / "one", wrong=engine) as run:
        assert run.wait() == 0
    rows = Store(folder / "one").run("last").rows  # the level before comes first
    names = [name for row in rows for name in (row.mask, row.cell) if name is not None]
    assert len(names) == 3
    for number, name in enumerate(names):
        orders = {"wrong": engine, "only": name, "random_state": number + 1}
        with start_noisy(folder / "many", **orders) as run:
            assert run.wait() == 0
    assert digests(folder / "one") == digests(folder / "many")


def test_a_cell_is_the_same_bytes_whoever_makes_it(tmp_path):
    check_whoever_makes_it(tmp_path)


@pytest.mark.parametrize(
    "engine",
    [
        wrong.orders_by_process,
        wrong.orders_by_the_cells_before,
        wrong.seeds_no_noise,
        wrong.records_the_time,
    ],
)
def test_engines_whose_bytes_depend_on_the_maker_are_caught(engine, tmp_path):
    with pytest.raises(AssertionError):
        check_whoever_makes_it(tmp_path, engine)


def test_another_seed_gives_other_bytes(tmp_path, tiny):
    for seed in (0, 1):
        run_in(tmp_path / str(seed), tiny(seed=seed))
    assert not set(digests(tmp_path / "0").values()) & set(digests(tmp_path / "1").values())


def test_a_damaged_cell_is_named_and_made_anew_and_nothing_else(tmp_path, tiny):
    store, _ = run_in(tmp_path, tiny())
    before = digests(tmp_path)
    plan = planned(tiny())
    victim = plan.rows[1].cell
    path = tmp_path / "cells" / victim[:2] / victim / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    recorder = Recorder()
    run_plan(plan, store, ExecutionContext(Store(tmp_path)), observer=recorder)
    assert recorder.made == [victim]
    assert any(str(path) in note for note in recorder.notes)
    assert digests(tmp_path) == before


def test_what_hung_on_other_bytes_is_made_anew(tmp_path, tiny):
    store, _ = run_in(tmp_path, tiny())
    before = digests(tmp_path)
    plan = planned(tiny())
    # as if level 0 had been made anew elsewhere, with other bytes
    dense = plan.rows[0].cell
    record = store.get(dense)
    assert record is not None
    execution = store.execution(dense)
    kept = set(record.files) - set(execution["not_kept"])
    files = {name: store.read(record, name) for name in kept}
    store.discard(dense)
    claim = store.claim(dense)
    assert claim is not None
    other = type(record).of(dense, record.inputs, {}, files, {**record.results, "test_loss": 9.0})
    store.commit(claim, other, files, execution)
    below = {c.name for c in plan.cells.values() if dense in c.parents.values()}
    recorder = Recorder()
    run_plan(plan, store, ExecutionContext(Store(tmp_path)), observer=recorder)
    assert below <= set(recorder.made)
    assert any("changed" in note for note in recorder.notes)
    # the masks came out the same, so what hangs on them was left alone
    after = digests(tmp_path)
    changed = {path for path in after if after[path] != before[path]}
    assert {path.split("/")[2] for path in changed} == {dense, *below}


def test_weights_not_kept_are_made_anew_when_a_mask_needs_them(tmp_path, tiny):
    store, _ = run_in(tmp_path, tiny(prune={"levels": 1}), keep="needed")
    plan = planned(tiny(prune={"levels": 1}))
    last = plan.rows[1]
    record = store.check(last.cell)
    assert record is not None
    assert "weights.safetensors" in record.files
    folder = tmp_path / "cells" / last.cell[:2] / last.cell
    assert not (folder / "weights.safetensors").exists()
    _, outcome = run_in(tmp_path, tiny(prune={"levels": 2}), keep="needed")
    assert outcome.is_complete
    assert (folder / "weights.safetensors").exists()


def check_only_dense_is_made_again(store, tiny, made) -> None:
    """Fine-tuning goes on from what the optimiser remembered; all else is left as it is."""
    before = digests(store.root)
    spec = tiny(arms=["ticket", "finetune"])
    plan = planned(spec)
    dense = plan.rows[0].cell
    recorder = Recorder()
    outcome = run_plan(plan, store, ExecutionContext(store), observer=recorder)
    assert outcome.is_complete
    again = set(recorder.made) & made
    assert {name for name in again if plan.cells[name].num_steps} == {dense}
    assert "optimizer.safetensors" not in store.execution(dense).get("not_kept", [])
    after = digests(store.root)
    changed = {path for path in before if after[path] != before[path]}
    assert {Path(path).parent.name for path in changed} <= again


def test_what_the_optimizer_remembered_is_made_anew_when_it_is_needed(tmp_path, tiny):
    store, _ = run_in(tmp_path, tiny(arms=["ticket"]))
    check_only_dense_is_made_again(store, tiny, set(planned(tiny(arms=["ticket"])).cells))


def test_a_record_of_an_earlier_version_that_knows_no_optimizer(tmp_path, tiny):
    store, _ = run_in(tmp_path, tiny(arms=["ticket"]))
    plan = planned(tiny(arms=["ticket"]))
    contents: dict[str, str] = {}
    for cell in plan.cells.values():  # parents first
        record, execution = store.get(cell.name), store.execution(cell.name)
        kept = set(record.files) - {"optimizer.safetensors"}
        files = {name: store.read(record, name) for name in kept}
        parents = {role: contents[name] for role, name in cell.parents.items()}
        old = type(record).of(cell.name, record.inputs, parents, files, record.results)
        contents[cell.name] = old.content
        store.discard(cell.name)
        execution.pop("not_kept", None)
        store.commit(store.claim(cell.name), old, files, execution)
    assert run_plan(plan, store, ExecutionContext(Store(tmp_path))).num_made == 0
    check_only_dense_is_made_again(store, tiny, set(plan.cells))


def test_a_diverging_cell_ends_alone_and_keeps_its_history(tmp_path, tiny):
    # with this learning rate the loss overflows after some steps
    spec = tiny(train={"lr": 1e18, "eval_every": "1it"}, arms=["ticket", "reinit"])
    store, outcome = run_in(tmp_path, spec)
    assert len(outcome.failures) == 2  # level 0 of both arms
    assert outcome.num_blocked == len(planned(spec).cells) - 2
    name, message = next(iter(outcome.failures.items()))
    assert "step" in message
    assert "level 0" in message
    lines = (store.work_folder(name) / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": {"input_size": 63}}, ["63", "64"]),
        ({"model": {"name": "LeNet5", "hidden": None}}, ["LeNet5", "digits", "(64,)"]),
        ({"train": {"loss": "mse"}}, ["mse", "cross_entropy"]),
        ({"train": {"augment": "pad_crop_flip"}}, ["images", "(64,)"]),
        ({"model": {"num_classes": 3}}, ["(2, 3)", "(2, 10)"]),
        ({"prune": {"rate": 0.6, "levels": 12}}, ["level 9", "keep nothing", "1,580"]),
        ({"prune": {"rate": 0.0001, "levels": 1}}, ["level 1", "prune nothing"]),
        ({"prune": {"scope": "layerwise", "rates": {"fc9": 0.1}}}, ["fc9", "fc"]),
    ],
)
def test_what_does_not_fit_is_refused_before_training(tiny, change, words):
    with pytest.raises(UsageError) as refused:
        planned(tiny(**change))
    for word in words:
        assert word in str(refused.value)


def test_inputs_are_of_the_data_not_of_its_place(tmp_path, tiny):
    digits = inspect_inputs(tiny())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 64)).astype("float32")
    y = rng.integers(0, 10, 50)
    y[:10] = range(10)
    seen = []
    for name in ("one.npz", "two.npz"):
        np.savez(tmp_path / name, x=x, y=y)
        spec = tiny(data={"name": "arrays", "path": str(tmp_path / name)})
        seen.append(planned(spec))
    assert set(seen[0].cells) == set(seen[1].cells)
    assert seen[0].inputs.data_digest != digits.data_digest
