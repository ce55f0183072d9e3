"""What the store knows of a run: its spec, and which cell is which row of its table."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from lottery_ticket.arms import TICKET
from lottery_ticket.errors import DamagedError, UsageError
from lottery_ticket.notebook_html import notebook_html
from lottery_ticket.steps import Duration
from lottery_ticket.store._files import sealed_json, unsealed_json
from lottery_ticket.store._values import (
    CELL_NAME,
    COUNT,
    MAPPING,
    NUMBER,
    RUN_ID,
    TEXT,
    Kind,
    check,
    check_each,
    check_known,
    optional,
)

__all__ = ["ProbeRow", "RunClaim", "RunRecord", "RunRow"]


_LAST_TIME = 253_402_300_800  # the year 10000, which no calendar here has
_MAX_LEVEL = 10**6
_MAX_TITLE = 300  # longer ones are cut where they are shown

_ROW = {
    "arm": TEXT,
    "level": Kind(f"0 to {_MAX_LEVEL:,}", lambda value: COUNT.fits(value) and value <= _MAX_LEVEL),
    **dict.fromkeys(("replicate", "draw", "num_kept"), COUNT),
    "cell": CELL_NAME,
    "mask": optional(CELL_NAME),
}
_RUN = {
    "id": RUN_ID,
    "created": Kind("a time", lambda value: NUMBER.fits(value) and 0 <= value < _LAST_TIME),
    "num_prunable": Kind("a count above 0", lambda value: COUNT.fits(value) and value > 0),
    "model": TEXT,
    "margin": optional(Kind("0 or more", lambda value: NUMBER.fits(value) and value >= 0)),
}
_CLAIM = {
    "level": Kind(f"1 to {_MAX_LEVEL:,}", lambda value: _ROW["level"].fits(value) and value > 0),
    "num_trained": COUNT,
    "margin": _RUN["margin"],
}
_SEARCH = Kind(
    "32 hex digits", lambda value: isinstance(value, str) and bool(_HEX.fullmatch(value))
)
_HEX = re.compile("[0-9a-f]{32}")
_PROBE = {"cell": CELL_NAME, "probe": TEXT, "training": CELL_NAME}
_LIST = Kind("a list", lambda value: isinstance(value, list))
_SHAPE = Kind(
    "a shape",
    lambda value: (
        isinstance(value, list)
        and 0 < len(value) <= _MAX_DIMENSIONS
        and all(COUNT.fits(side) and side for side in value)
    ),
)
_MAX_DIMENSIONS = 64  # as torch has it
_NAMED = Kind(
    "a mapping with a name",
    lambda value: isinstance(value, dict) and TEXT.fits(value.get("name")),
)
_ARM = Kind(
    "a mapping with a name and draws",
    lambda value: _NAMED.fits(value) and COUNT.fits(value.get("draws")),
)


def _is_duration(value: Any) -> bool:
    try:
        return bool(Duration.parse(value).unit)
    except UsageError:
        return False


_DURATION = Kind("a duration, such as 20ep", _is_duration)
# what is read of a spec without reading it as one
_SPEC = {
    "name": RUN_ID,
    "data": _NAMED,
    "model": _NAMED,
    "train": MAPPING,
    "rewind": _DURATION,
    "prune": Kind(
        "a mapping with criterion and scope",
        lambda value: (
            isinstance(value, dict)
            and TEXT.fits(value.get("criterion"))
            and TEXT.fits(value.get("scope"))
        ),
    ),
    "arms": Kind(
        "a list of arms",
        lambda value: isinstance(value, list) and all(map(_ARM.fits, value)),
    ),
}
_TRAIN = {"optimizer": TEXT, "lr": NUMBER, "duration": _DURATION}


def _is_rule(value: Any) -> bool:
    """Whether it says how many replicates there are at each look, and what each may spend."""
    if not isinstance(value, dict):
        return False
    looks, alphas = value.get("looks"), value.get("alphas")
    return (
        isinstance(looks, list)
        and isinstance(alphas, list)
        and 0 < len(looks) == len(alphas) <= _MAX_LOOKS
        and all(COUNT.fits(n) for n in looks)
        and looks[0] > 1
        and all(one < other for one, other in pairwise(looks))
        and all(NUMBER.fits(alpha) and alpha > 0 for alpha in alphas)
        and sum(alphas) <= _MOST_SPENT
    )


_MAX_LOOKS = 100
_MOST_SPENT = 0.05 + 1e-9
_SPEC_OPTIONS = {
    "source": MAPPING,
    "replicates": COUNT,
    "seed": COUNT,
    "until_decided": Kind("looks and alphas", _is_rule),
}
_SOURCE = {"data": optional(_NAMED), "model": optional(_NAMED)}
_MAX_DEPTH = 10


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
class RunClaim:
    """The one level that a run is about, stated in its spec.

    Args:
        level: which.
        num_trained: trainings below dense that were finished when it was stated; 0 where it was
            stated before any result could be seen.
        margin: the spec's margin at that time; None where it stated none.
    """

    level: int
    num_trained: int
    margin: float | None = None


@dataclass(frozen=True)
class ProbeRow:
    """A measurement on one of the run's trainings.

    Args:
        cell: the cell that holds its rows.
        probe: what was measured.
        training: the cell that was looked at.
    """

    cell: str
    probe: str
    training: str


@dataclass(frozen=True)
class RunRecord:
    """A run: a spec and its rows.

    Args:
        id: name and eight hex digits: of the fingerprint of the plan, or of the first search.
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
        claim: the one level that the run is about, where the spec says so.
        probes: what was measured on its trainings.
        searches: of a run that a `LotteryTicketFinder` made, the random id of each replicate's
            search: its cells are named by that, and it alone can make them again.
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
    claim: RunClaim | None = None
    probes: tuple[ProbeRow, ...] = ()
    searches: tuple[str, ...] = ()

    _repr_html_ = notebook_html

    @property
    def data_name(self) -> str:
        """Which data set it is about; a search does not know."""
        return "the search's own" if self.searches else self.spec["data"]["name"]

    def check_has_spec(self) -> None:
        """Raise `UsageError` unless the run came from a spec, by which it can be made again."""
        if self.searches:
            raise UsageError(
                f"{self.id}: a search with a training loop of its own found it, which no spec "
                "describes: only find_winning_ticket(…, resume=STORE) with that loop can train it "
                "again, or look at its data"
            )

    @property
    def title(self) -> str:
        """What tables of the run are headed with, and its report."""
        return self._of_model(self.id)

    def heading(self, name: str = "") -> str:
        """What figures of the run are headed with; the id is in their small print.

        Args:
            name: that the run was given; empty for its spec's.
        """
        return self._of_model(name or self.name)

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.spec["name"]

    def _of_model(self, name: str) -> str:
        title = f"{name}, {self.model}" if self.model else name
        return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"

    def cells(self) -> set[str]:
        """The names of all cells of the run."""
        shown = {row.cell for row in self.rows} | {row.mask for row in self.rows if row.mask}
        return shown | set(self.others) | {probe.cell for probe in self.probes}

    @property
    def told(self) -> Mapping[str, Any]:
        """The spec with what only decides how its results are read: the margin, and a claim that
        was stated before the first training."""
        is_before = self.claim is not None and not self.claim.num_trained
        claim = {"claim": {"level": self.claim.level}} if is_before and self.claim else {}
        return {**self.spec, "margin": self.margin, **claim}

    def to_bytes(self) -> bytes:
        """The bytes of the run's file."""
        values = asdict(self)
        values["rows"] = [list(asdict(row).values()) for row in self.rows]
        values["probes"] = [list(asdict(probe).values()) for probe in self.probes]
        for name in ("others", "model", "margin", "claim", "probes", "searches"):
            if not values[name]:
                del values[name]
        values["layers"] = list(self.layers.items())  # JSON objects are sorted, layers are not
        return sealed_json(values)

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "RunRecord":
        """Read a run's file; raises `DamagedError` that names it if it is damaged."""
        try:
            values = unsealed_json(data)
            for name in ("rows", "layers", "others", "probes", "searches"):
                check(name, values.get(name, []), _LIST)
            values["rows"] = tuple(RunRow(*row) for row in values["rows"])
            values["layers"] = dict(values["layers"])
            values["others"] = tuple(values.get("others", ()))
            values["searches"] = tuple(values.get("searches", ()))
            values["probes"] = tuple(ProbeRow(*row) for row in values.get("probes", ()))
            if values.get("claim") is not None:
                check("claim", values["claim"], MAPPING)
                values["claim"] = RunClaim(**values["claim"])
            record = cls(**values)
            record._check()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(
                f"{where}: damaged run record ({error}); run its spec again to write it anew, or "
                "remove this file (finished cells are kept)"
            ) from None
        return record

    def _check(self) -> None:
        """See that names are names and values are what they are used as."""
        for field, kind in _RUN.items():
            check(field, getattr(self, field), kind)
        for field, kind in _CLAIM.items() if self.claim else ():
            check(f"claim.{field}", getattr(self.claim, field), kind)
        if not self.rows:
            raise ValueError("rows: got none, wanted at least one")
        for number, row in enumerate(self.rows):
            for field, kind in _ROW.items():
                check(f"rows[{number}].{field}", getattr(row, field), kind)
        levels = {row.level for row in self.rows if row.arm == TICKET}
        if self.claim is not None and self.claim.level not in levels:
            raise ValueError(f"claim.level: got {self.claim.level}, wanted one of the ticket's")
        for name in self.others:
            check("others", name, CELL_NAME)
        for number, probe in enumerate(self.probes):
            for field, kind in _PROBE.items():
                check(f"probes[{number}].{field}", getattr(probe, field), kind)
        for name in self.searches:
            check("searches", name, _SEARCH)
        for name in self.layers:
            check("layers", name, TEXT)
        check_each("layers", self.layers, _SHAPE)
        if (found := sum(map(math.prod, self.layers.values()))) != self.num_prunable:
            raise ValueError(f"layers: got {found:,} weights, wanted {self.num_prunable:,}")
        check("spec", self.spec, MAPPING)
        for key, kind in _SPEC.items():
            if not (self.searches and key in ("data", "train")):  # which only the user knows
                check(f"spec.{key}", self.spec.get(key), kind)
        for key, kind in _TRAIN.items() if not self.searches else ():
            check(f"spec.train.{key}", self.spec["train"].get(key), kind)
        check_known("spec", self.spec, _SPEC_OPTIONS)
        check_known("spec.source", self.spec.get("source", {}), _SOURCE)
        _check_plain("spec", self.spec)


def _check_plain(where: str, value: object, depth: int = 0) -> None:
    """See that a spec holds texts and numbers that can be shown, and is not nested without end."""
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, inner in value.items():
            check(where, key, TEXT)
            _check_plain(f"{where}.{key}", inner, depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for inner in value:
            _check_plain(where, inner, depth + 1)
    else:
        check(where, value, _LEAF)


_LEAF = Kind(
    "a text or a number",
    lambda value: (
        value is None or isinstance(value, bool) or NUMBER.fits(value) or TEXT.fits(value)
    ),
)
