"""What the page is told is what the store holds."""

import json
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from watched import finished_run, wait_until, write_spec

from lottery_ticket import LotteryTicketFinder
from lottery_ticket.analysis import ACCURACY, LOSS
from lottery_ticket.api import load_run, prepare
from lottery_ticket.charts import progress_chart
from lottery_ticket.spec import load_spec
from lottery_ticket.store import RunEdit, Store
from lottery_ticket.watch._live import LiveRun, LiveRuns
from lottery_ticket.watch._pace import Pace
from lottery_ticket.watch._parts import Part, answer


def value(parts, name):
    """Of a part, as a browser reads it."""
    return json.loads(answer(parts, {}))[name]["value"]


def check_tells_the_table(grid, cells, table) -> None:
    """The law: a row of the grid is finished, with its accuracy, exactly where the result table
    has one."""
    wanted = {
        (row["arm"], row["level"], row["replicate"], row["draw"]): 100 * row["test_accuracy"]
        for row in table
    }
    found = {}
    for (arm, level, replicate, draw), state in zip(grid["rows"], cells["states"], strict=True):
        place = grid["arms"][arm], grid["levels"][level]["level"], replicate, draw
        if state is not None and "v" in state:
            found[place] = state["v"]
    assert found == pytest.approx(wanted)


def half_made(store: str, folder: Path):
    """A run of which one replicate is finished."""
    spec = load_spec(write_spec(folder))
    first = spec.model_copy(update={"replicates": 1})
    how = {"store": store, "jobs": 1, "threads": 1}
    prepare(first, **how).run(progress=False)
    prepared = prepare(spec, **how)
    prepared.submit()
    return prepared.plan.id


@pytest.fixture(params=["folder", "bucket"])
def location(request, tmp_path):
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3")


def test_the_page_tells_the_store(location, tmp_path):
    run_id = half_made(location, tmp_path)
    parts = LiveRun(location, run_id).parts()
    grid, cells, now = (value(parts, name) for name in ("grid", "cells", "now"))
    rows = load_run(run_id, store=location).rows
    assert 0 < len(rows) < len(grid["rows"])
    check_tells_the_table(grid, cells, rows)
    assert now["num_finished"] + now["num_waiting"] == now["num_cells"]
    assert now["is_submitted"]
    assert not now["is_complete"]
    for wrong in (
        {**cells, "states": [None, *cells["states"][1:]]},
        {**cells, "states": cells["states"][::-1]},
        {**cells, "states": [s and {"v": s["v"] + 1} for s in cells["states"]]},
    ):
        with pytest.raises(AssertionError):
            check_tells_the_table(grid, wrong, rows)


def searched(store, make, *, seed=0):
    """A search in a store, of a line between two classes."""
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()

    def train(model, mask=None):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            if mask is not None:
                mask.apply(model)

    def accuracy(model):
        with torch.no_grad():
            return float((model(x).argmax(1) == y).float().mean())

    finder = LotteryTicketFinder(model_fn=make, seed=seed)
    finder.find_winning_ticket(
        train_fn=train, eval_fn=accuracy, pruning_rounds=2, target_sparsity=0.5,
        resume=Store(str(store)), verbose=False,
    )  # fmt: skip
    return lambda: finder.verify(train, accuracy, arms=["reinit"], replicates=2, verbose=False)


def test_a_search_that_grows_is_told_as_it_is(tmp_path):
    def make():
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))

    store = str(tmp_path / "store")
    verify = searched(store, make)
    run_id = Store(store).run_ids()[0]
    live = LiveRun(store, run_id, look_seconds=0, whole_seconds=0)
    runs = LiveRuns(store, look_seconds=0, whole_seconds=0)

    def listed():
        return runs.parts()["runs"].value["runs"][0]["num_cells"]

    def seen():
        return live.parts()["now"].value["num_cells"]

    for grow in (verify, lambda: searched(store, make, seed=1)):
        before, num_cells = seen(), listed()
        grow()
        wait_until(lambda before=before: seen() > before)
        wait_until(lambda num_cells=num_cells: listed() > num_cells)
        parts, rows = live.parts(), load_run(run_id, store=store).rows
        check_tells_the_table(value(parts, "grid"), value(parts, "cells"), rows)
    assert value(parts, "grid")["arms"] == ["ticket", "reinit"]
    wait_until(lambda: "figures" in live.parts())


def test_runs_of_a_grid_are_told_apart(tmp_path):
    store = str(tmp_path / "store")
    spec = load_spec(write_spec(tmp_path))
    ids = {}
    for lr in (0.1, 0.2):
        changed = spec.model_copy(update={"train": spec.train.model_copy(update={"lr": lr})})
        prepared = prepare(changed, store=store, jobs=1, threads=1)
        prepared.submit()
        ids[prepared.plan.id] = f"lr={lr}"
    runs = LiveRuns(store, look_seconds=0, whole_seconds=0)
    told = {run["id"]: run for run in runs.parts()["runs"].value["runs"]}
    assert {run_id: run["differs"] for run_id, run in told.items()} == ids
    run_id = min(ids)
    live = LiveRun(store, run_id, look_seconds=0, whole_seconds=0)
    assert live.parts()["now"].value["name"] == ""
    edit = RunEdit(name="the fast one", add_tags=["paper"], notes="of the first day")
    Store(store).edit_run(run_id, edit)

    def called(told):
        return told["name"], told["tags"], told["notes"]

    wanted = ("the fast one", ["paper"], "of the first day")
    wait_until(lambda: called(live.parts()["now"].value) == wanted)
    wait_until(
        lambda: wanted in map(called, runs.parts()["runs"].value["runs"]),
    )


def test_it_writes_nothing(tmp_path):
    store = tmp_path / "store"
    run_id = finished_run(write_spec(tmp_path), store)
    load_run(run_id, store=store)  # the index is a cache that any reader brings up to date

    def files():
        return {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}

    before = files()
    live = LiveRun(str(store), run_id)
    live.parts()
    wait_until(lambda: "figures" in live.parts())
    assert LiveRuns(str(store)).parts()["runs"].value["runs"][0]["num_finished"] == 22
    assert files() == before


def test_figures_are_those_of_the_report(tmp_path):
    store = tmp_path / "store"
    run_id = finished_run(write_spec(tmp_path), store)
    live = LiveRun(str(store), run_id)
    wait_until(lambda: "figures" in live.parts())
    result = load_run(run_id, store=store)
    told = {chart["name"]: chart for chart in live.parts()["figures"].value["charts"]}
    from lottery_ticket.charts import run_charts

    charts = run_charts(result.tables, result.verdict())
    for name in ("accuracy", "difference", "learning_curves"):
        for chart in charts[name]:
            assert told[chart.name]["series"] == chart.to_dict()["series"]
    assert live.parts()["verdict"].value["sentence"] == result.verdict().sentence


def test_many_at_once_are_one_look(tmp_path):
    store = tmp_path / "store"
    run_id = finished_run(write_spec(tmp_path), store)
    live, answers = LiveRun(str(store), run_id), []
    threads = [
        threading.Thread(target=lambda: answers.append(live.parts()["now"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(one is answers[0] for one in answers)


def test_a_look_that_takes_long_is_seldom():
    pace = Pace(0.0)
    assert pace.is_due
    begun = time.monotonic()
    with pace.looking():
        while time.monotonic() - begun < 0.05:
            pass
    took = time.monotonic() - begun
    assert not pace.is_due
    wait_until(lambda: pace.is_due)
    assert time.monotonic() - begun >= 0.05 / 0.1
    assert took >= 0.05


def test_a_number_that_is_none_is_null():
    part = Part({"values": [1.0, float("nan"), float("inf")], "text": "</script>"})
    assert json.loads(part.text) == {"values": [1.0, None, None], "text": "</script>"}
    assert part.version == Part(dict(part.value)).version != Part({}).version


def test_curves_in_progress():
    histories = {
        "ticket level 1": [{"step": 5, "test_accuracy": 0.5}, {"step": 10, "test_accuracy": 0.75}],
        "reinit level 1": [{"step": 10, "test_accuracy": 0.25}],
        "begun": [],
    }
    chart = progress_chart(histories, ACCURACY)
    assert chart is not None
    assert [stop.x for stop in chart.stops] == [5, 10]
    assert {line.name: line.y for line in chart.series} == {
        "ticket level 1": [50.0, 75.0],
        "reinit level 1": [None, 25.0],
    }
    assert progress_chart(histories, LOSS) is None
    many = {"one": [{"step": step, "test_loss": 1.0} for step in range(1000)]}
    chart = progress_chart(many, LOSS)
    assert chart is not None
    assert len(chart.stops) <= 121
    assert chart.stops[-1].x == 999


def test_a_store_without_runs_says_so_and_one_that_is_gone_too(tmp_path):
    store = tmp_path / "store"
    run_id = finished_run(write_spec(tmp_path), store)
    live, runs = LiveRun(str(store), run_id), LiveRuns(str(store))
    store.rename(tmp_path / "aside")
    assert "not there any more" in live.parts()["problem"].value
    assert "not there any more" in runs.parts()["problem"].value
    assert not Store(str(store)).exists()
