"""What the store knows of a run: its spec, and which cell is which row of its table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lottery_ticket.errors import StoreError
from lottery_ticket.store._files import sealed_json, unsealed_json

__all__ = ["RunRecord", "RunRow"]


@dataclass(frozen=True)
class RunRow:
    """One row of a run's table, known before anything runs.

    Args:
        arm, level, replicate, draw: its place.
        num_kept: weights kept.
        cell: the training that fills the row.
        mask: the cell of its mask; None where dense.
    """

    arm: str
    level: int
    replicate: int
    draw: int
    num_kept: int
    cell: str
    mask: str | None


@dataclass(frozen=True)
class RunRecord:
    """A run: a spec and its rows.

    Args:
        id: name and eight hex digits of the fingerprint of the plan.
        created: seconds since the epoch when the run was first started.
        spec: canonical values.
        num_prunable: prunable weights of the model.
        layers: prunable parameter → its shape, in model order.
        rows: the rows of its table.
        others: cells that fill no row but that the rows' cells are made from, such as the ticket's
            trainings where only its controls are shown.
        model: the model with its form, as titles call it.
        margin: how much worse than dense still matches it, where the spec says so: points of
            accuracy, or per cent of the dense loss.
    """

    id: str
    created: float
    spec: Mapping[str, Any]
    num_prunable: int
    layers: Mapping[str, list[int]]
    rows: tuple[RunRow, ...]
    others: tuple[str, ...] = ()
    model: str = ""
    margin: float | None = None

    @property
    def title(self) -> str:
        """What tables and figures of the run are headed with."""
        return f"{self.id}, {self.model}" if self.model else self.id

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.spec["name"]

    def cells(self) -> set[str]:
        """The names of all cells of the run."""
        shown = {row.cell for row in self.rows} | {row.mask for row in self.rows if row.mask}
        return shown | set(self.others)

    def to_bytes(self) -> bytes:
        """The bytes of the run's file."""
        values = asdict(self)
        values["rows"] = [list(asdict(row).values()) for row in self.rows]
        for name in ("others", "model", "margin"):
            if not values[name]:
                del values[name]
        values["layers"] = list(self.layers.items())  # JSON objects are sorted, layers are not
        return sealed_json(values)

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "RunRecord":
        """Read a run's file; raises `StoreError` that names it if it is damaged."""
        try:
            values = unsealed_json(data)
            values["rows"] = tuple(RunRow(*row) for row in values["rows"])
            values["layers"] = dict(values["layers"])
            values["others"] = tuple(values.get("others", ()))
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(
                f"{where}: damaged run record ({error}); run its spec again to write it anew "
                "(finished cells are kept)"
            ) from None
