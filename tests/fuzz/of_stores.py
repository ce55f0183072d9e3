"""Readers of specs, of the store, and of trainings in progress."""

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fuzz import bombs
from fuzz.formats import in_json, in_safetensors, in_sqlite, in_yaml, with_seal
from fuzz.reader import Reader
from lottery_ticket.api import load_run
from lottery_ticket.errors import DataError, LotteryError
from lottery_ticket.experiment import Context, TrainCell, inspect_inputs, plan, run_plan
from lottery_ticket.experiment.cells.cell import Label
from lottery_ticket.experiment.cells.journal import Journal
from lottery_ticket.experiment.cells.train import Recipe, Seeds
from lottery_ticket.experiment.objects.initial import Described
from lottery_ticket.spec import (
    canonical,
    fingerprint,
    load_spec,
    preset_names,
    preset_text,
    spec_from_mapping,
)
from lottery_ticket.store import (
    LocalDesk,
    Store,
    correct_rows,
    history_rows,
    layer_rows,
    table_rows,
)
from lottery_ticket.train import TrainState

__all__ = ["READERS"]

TINY = {
    "name": "tiny",
    "data": {"name": "digits"},
    "model": {"name": "LeNet300", "hidden": [6, 4]},
    "train": {"lr": 0.1, "batch_size": 300, "duration": "2ep"},
    "prune": {"rate": 0.4, "levels": 1},
    "arms": ["ticket", "random"],
    "replicates": 1,
}


def write_spec(text: str) -> Any:
    """Writes a spec."""
    return lambda folder: (folder / "spec.yaml").write_text(text, encoding="utf-8")


def read_spec(folder: Path) -> Any:
    """A spec, which is the same when it is read again."""
    spec = load_spec(folder / "spec.yaml")
    values = canonical(spec)
    assert fingerprint(spec_from_mapping(values)) == fingerprint(spec)
    return values


def write_store(folder: Path) -> None:
    """A store with a finished run."""
    spec = spec_from_mapping(TINY)
    store = Store(folder / "store")
    store.open_for_writing()
    with torch.random.fork_rng(devices=[]):
        run_plan(plan(spec, inspect_inputs(spec, None)), store, Context(store), jobs=1)
    read_store(folder)  # makes the index


def make_index(folder: Path) -> None:
    """The index is made for these very folders."""
    (folder / "store" / "index.sqlite").unlink(missing_ok=True)
    Store(folder / "store").cells()


def read_store(folder: Path) -> Any:
    """All that tables, verdicts and reports are made of."""
    store = Store(folder / "store")
    found: list[Any] = [sorted(store.cell_names())]
    for run in store.runs():
        found += [
            run.id,
            run.name,
            run.created,
            dict(run.spec),
            dict(run.layers),
            sorted(run.cells()),
        ]
        found += [table_rows(store, run), layer_rows(store, run), history_rows(store, run)]
        found.append(list(correct_rows(store, run)))
        found += [store.execution(name) for name in sorted(run.cells())]
    cells = store.cells()
    found.append(
        [[cell.name, cell.content, cell.summary, cell.execution] for cell in cells.values()]
    )
    return found


def verify_store(folder: Path) -> Any:
    """What `lottery verify` reads."""
    store = Store(folder / "store")
    checked = [store.check(name) for name in sorted(store.cell_names())]
    return [[None if record is None else record.content for record in checked], read_store(folder)]


def show_store(folder: Path) -> Any:
    """What is printed of each run: verdict, classes and report."""
    store = Store(folder / "store")
    found = []
    for record in store.runs():
        run = load_run(record.id, store=store)
        found += [str(run.verdict()), str(run.by_class()), run.report(format="markdown")]
    return found


def tidy(folder: Path) -> Any:
    """What `lottery gc` leaves; where it refuses, all."""
    before = _cells(folder)
    try:
        Store(folder / "store").collect_garbage()
    except LotteryError:
        assert _cells(folder) == before, "gc refused, and removed cells"
        raise
    return _cells(folder)


def remove_runs(folder: Path) -> Any:
    """`lottery rm` of all runs."""
    store = Store(folder / "store")
    for run in store.runs():
        store.remove_run(run, dry_run=True)
        store.remove_run(run)
    return []


def _cells(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store" / "cells").glob("*/*"))


def reseal(data: bytes) -> bytes:
    """A record with a right checksum, by the format's description alone."""
    values = json.loads(data)
    values.pop("checksum", None)
    body = (json.dumps(values, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()
    seal = hashlib.sha256(body).hexdigest()
    return f'{{\n "checksum": "{seal}",'.encode() + body[1:]


# a training in progress


def _state() -> TrainState:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    return TrainState(model, torch.optim.Adam(model.parameters(), lr=0.1))


def _journal(state: TrainState, folder: Path) -> Journal:
    return Journal(_cell(), state, LocalDesk(folder), 3)


@functools.cache
def _cell() -> TrainCell:
    """A training of nine steps."""
    described = Described("LeNet300", {})
    return TrainCell(
        label=Label("ticket", 0, 0, 0, 1.0),
        recipe=Recipe({}, described, described, load_spec("quickstart").train),
        seeds=Seeds(0, 0, 0),
        last_step=9,
    )


def write_checkpoint(folder: Path) -> None:
    """A checkpoint after two steps."""
    state = _state()
    for _ in range(2):
        state.model(torch.ones(5, 4)).square().sum().backward()
        state.optimizer.step()
    state.step, state.history = 2, [{"step": 2, "train_loss": 0.5}]
    _journal(state, folder).checkpoint()


def read_checkpoint(folder: Path) -> Any:
    """The state that a training continues from.

    Raises:
        DataError: it begins anew.
    """
    state = _state()
    initial = {name: value.clone() for name, value in state.model.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        _journal(state, folder).resume_()
    if state.step == 0:
        assert all(torch.equal(v, initial[n]) for n, v in state.model.state_dict().items())
        assert not state.optimizer.state
        raise DataError("begins anew")
    memory = state.optimizer.state_dict()["state"]
    return [state.step, state.history, state.loss_sum, dict(state.model.state_dict()), memory]


def sealed_checkpoint(data: bytes) -> bytes:
    """With the digest of what follows it."""
    return hashlib.sha256(data[32:]).digest() + data[32:]


def in_payload(data: bytes, dice: Any) -> Any:
    """Something in the tensors, with a right digest."""
    found = in_safetensors(data[32:], dice)
    return type(found)(f"forged: {found.what}", sealed_checkpoint(bytes(32) + found.data), True)


def _of_store(read: Any, *targets: str, is_forged: bool = False, **more: Any) -> Reader:
    forged = (with_seal(in_json, reseal),) * 2 if is_forged else ()
    return Reader(
        {"a run": write_store},
        read,
        tuple(f"store/{target}" for target in targets),
        (in_json, *forged),
        is_sealed=True,
        **more,
    )


ANY = ("runs/*.json", "cells/*/*/*.json", "cells/*/*/*", "format.json", "index.sqlite")
READERS: dict[str, Reader] = {
    "spec": Reader(
        {name: write_spec(preset_text(name)) for name in preset_names()}
        | {"tiny": write_spec(json.dumps(TINY))},
        read_spec,
        ("spec.yaml",),
        (in_yaml, in_yaml, in_yaml),
        bombs.specs(),
    ),
    "cell": _of_store(verify_store, "cells/*/*/record.json", "cells/*/*/*", is_forged=True),
    "execution": _of_store(read_store, "cells/*/*/execution.json"),
    "run": _of_store(read_store, "runs/*.json", is_forged=True),
    "format": _of_store(read_store, "format.json"),
    "index": Reader(
        {"a run": write_store},
        read_store,
        ("store/index.sqlite",),
        (in_sqlite, in_sqlite, in_sqlite),
        is_sealed=True,
        prepare=make_index,
    ),
    "shown": _of_store(show_store, *ANY, is_forged=True),
    "gc": _of_store(tidy, *ANY, is_forged=True),
    "rm": _of_store(remove_runs, *ANY, is_forged=True),
    "checkpoint": Reader(
        {"adam": write_checkpoint},
        read_checkpoint,
        ("checkpoint",),
        (in_payload, in_payload),
        is_sealed=True,
    ),
}
