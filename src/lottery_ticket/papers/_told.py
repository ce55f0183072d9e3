"""What the sentences on a run are made from, and the words that they share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from lottery_ticket.analysis import Verdict
from lottery_ticket.papers._references import uses
from lottery_ticket.papers._words import Cite, Part
from lottery_ticket.steps import Duration
from lottery_ticket.store import RunRecord

__all__ = ["UNITS", "Told", "cite", "is_own", "length", "options", "plain"]

UNITS = {"ep": "epoch", "it": "step"}


@dataclass(frozen=True)
class Told:
    """What the sentences are made from."""

    record: RunRecord
    rows: Sequence[Mapping[str, Any]]
    verdict: Verdict | None
    version: str

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.record.spec

    @property
    def arms(self) -> list[Mapping[str, Any]]:
        return list(self.spec["arms"])

    @property
    def rewinds_later(self) -> bool:
        return Duration.parse(self.spec.get("rewind", "0it")).count > 0

    @property
    def names(self) -> list[str]:
        return [arm["name"] for arm in self.arms]

    def distinct(self, column: str) -> list[Any]:
        """The values of a column of the table, each once."""
        found = dict.fromkeys(row.get(column) for row in self.rows)
        return [value for value in found if value is not None]


def cite(kind: str, *names: str) -> list[Part]:
    """What things of the library's own rest on; nothing where that is no paper, or not known."""
    keys = dict.fromkeys(key for name in names for key in uses()[kind].get(name, ()))
    return [Cite(tuple(keys))] if keys else []


def is_own(kind: str, name: str) -> bool:
    """Whether something is the user's, by not being the library's."""
    return name not in uses()[kind]


def options(values: Mapping[str, Any], skipped: Iterable[str] = ("name",)) -> str:
    """Options in brackets, as they are written in a spec."""
    told = {key: value for key, value in values.items() if key not in skipped}
    if isinstance(path := told.get("path"), str):  # where it lay is nobody's business
        told["path"] = PurePath(path).name
    text = ", ".join(f"{key} {plain(value)}" for key, value in told.items())
    return f" ({text})" if text else ""


def plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} {plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def length(text: str) -> str:
    """`"20ep"` → `"20 epochs"`."""
    length = Duration.parse(text)
    return f"{length.count:,} {UNITS[length.unit]}{'' if length.count == 1 else 's'}"
