"""The result table: its columns, what it is judged by, and every other table of a run."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from lottery_ticket.arms import ARMS, REINIT
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.store import (
    SCHEMA_VERSION,
    TABLE_COLUMNS,
    RunRecord,
    Store,
    history_rows,
    layer_rows,
    table_rows,
)

__all__ = [
    "ACCURACY",
    "ARM_ORDER",
    "LOSS",
    "Metric",
    "RunTables",
    "as_table",
    "metric_of",
    "plain",
    "run_tables",
    "sort_arms",
]


def plain(value: Any) -> Any:
    """Values as JSON has them: no NumPy, and null for what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is pd.NA or (isinstance(value, float) and math.isnan(value)) else value


@dataclass(frozen=True)
class Metric:
    """A column to judge by, and how to print it.

    Args:
        column: its name in the result table.
        label: its name in words.
        higher_is_better: whether more is better.
        scale: what a stored value is multiplied by when it is printed or drawn.
        unit: the unit of the scaled value; empty when it has none.
    """

    column: str
    label: str
    higher_is_better: bool
    scale: float
    unit: str

    @property
    def short(self) -> str:
        """The label without the split it is of."""
        return self.label.removeprefix("test ")

    @property
    def axis_label(self) -> str:
        """The label with its unit, for an axis or a caption."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


ACCURACY = Metric("test_accuracy", "test accuracy", True, 100.0, "%")
LOSS = Metric("test_loss", "test loss", False, 1.0, "")

_SEARCH = "is_search"  # among a table's attrs: on which data its eval_fn looked, nobody knows


def metric_of(table: pd.DataFrame) -> Metric:
    """The run's own metric where it has one, else test accuracy, else test loss.

    Args:
        table: a result table.

    Returns:
        The metric; the table's values stay as they are (accuracies are fractions).

    >>> metric_of(pd.DataFrame({"test_accuracy": [None, 0.98]})).axis_label
    'test accuracy (%)'
    >>> metric_of(pd.DataFrame({"test_accuracy": [None], "test_loss": [0.1]})).column
    'test_loss'
    """
    own = table.loc[table["metric"].notna()] if "metric" in table else table.iloc[:0]
    if len(own):
        first = own.iloc[0]
        is_higher = bool(first["higher_is_better"])
        return Metric("test_metric", f"test {first['metric']}", is_higher, 1.0, "")
    has_accuracy = "test_accuracy" in table and bool(table["test_accuracy"].notna().any())
    found = ACCURACY if has_accuracy else LOSS
    return replace(found, label=found.short) if table.attrs.get(_SEARCH) else found


ARM_ORDER = tuple(arm for arm in ARMS if not ARMS.entry(arm).is_user)
"""The library's own arms in the order in which they are listed; others follow."""

# int and bool columns are nullable: a training without a validation split has no early-stop step
_DTYPES = {
    name: {str: "string", int: "Int64", float: "float64", bool: "boolean"}[kind]
    for name, kind in TABLE_COLUMNS.items()
}


def _rank(arm: str) -> tuple[int, str]:
    known = list(ARMS)
    return (known.index(arm) if arm in known else len(known), arm)


def sort_arms(arms: Iterable[str]) -> list[str]:
    """The distinct arms as they are listed: as registered, then alphabetically.

    Args:
        arms: names of arms, repeated or not.

    Returns:
        Each name once.

    >>> sort_arms(["mine", "finetune", "random", "ticket", "lr_rewind", "ticket"])
    ['ticket', 'random', 'lr_rewind', 'finetune', 'mine']
    """
    return sorted({str(arm) for arm in arms}, key=_rank)


def as_table(rows: Sequence[Mapping[str, Any]], *, is_search: bool = False) -> pd.DataFrame:
    """Rows as the result table: all columns in order, typed, sorted.

    Args:
        rows: one mapping per training; a column that a row lacks is null, except
            `schema_version`, which is this version's.
        is_search: whether they are of a search, whose `eval_fn` looks at data of its user's choice:
            nothing is called a test then.

    Returns:
        A table sorted by arm (see `sort_arms`), level, replicate and draw.

    Raises:
        UsageError: a row has a key that is no column.

    >>> table = as_table([{"arm": "reinit", "level": 1}, {"arm": "ticket", "level": 2}])
    >>> list(table["arm"]), table.columns[-1]
    (['ticket', 'reinit'], 'schema_version')
    """
    for row in rows:
        for key in row:
            if key not in _DTYPES:
                raise UsageError(f"{key!r} is no column{nearest(key, TABLE_COLUMNS)}")
    full = [{"schema_version": SCHEMA_VERSION, **row} for row in rows]
    frame = pd.DataFrame(full, columns=pd.Index(list(TABLE_COLUMNS))).astype(_DTYPES)
    if is_search:
        frame.attrs[_SEARCH] = True
    rank = {arm: i for i, arm in enumerate(sort_arms(frame["arm"].dropna()))}
    return frame.sort_values(
        ["arm", "level", "replicate", "draw"],
        key=lambda column: column.map(rank) if column.name == "arm" else column,
        kind="stable",
        ignore_index=True,
    )


@dataclass(frozen=True)
class RunTables:
    """The tables of a run; what it has no values for is empty.

    Args:
        table: a row per finished training, see `as_table`.
        layers: density per training and layer.
        history: metrics while training.
        overlap: `structure.overlap_table` of the first arm's masks across replicates.
        inputs: `structure.input_density` of these masks; empty where layers are left dense
            (`prune.ignore`), and of a search, since the first that is pruned need not read the
            data.
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

    _repr_html_ = notebook_html


def run_tables(
    store: Store, run: RunRecord, *, rows: Sequence[Mapping[str, Any]] | None = None
) -> RunTables:
    """Read a run's tables, its masks level by level; all are of the same trainings.

    Args:
        store: where the run is.
        run: the run; trainings that are not finished have no rows.
        rows: what `table_rows` said of it, if it was asked already; what was finished since is
            left out.

    Returns:
        The tables. Those that need the model are empty where it is not registered here, or where
        its dead paths cannot be followed.

    Raises:
        StoreError: something is damaged.
    """
    # here, since it takes a while: it reads tensors
    from lottery_ticket.analysis import structure

    rows = table_rows(store, run) if rows is None else rows
    finished = {row["cell"] for row in rows}
    lead = sort_arms(row.arm for row in run.rows)[0]
    run = replace(run, rows=tuple(row for row in run.rows if row.cell in finished))
    overlap, inputs, effective = [], [], []
    for level in sorted({row.level for row in run.rows if row.arm == lead}):
        masks = structure.read_masks(store, run, arm=lead, levels=[level])
        overlap.append(structure.overlap_table(masks))
        # of a search nobody knows whether its first layer reads the data
        if not (run.searches or run.spec["prune"].get("ignore")):
            inputs.append(structure.input_density(masks))
        effective.append(
            _or_empty(structure.run_effective_density, store, run, arm=lead, levels=[level])
        )
    return RunTables(
        as_table(rows, is_search=bool(run.searches)),
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
