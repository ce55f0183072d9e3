"""People's own functions in runs and searches."""

import dataclasses
import tempfile
import time

import pytest
import torch
from line_tracker import LineTracker, by_run, lines
from test_tracked_runs import SMALL, later, tiny
from torch import nn

from lottery_ticket import LotteryTicketFinder, UsageError, load_run
from lottery_ticket.store import Store, history_rows


def test_they_are_told_all_level_by_level(tmp_path):
    levels, records = [], []
    result = tiny(tmp_path / "store", on_level=levels.append, on_record=records.append)
    assert sorted((r.arm, r.replicate, r.level) for r in levels) == sorted(
        (row["arm"], row["replicate"], row["level"]) for row in result.rows
    )
    for arm in ("ticket", "reinit"):
        own = [r.level for r in levels if (r.arm, r.replicate) == (arm, 1)]
        assert own == sorted(own)
    measured = history_rows(result.store, result.record)
    assert len(records) == len(measured)
    assert {(r.arm, r.level, r.replicate, r.step) for r in records} == {
        (row["arm"], row["level"], row["replicate"], row["step"]) for row in measured
    }
    row = next(r for r in result.rows if (r["arm"], r["level"], r["replicate"]) == ("reinit", 2, 0))
    last = next(r for r in levels if (r.arm, r.level, r.replicate) == ("reinit", 2, 0))
    assert last.metrics["test_accuracy"] == row["test_accuracy"]
    assert (last.density, last.sparsity, last.num_kept) == (
        row["density"], row["sparsity"], row["num_kept"],
    )  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.level = 0


def test_what_one_raises_is_said_once(tmp_path, capsys):
    def fails(record):
        raise ZeroDivisionError("by nothing")

    levels = []
    result = tiny(tmp_path / "store", overrides=SMALL, on_level=levels.append, on_record=fails)
    said = capsys.readouterr().err
    assert said.count("on_record: raised ZeroDivisionError: by nothing (test_hooks.py, line ") == 1
    assert "level 0, replicate 0" in said
    assert len(levels) == len(result.rows)


@pytest.mark.parametrize("name", ["on_level", "on_record"])
def test_what_is_no_function_is_said_before_anything_runs(name, tmp_path):
    with pytest.raises(UsageError, match=f"{name}: got 3, wanted a function"):
        tiny(tmp_path / "store", **{name: 3})
    assert not (tmp_path / "store").exists()


# searches

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
Y = (X.sum(1) > 0).long()


def train_fn(model, mask):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X), Y).backward()
        optimizer.step()


def eval_fn(model):
    return (model(X).argmax(1) == Y).float().mean().item()


def net():
    return nn.Sequential(nn.Linear(8, 2))


HOW = {"train_fn": train_fn, "eval_fn": eval_fn, "target_sparsity": 0.5, "pruning_rounds": 2}


def searched(told, resume=None, **more):
    """A search and its controls, told to a tracker."""
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(**HOW, verbose=False, resume=resume, track=told, **more)
    finder.verify(train_fn, eval_fn, replicates=2, verbose=False, track=told)
    return finder


def test_a_search_is_tracked_and_told(tmp_path):
    told, levels = LineTracker(str(tmp_path / "lines.jsonl")), []
    finder = searched(told, on_level=levels.append)
    assert [r.level for r in levels] == [0, 1, 2]
    assert [r.num_kept for r in levels] == [r.num_kept for r in finder.results.rows[:3]]
    assert levels[2].metrics["test_accuracy"] == finder.results.ticket
    found = by_run(lines(told.path))
    (run,) = [name for name in found if found[name][0]["name"] == name]
    assert set(found) == {
        run,
        *(f"{run}-{part}" for part in ("ticket-0", "reinit-0", "reinit-0-1")),
    }
    files = [line["name"] for line in found[run] if line["method"] == "artifact"]
    assert files == ["results.txt", "ticket.safetensors"] * 2
    accuracies = [
        line["value"]
        for line in found[f"{run}-ticket-0"]
        if line.get("name") == "level/test_accuracy"
    ]
    assert accuracies == [row.metric for row in finder.results.rows[:3]]


class StartsSlowly(LineTracker):
    """As one that opens a connection does: the search ends before it has."""

    def start(self, run):
        time.sleep(0.5)
        return super().start(run)


def test_what_is_over_before_the_tracker_has_started_is_sent_whole(tmp_path):
    told = StartsSlowly(str(tmp_path / "lines.jsonl"))
    finder = LotteryTicketFinder(model_fn=net)
    finder.find_winning_ticket(**HOW, verbose=False, track=told)
    files = [line["name"] for line in lines(told.path) if line["method"] == "artifact"]
    assert files == ["results.txt", "ticket.safetensors"]


def test_where_nothing_can_be_written_a_search_goes_on(tmp_path, capsys, monkeypatch):
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    finder = searched(told)
    assert finder.results.control("reinit")
    assert "track: no files are sent: FileNotFoundError" in capsys.readouterr().err
    assert lines(told.path)[-1]["method"] == "finish"


def test_another_search_is_another_run(tmp_path):
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    for _ in range(2):
        searched(told)
    assert len(by_run(lines(told.path))) == 2 * 4


@pytest.mark.parametrize("is_stored", [True, False])
def test_one_that_goes_on_is_the_same_run(is_stored, tmp_path):
    told = LineTracker(str(tmp_path / "lines.jsonl"))
    resume = Store(tmp_path / "store") if is_stored else tmp_path / "folder"
    for _ in range(2):
        searched(told, resume)
    found = by_run(lines(told.path))
    values = [
        (name, line["name"], line["step"])
        for name, calls in found.items()
        for line in calls
        if line["method"] == "log"
    ]
    assert len(values) == len(set(values))


def test_of_one_in_a_store_later_is_the_same(tmp_path):
    told, after = (LineTracker(str(tmp_path / name)) for name in ("live.jsonl", "later.jsonl"))
    searched(told, Store(tmp_path / "store"))
    result = load_run(store=tmp_path / "store")
    assert later(result, after) == []
    live, found = by_run(lines(told.path)), by_run(lines(after.path))
    assert set(live) == set(found)
    for name in set(found) - {result.id}:
        assert live[name][1:] == found[name][1:]  # a start says which controls there are by then
        assert live[name][0]["method"] == found[name][0]["method"] == "start"


def test_what_a_hook_of_a_search_raises_is_said_once(tmp_path, capsys):
    def fails(record):
        raise KeyError("nothing")

    finder = LotteryTicketFinder(model_fn=net)
    _, mask, _ = finder.find_winning_ticket(**HOW, verbose=False, on_level=fails)
    assert mask.num_kept == 8
    assert capsys.readouterr().err.count("on_level: raised KeyError") == 1
    with pytest.raises(UsageError, match="on_level: got 'x'"):
        finder.find_winning_ticket(**HOW, verbose=False, on_level="x")
