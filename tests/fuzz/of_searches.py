"""Readers of a search's folder, and of what a training shows."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fuzz.formats import (
    in_json,
    in_safetensors,
    with_other_tensors,
)
from fuzz.of_tickets import masks_of
from fuzz.reader import Reader
from lottery_ticket.experiment import read_progress
from lottery_ticket.finder import LotteryTicketFinder
from lottery_ticket.masks import PruningMask
from lottery_ticket.store import LocalDesk

__all__ = ["READERS"]


def write_search(folder: Path, pipeline: str = "lth") -> None:
    """A search of two levels."""
    x, y = torch.eye(6), torch.arange(6) % 3

    def train(model: nn.Module, mask: PruningMask, start_step: int = 0) -> None:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    finder = LotteryTicketFinder(
        model_fn=lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), seed=1
    )
    options = {"rewind_step": 1} if pipeline == "rewind" else {}
    finder.find_winning_ticket(
        train_fn=train,
        eval_fn=lambda model: 0.5,
        target_sparsity=0.5,
        pruning_rounds=1,
        verbose=False,
        resume=folder / "search",
        pipeline=pipeline,
        **options,
    )


def write_old_search(folder: Path) -> None:
    """As it was before it had checksums."""
    write_search(folder)
    path = folder / "search" / "search.json"
    record = json.loads(path.read_text())
    del record["checksum"], record["files"]
    path.write_text(json.dumps({**record, "format": "lottery_ticket.finder/2"}))


def read_search(folder: Path) -> Any:
    """All that a saved search says."""
    finder = LotteryTicketFinder(model_fn=lambda: nn.Linear(1, 1))
    results = finder.load_experiment(folder / "search")
    search = results.search
    point = search.rewind_point
    return [
        search.settings,
        search.initial,
        [vars(row) for row in search.rows],
        [masks_of(mask) for mask in search.masks],
        search.trained,
        search.dense,
        search.best,
        search.best_level,
        search.optimizer_state,
        search.dense_optimizer_state,
        None if point is None else [point.step, dict(point.weights), dict(point.optimizer_state)],
        str(results),
        results.table.to_dict(),
        results.layers.to_dict(),
    ]


def write_progress(folder: Path) -> None:
    """How far a training is."""
    values = {"step": 3, "num_steps": 10, "epoch": 0.5, "loss": 1.25, "accuracy": None}
    (folder / "progress.json").write_text(json.dumps(values))


def read_shown(folder: Path) -> Any:
    """Progress as it is shown."""
    found = read_progress(LocalDesk(folder))
    if found is None:
        return None
    return [found.step, found.num_steps, found.epoch, found.loss, found.accuracy]


def is_progress(value: Any) -> bool:
    """None, or numbers."""
    return value is None or all(type(n) in (int, float) or n is None for n in value)


READERS: dict[str, Reader] = {
    "search": Reader(
        {"lth": write_search, "rewind": lambda folder: write_search(folder, "rewind")},
        read_search,
        ("search/search.json", "search/*"),
        (in_json, in_json, in_safetensors, with_other_tensors),
        is_sealed=True,
    ),
    "search.old": Reader(
        {"unsealed": write_old_search},
        read_search,
        ("search/search.json", "search/*"),
        (in_json, in_json, in_safetensors, with_other_tensors),
    ),
    "progress": Reader(
        {"training": write_progress},
        read_shown,
        ("progress.json",),
        (in_json, in_json),
        is_right=is_progress,
    ),
}
