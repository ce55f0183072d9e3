"""A value of each kind that a notebook shows, real ones, and such as nobody wishes for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from small_runs import HOSTILE, result_table, small_classes, small_tables
from torch import nn
from torch.nn.functional import cross_entropy

import lottery_ticket
from lottery_ticket.analysis import between, verdict
from lottery_ticket.api import RunResult, prepare
from lottery_ticket.data import load_dataset
from lottery_ticket.export import compact, measure, sparse
from lottery_ticket.masks import PruningMask, RewindPoint
from lottery_ticket.tickets import ModelOrigin, Ticket, WeightsOrigin

SMALL = ["replicates=2", "prune.levels=2", "train.duration=2ep"]


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10))


def of_a_run(store: Path, out: Path) -> dict[str, Any]:
    """What one meets around a run."""
    result = lottery_ticket.run("quickstart", overrides=SMALL, store=store, jobs=1, progress=False)
    prepared = prepare("quickstart", overrides=SMALL, store=store)
    swept = lottery_ticket.sweep(
        "quickstart",
        {"train.lr": [0.05, 0.1]},
        overrides=SMALL,
        store=store,
        jobs=1,
        progress=False,
    )
    pruned = result.pruned_model(2)
    measured = measure(pruned, forms=["packed"], seconds=0.02, compiled=False, memory=False)
    exported = result.export(2, format=["state_dict", "packed"], out=out)
    return {
        "RunResult": result,
        "RunRecord": result.record,
        "RunOutcome": result.outcome,
        "RunTables": result.tables,
        "Verdict": result.verdict(),
        "Sweep": swept,
        "Between": result.between("ticket", "reinit"),
        "ClassDifferences": result.by_class(2),
        "Prepared": prepared,
        "Plan": prepared.plan,
        "Forecasts": prepared.forecast([1, 8]),
        "Forecast": prepared.forecast([1])[0],
        "Spec": prepared.plan.spec,
        "TrainSpec": prepared.plan.spec.train,
        "PrunedModel": pruned,
        "Exported": exported,
        "ExportedFile": exported.files[0],
        "Measured": measured,
        "Compacted": compact(pruned.model, pruned.inputs[:2]),
        "Sparse": sparse(pruned.model, pruned.inputs[:2]),
        "PruningMask": pruned.mask,
    }


def of_a_search() -> dict[str, Any]:
    """What one meets around a search of one's own."""
    data = load_dataset("digits")

    def train_fn(model: nn.Module, mask: PruningMask) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for rows in torch.randperm(len(data.train)).split(64):
            optimizer.zero_grad()
            cross_entropy(model(data.train.x[rows]), data.train.y[rows]).backward()
            optimizer.step()

    def eval_fn(model: nn.Module) -> float:
        return (model(data.validation.x).argmax(1) == data.validation.y).float().mean().item()

    fresh = lottery_ticket.LotteryTicketFinder(model_fn=net)
    finder = lottery_ticket.LotteryTicketFinder(model_fn=net)
    ways = {"train_fn": train_fn, "eval_fn": eval_fn}
    finder.find_winning_ticket(**ways, pruning_rounds=2, verbose=False)
    results = finder.verify(**ways, arms=["reinit"], verbose=False)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attached = results.mask.attach(model, optimizer)
    return {
        "LotteryTicketFinder before": fresh,
        "LotteryTicketFinder": finder,
        "TicketResults": results,
        "Attachment": attached,
        "RewindPoint": RewindPoint(1, model.state_dict(), {}),
        "Ticket": finder.ticket(),
        "WeightsOrigin": WeightsOrigin(model.state_dict()),
        "ModelOrigin": ModelOrigin.of("LeNet300", seed=3),
        "DataSet": data,
        "Split": data.train,
    }


def odd_values(result: RunResult) -> dict[str, Any]:
    """Names that are attacks, hundreds of layers, one replicate, nothing at all."""
    table = small_tables(("ticket", "reinit", HOSTILE)).table.assign(run=HOSTILE)
    masks = {f"{HOSTILE}.{i}": torch.zeros(2, 2, dtype=torch.bool) for i in range(500)}
    many = PruningMask.from_tensors(masks, dict.fromkeys(masks, HOSTILE))
    nothing_yet = replace(result.record, rows=())
    long = result_table(replicates=3, levels=61)
    return {
        "a mask of 500 layers": many,
        "a mask of nothing": PruningMask.from_tensors({}),
        "a ticket with odd names": Ticket(
            PruningMask.from_tensors({"w": torch.ones(2, 2, dtype=torch.bool)}),
            WeightsOrigin({"w": torch.ones(2, 2)}, model=HOSTILE),
            {HOSTILE: HOSTILE, "long": "x" * 100_000, "many": list(range(10_000))},
        ),
        "odd names in a verdict": verdict(table),
        "60 levels": verdict(long),
        "one replicate": verdict(result_table(replicates=1)),
        "one replicate between": between(result_table(replicates=1), "ticket", "reinit"),
        "a regression": verdict(result_table(regression=True)),
        "odd classes": small_classes((HOSTILE, "bee")),
        "a run without rows": RunResult(result.store, nothing_yet),
        "a run half finished": RunResult(result.store, _half(result)),
        "a run of dense nets": RunResult(result.store, _dense(result)),
        "tables of nothing": replace(result.tables, table=pd.DataFrame()),
    }


def _half(result: RunResult) -> Any:
    """A record whose last cells are not in the store."""
    *first, last = result.record.rows
    return replace(result.record, rows=(*first, replace(last, cell="0" * 64)))


def _dense(result: RunResult) -> Any:
    rows = tuple(row for row in result.record.rows if row.level == 0)
    return replace(result.record, rows=rows)
