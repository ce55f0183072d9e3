"""Probes: measured on stored trainings, cached, resumed and kept like any cell."""

import sys

import pytest
import torch
from tiny_runs import planned, run_in

from lottery_ticket.api import RunResult, load_run
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.experiment import PROBES, register_probe, run_plan
from lottery_ticket.experiment.cells.kinds import KINDS
from lottery_ticket.store import Store, table_rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    from tiny_runs import TINY

    from lottery_ticket.spec import spec_from_mapping

    folder = tmp_path_factory.mktemp("probes")
    spec = spec_from_mapping(TINY | {"arms": ["ticket", "reinit", "gradual"], "replicates": 2})
    run_in(folder, spec)
    return folder, spec


@pytest.fixture
def result(whole, tmp_path):
    import shutil

    shutil.copytree(whole[0], tmp_path / "store")
    return load_run("last", store=tmp_path / "store")


@pytest.fixture
def registered(forgotten):
    """Registers a probe, for the time of the test."""
    return lambda name, function: register_probe(name)(function)


def again(result: RunResult) -> RunResult:
    return load_run(result.id, store=result.store.root)


def check_agrees(result, frame):
    """What is evaluated on the run's own test split is what its table says."""
    table = {(r["arm"], r["level"], r["replicate"], r["draw"]): r for r in result.rows}
    assert len(frame) == 2 * len(table)
    for row in frame.to_dict("records"):
        own = table[row["arm"], row["level"], row["replicate"], row["draw"]]
        assert row["value"] == pytest.approx(own[f"test_{row['metric']}"], rel=1e-5)
        assert row["density"] == own["density"]


def test_evaluated_on_its_own_test_split_it_is_as_its_table_says(result):
    frame = result.evaluate(progress=False, jobs=1)
    assert list(frame.columns[:7]) == [
        "run", "probe", "arm", "level", "replicate", "draw", "density",
    ]  # fmt: skip
    check_agrees(result, frame)
    assert again(result).probes.equals(frame)


def test_other_weights_are_caught(result, monkeypatch):
    from dataclasses import replace

    honest = KINDS["probe"]

    def shifted(cell, parents, workspace):
        made = honest.make(cell, parents, workspace)
        rows = [{**row, "value": row["value"] * 1.01} for row in made.results["rows"]]
        return replace(made, results={"rows": rows})

    monkeypatch.setitem(KINDS, "probe", replace(honest, make=shifted))
    with pytest.raises(AssertionError):
        check_agrees(result, result.evaluate(progress=False, jobs=1))


def counting(register, name="count", fails_at=None):
    """A probe that notes how often it was asked."""
    calls = []

    def count(model, mask, size: int = 1):
        calls.append(size)
        if fails_at is not None and len(calls) == fails_at:
            raise KeyboardInterrupt
        yield {"value": sum(int(kept.sum()) for kept in mask.values())}

    register(name, count)
    return calls


def test_what_was_measured_is_not_measured_again(result, registered):
    calls = counting(registered)
    first = result.probe("count", progress=False, jobs=1)
    num_trainings = len({row["cell"] for row in result.rows})
    assert len(calls) == num_trainings
    assert result.probe("count", progress=False, jobs=1).equals(first)
    assert len(calls) == num_trainings
    result.probe("count", options={"size": 2}, progress=False, jobs=1)
    assert len(calls) == 2 * num_trainings
    kept = {(r["arm"], r["level"], r["replicate"]): r["num_kept"] for r in result.rows}
    for row in first.to_dict("records"):
        assert row["value"] == kept[row["arm"], row["level"], row["replicate"]]


def test_one_that_was_interrupted_goes_on(result, registered):
    calls = counting(registered, fails_at=4)
    with pytest.raises(KeyboardInterrupt):
        result.probe("count", progress=False, jobs=1)
    assert len(again(result).probes) >= 3
    result.probe("count", progress=False, jobs=1)
    assert len(calls) == len({row["cell"] for row in result.rows}) + 1


def test_measurements_belong_to_their_run(result, whole):
    """Garbage collection, another call of the run and its removal know of them."""
    frame = result.evaluate(progress=False, jobs=1)
    store = result.store
    assert store.collect_garbage().num_cells == 0
    outcome = run_plan(planned(whole[1]), store, _context(store))
    assert outcome.num_made == 0
    assert again(result).probes.equals(frame)
    assert all(store.check(name) for name in store.cell_names())
    store.remove_run(store.run(result.id))
    assert not store.cell_names()


def _context(store):
    from lottery_ticket.experiment import Context

    return Context(store)


def test_only_some_arms_and_another_split(result):
    frame = result.evaluate(split="train", arms=["gradual"], progress=False, jobs=1)
    # the dense level is one training, whichever arm it is shown for
    assert {"gradual"} <= set(frame["arm"])
    assert set(frame.loc[frame["level"] > 0, "arm"]) == {"gradual"}
    assert set(frame["split"]) == {"train"}


def test_other_data_of_the_same_shape(result, tmp_path):
    import numpy as np

    x, y = np.random.default_rng(0).normal(size=(50, 64)), np.arange(50) % 10
    path = tmp_path / "other.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    data = {"name": "arrays", "path": str(path)}
    frame = result.evaluate(data, progress=False, jobs=1)
    assert set(frame["data"]) == {"arrays"}
    accuracy = frame.loc[frame["metric"] == "accuracy", "value"]
    assert accuracy.between(0, 0.5).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda r: r.probe("evalute"), "unknown probe 'evalute'; did you mean 'evaluate'"),
        (lambda r: r.probe("evaluate", options={"spit": "test"}), "has no option 'spit'; did you"),
        (lambda r: r.evaluate(arms=["shuffled"]), "no arm 'shuffled'; it has: gradual, reinit"),
        (lambda r: r.evaluate("sin"), "does not fit the nets of this run"),
        (lambda r: r.evaluate("digit"), "did you mean 'digits'"),
        (lambda r: r.evaluate({"name": "digits", "validate": 3}), "has no option 'validate'"),
        (lambda r: r.evaluate(job=1), "unknown argument 'job'; did you mean 'jobs'"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_measured(call, said, result):
    before = result.store.cell_names()
    with pytest.raises(UsageError, match=said):
        call(result)
    assert result.store.cell_names() == before
    assert again(result).probes.empty


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (lambda model: [{"accuracy": 1.0}], "wanted a mapping with a value"),
        (lambda model: [3], "wanted a mapping with a value"),
        (lambda model: [{"value": "much"}], "no number"),
        (lambda model: [{"value": 1.0, "arm": "mine"}], "gave 'arm', which the run says itself"),
        (
            lambda model: [{"value": 1.0, "what": torch.ones(2)}],
            "under 'what', wanted a number or a text",
        ),
        (lambda model: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_rows_that_are_none_are_said(give, said, result, registered):
    registered("wrong", give)
    with pytest.raises(LotteryError, match=said) as caught:
        result.probe("wrong", progress=False, jobs=1)
    head, line = str(caught.value).splitlines()  # once, however many trainings there are
    number = int(head.split()[0])
    assert head.startswith(f"{number} measurements failed;")
    assert line.startswith("wrong of ")
    assert f" and {number - 1} more: the probe 'wrong' " in line


def test_what_a_probe_cannot_have():
    with pytest.raises(UsageError, match="has a parameter 'weights' that nothing is known to fill"):
        register_probe("wrong")(lambda model, weights: [])


def test_no_number_is_null(result, registered):
    registered("nan", lambda model: [{"value": float("nan")}])
    assert result.probe("nan", progress=False, jobs=1)["value"].isna().all()


def test_weights_that_were_not_kept(whole, tmp_path):
    store, _ = run_in(tmp_path, whole[1], keep="needed")
    with pytest.raises(UsageError, match="were not kept"):
        load_run("last", store=store.root).evaluate(progress=False)


def test_in_workers_too(result, tmp_path):
    module = tmp_path / "mine.py"
    module.write_text(
        "from lottery_ticket import register_probe\n"
        "@register_probe('norms')\n"
        "def norms(model):\n"
        "    for name, p in model.named_parameters():\n"
        "        yield {'layer': name, 'value': float(p.detach().norm())}\n"
    )
    frame = result.probe("norms", imports=[str(module)], jobs=2, progress=False)
    assert set(frame["layer"]) >= {"fc1.weight", "fc3.bias"}
    assert (frame["value"] > 0).all()
    PROBES.remove("norms")
    assert again(result).probes.equals(frame)  # read without the code


def test_the_command_prints_means_and_rows(result, capsys, monkeypatch):
    from lottery_ticket.cli import main

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["lottery", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, capsys.readouterr()

    where = ("--store", result.store.root)
    code, said = call("evaluate", "last", *where, "--jobs", 1)
    assert code == 0
    line = next(line for line in said.out.splitlines() if "accuracy" in line)
    assert line.split()[:5] == ["ticket", "0", "digits", "accuracy", "test"]
    assert line.endswith("(2)")
    code, said = call("probe", "last", "evaluate", *where, "--format", "csv")
    assert said.out.splitlines()[0].startswith("run,probe,arm,level,replicate,draw,density")
    code, said = call("evaluate", "last", *where, "--set", "path=x")
    assert (code, said.err.strip()) == (
        2, "error: --set: say of which data set, with --data NAME",
    )  # fmt: skip


def test_tables_are_as_they_were(result):
    before = table_rows(result.store, result.record)
    result.evaluate(progress=False, jobs=1)
    assert table_rows(Store(result.store.root), again(result).record) == before
