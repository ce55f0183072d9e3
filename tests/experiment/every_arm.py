"""A tiny experiment with every arm, and what it was made from, read from its store."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from tiny_runs import TINY, planned, run_in

from lottery_ticket.arms import ARMS
from lottery_ticket.experiment import KINDS, Cell, Plan
from lottery_ticket.masks import PruningMask
from lottery_ticket.spec import Spec, spec_from_mapping
from lottery_ticket.store import CellRecord, RunRow, Store

K, WHOLE, DROP = 5, 38, 30  # the rewind step; a training of two epochs; where its lr falls
TRAIN = {
    **{"lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "2ep", "schedule": "step"},
    **{"milestones": [f"{DROP}it"], "eval_every": "8it"},
}
ELSEWHERE = TRAIN | {"lr": 0.05}  # the recipe that the transferred tickets are found by
AT_INIT = ("magnitude_init", "snip", "grasp", "synflow", "iterative_snip", "force")
EVOLVING = (
    "gradual",
    "static",
    "set",
    "rigl",
    "rigl_mask",
    "supermask",
    "edge_popup",
    "early_bird",
    "early_bird_mask",
)
NEVER_REWOUND = ("dense_small", "lr_rewind", "finetune", *EVOLVING, *AT_INIT)

State = dict[str, torch.Tensor]


def spec_of(arms: Sequence[str] = tuple(ARMS), **changes: Any) -> Spec:
    """The experiment with some arms, rewound to step K unless that has no effect on them."""
    values = {**TINY, "train": TRAIN, "arms": list(arms), "prune": {"rate": 0.4, "levels": 2}}
    if set(arms) - {*NEVER_REWOUND}:
        values["rewind"] = f"{K}it"
    if any(ARMS[arm].mask == "source" for arm in arms):
        values["source"] = {"train": ELSEWHERE}
    return spec_from_mapping(values | changes)


@dataclass(frozen=True)
class Made:
    """A finished run."""

    store: Store
    plan: Plan

    @property
    def spec(self) -> Spec:
        return self.plan.spec

    def row(self, arm: str, level: int, replicate: int = 0) -> RunRow:
        place = (arm, level, replicate)
        return next(r for r in self.plan.rows if (r.arm, r.level, r.replicate) == place)

    def cell(self, arm: str, level: int) -> Cell:
        return self.plan.cells[self.row(arm, level).cell]

    def record(self, name: str) -> CellRecord:
        record = self.store.get(name)
        assert record is not None
        return record

    def tensors(self, name: str, file: str = "weights.safetensors") -> State:
        return load(self.store.read(self.record(name), file))

    def trained(self, arm: str, level: int) -> State:
        return self.tensors(self.row(arm, level).cell)

    def mask(self, arm: str, level: int) -> PruningMask:
        name = self.row(arm, level).mask
        assert name is not None
        data = self.store.read(self.record(name), "mask.safetensors")
        return PruningMask.from_bytes(data)

    def partner(self) -> "Made":
        """The tickets of the second replicate, from which the first one borrows."""
        made = self

        class Second(Made):
            def row(self, arm: str, level: int, replicate: int = 1) -> RunRow:
                return super().row(arm, level, replicate)

        return Second(made.store, planned(spec_of(["ticket"], replicates=2)))

    def seeds(self, arm: str, level: int) -> dict[str, int]:
        return self.cell(arm, level).inputs()["seeds"]


def made_in(folder: Path, spec: Spec, **options: Any) -> Made:
    """Run a spec with plain steps in one thread."""
    store, outcome = run_in(folder, spec, threads=1, kernels="autograd", **options)
    assert outcome.is_complete, outcome.failures
    return Made(store, planned(spec))


Wrong = Callable[[pytest.MonkeyPatch], None]  # puts a wrong part into the engine


def wrong_maker(kind: str, wrong: Callable[..., Any]) -> Wrong:
    """Cells of a kind are made by `wrong`, which gets the maker there was, and what that gets."""

    def put(patch: pytest.MonkeyPatch) -> None:
        honest = KINDS[kind]
        patch.setitem(KINDS, kind, replace(honest, make=partial(wrong, honest.make)))

    return put


def digest(state: State) -> str:
    return hashlib.sha256(save(state)).hexdigest()
