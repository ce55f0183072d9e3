"""Every table of a run: what its figures and its report are made from."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pandas as pd

from lottery_ticket.analysis._table import as_table, sort_arms
from lottery_ticket.arms import REINIT
from lottery_ticket.errors import UsageError
from lottery_ticket.store import RunRecord, Store, history_rows, layer_rows, table_rows

__all__ = ["RunTables", "run_tables"]


@dataclass(frozen=True)
class RunTables:
    """The tables of a run; what it has no values for is empty.

    Args:
        table: a row per finished training, see `as_table`.
        layers: density per training and layer.
        history: metrics while training.
        overlap: `structure.overlap_table` of the first arm's masks across replicates.
        inputs: `structure.input_density` of these masks; empty where layers are left dense
            (`prune.ignore`), since the first that is pruned need not read the data.
        effective: `structure.effective_density` of them.
        kept_weights: `structure.kept_weights` of the first arm and of reinit.
    """

    table: pd.DataFrame
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    history: pd.DataFrame = field(default_factory=pd.DataFrame)
    overlap: pd.DataFrame = field(default_factory=pd.DataFrame)
    inputs: pd.DataFrame = field(default_factory=pd.DataFrame)
    effective: pd.DataFrame = field(default_factory=pd.DataFrame)
    kept_weights: pd.DataFrame = field(default_factory=pd.DataFrame)


def run_tables(store: Store, run: RunRecord) -> RunTables:
    """Read a run's tables, its masks level by level.

    Args:
        store: where the run is.
        run: the run; trainings that are not finished have no rows.

    Returns:
        The tables. Those that need the model are empty where it is not registered here, or where
        its dead paths cannot be followed.

    Raises:
        StoreError: something is damaged.
    """
    # here, since it takes a while: it reads tensors
    from lottery_ticket.analysis import structure

    table = as_table(table_rows(store, run))
    arms = sort_arms(row.arm for row in run.rows)
    lead = arms[0]
    overlap, inputs, effective = [], [], []
    for level in sorted({row.level for row in run.rows}):
        masks = structure.read_masks(store, run, arm=lead, levels=[level])
        overlap.append(structure.overlap_table(masks))
        if not run.spec["prune"].get("ignore"):
            inputs.append(structure.input_density(masks))
        effective.append(
            _or_empty(structure.run_effective_density, store, run, arm=lead, levels=[level])
        )
    return RunTables(
        table,
        pd.DataFrame(layer_rows(store, run)),
        pd.DataFrame(history_rows(store, run)),
        _joined(overlap),
        _joined(inputs),
        _joined(effective),
        _or_empty(structure.run_kept_weights, store, run, arms={lead, REINIT}),
    )


def _or_empty(read: Callable[..., pd.DataFrame], *args: object, **options: object) -> pd.DataFrame:
    """What cannot be had is left out: not every model is registered where its results are read."""
    try:
        return read(*args, **options)
    except UsageError:
        return pd.DataFrame()


def _joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    found = [frame for frame in frames if not frame.empty]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
