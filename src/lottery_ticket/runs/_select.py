"""Which of many runs are shown, in which order, and with which keys of their recipes."""

import operator
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.runs._listed import BASICS, IN_COLUMNS, RESULTS, ListedRun
from lottery_ticket.spec import differing_keys, value_text

__all__ = ["Choice", "recipe_keys", "resolved", "sort_rows", "texts"]

_CONDITION = re.compile(r"\s*([\w.]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """That a value of a run is what is wanted.

    Args:
        said: as it was written, for errors.
        key: of what.
        sign: `=`, `!=`, `<`, `<=`, `>` or `>=`.
        wanted: the value.
    """

    said: str
    key: str
    sign: str
    wanted: Any

    @classmethod
    def parse(cls, said: str) -> "Condition":
        """`"train.lr=0.1"`; values are YAML. Raises `UsageError`."""
        from lottery_ticket.spec import parsed

        found = _CONDITION.fullmatch(said)
        if not found:
            raise UsageError(f"where: got {said!r:.80}, wanted key=value, such as train.lr=0.1")
        key, sign, text = found.groups()
        wanted = parsed(text, f"where {key}")
        if sign in _ORDERS and not _is_number(wanted):
            raise UsageError(f"where: {said!r:.80}: {sign} compares numbers, {text!r} is none")
        return cls(said, key, "=" if sign == "==" else sign, wanted)

    def holds(self, key: str, value: Any) -> bool:
        """Whether it does of a value; of what is not known no order holds.

        Raises:
            UsageError: the value is no number, and an order is asked for.
        """
        if self.sign in _ORDERS:
            if value is None:
                return False
            if not _is_number(value):
                raise UsageError(
                    f"where: {self.said!r:.80}: {self.sign} compares numbers, {value!r:.40} is none"
                )
            return _ORDERS[self.sign](value, self.wanted)
        return _is_equal(key, value, self.wanted) == (self.sign == "=")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_equal(key: str, value: Any, wanted: Any) -> bool:
    if isinstance(value, tuple):  # arms, tags: one of them, or all
        return wanted in value if isinstance(wanted, str) else sorted(value) == _sorted(wanted)
    if value is None or wanted is None:
        return value is wanted
    # a list of a recipe is a text already
    texts = {value, value_text(value, key)} if isinstance(value, str) else {value_text(value, key)}
    return (value_text(wanted, key) if not isinstance(wanted, str) else wanted) in texts


def _sorted(wanted: Any) -> list[str]:
    return sorted(map(str, wanted)) if isinstance(wanted, list) else [str(wanted)]


@dataclass(frozen=True)
class Choice:
    """Which runs are wanted.

    Args:
        where: conditions that all hold, such as `"train.lr=0.1"` or `"dense > 0.9"`.
        tags: that the run has, all of them.
        data: the name of its data.
        since: when it was started first at the earliest: `"2026-11-30"`, or `"7d"` ago.

    Raises:
        UsageError: one of them cannot be read.
    """

    where: Sequence[str] = ()
    tags: Sequence[str] = ()
    data: str | None = None
    since: "str | datetime | None" = None

    def __post_init__(self) -> None:
        for field in ("where", "tags"):
            object.__setattr__(self, field, texts(field, getattr(self, field)))
        if not isinstance(self.data, str | None):
            raise UsageError(f"data: got {self.data!r:.40}, wanted the name of a data set")
        object.__setattr__(self, "_conditions", tuple(map(Condition.parse, self.where)))
        object.__setattr__(self, "_earliest", _time(self.since))

    def plain(self, runs: Iterable[ListedRun]) -> list[ListedRun]:
        """Those with the tags and data, that are young enough.

        Raises:
            UsageError: no run has such a tag, or such data.
        """
        runs, earliest = list(runs), vars(self)["_earliest"]
        known = {tag for run in runs for tag in run.labels.tags}
        for tag in self.tags if runs else ():
            if tag not in known:
                hint = nearest(tag, known) or "; no run has a tag yet, see `lottery edit`"
                hint += "; of several tags each is one: repeat --tag" * ("," in tag)
                raise UsageError(f"tag: no run has the tag {tag!r}{hint}")
        names = {run.record.data_name for run in runs}
        if self.data is not None and runs and self.data not in names:
            raise UsageError(f"data: no run has the data {self.data!r}{nearest(self.data, names)}")
        return [
            run
            for run in runs
            if run.record.created >= earliest
            and {*self.tags} <= {*run.labels.tags}
            and self.data in (None, run.record.data_name)
        ]

    def matching(
        self, rows: Sequence[dict[str, Any]], known: Collection[str], of: Collection[str]
    ) -> list[dict[str, Any]]:
        """Those rows of which the conditions hold.

        Args:
            rows: key → value.
            known: all keys that rows may have.
            of: the keys whose conditions are asked.

        Raises:
            UsageError: a condition is about no key, or about one of several.
        """
        for condition in vars(self)["_conditions"] if rows else ():
            key = resolved(condition.key, known, "where")
            if key in of:
                rows = [row for row in rows if condition.holds(key, row.get(key))]
        return list(rows)

    def check(self, known: Collection[str]) -> None:
        """Raise `UsageError` where a condition is about nothing that is known."""
        for condition in vars(self)["_conditions"]:
            resolved(condition.key, known, "where")


def texts(what: str, given: object) -> tuple[str, ...]:
    """A text alone, or several.

    Raises:
        UsageError: it is none.
    """
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, list | tuple | set) or not all(isinstance(t, str) for t in found):
        raise UsageError(f"{what}: got {given!r:.40}, wanted a text or a list of texts")
    return tuple(found)


def _time(since: "str | datetime | None") -> float:
    """Seconds since the epoch."""
    if since is None:
        return float("-inf")
    if isinstance(since, datetime):
        return since.timestamp()
    try:
        if found := _AGE.fullmatch(since.strip()):
            return time.time() - float(found[1]) * _SECONDS[found[2]]
        return datetime.fromisoformat(since.strip()).timestamp()
    except (ValueError, OverflowError, OSError, AttributeError):
        raise UsageError(
            f"since: got {since!r:.40}, wanted a date such as 2026-11-30, or an age such as 12h, "
            "7d or 2w"
        ) from None


def resolved(key: str, known: Collection[str], what: str) -> str:
    """A key by its whole path, or by its last parts where no other ends with them: `lr`.

    The run's own come before those of what its tickets were found on: `lr` is `train.lr`, and
    `source.train.lr` is `source.train.lr`.

    Raises:
        UsageError: there is none, or more than one.
    """
    if key in known:
        return key
    if key in RESULTS:
        raise UsageError(
            f"{what}: {key!r} is a result, which is not looked at here; use `lottery runs`"
        )
    ends = [each for each in known if f".{each.removesuffix('.name')}".endswith(f".{key}")]
    own = [each for each in ends if not each.startswith("source.")] or ends
    if len(own) == 1:
        return own[0]
    if several := own or [each for each in known if each.startswith(f"{key}.")]:
        raise UsageError(f"{what}: {key!r} could be any of: {', '.join(sorted(several))}")
    short = {each.removesuffix(".name").rpartition(".")[2] for each in known}
    close = nearest(key, {*known, *short, *RESULTS})
    hint = close if "did you mean" in close else "; `lottery runs --keys all` shows all there are"
    raise UsageError(f"{what}: no run has the key {key!r}{hint}")


def recipe_keys(runs: Sequence[ListedRun], keys: str | Sequence[str]) -> list[str]:
    """The keys of recipes that are shown, in the order in which specs are written.

    Args:
        runs: those that are shown.
        keys: `"differing"`, those in which they differ; `"all"`; or names of keys, of which those
            that have a column anyway get no other.

    Raises:
        UsageError: there is no such key.
    """
    known = list(dict.fromkeys(key for run in runs for key in run.recipe))
    if keys == "differing":
        return differing_keys([run.record.told for run in runs], but=IN_COLUMNS)
    if keys == "all":
        return sorted((key for key in known if key not in IN_COLUMNS), key=_place)
    keys = texts("keys", keys)
    columns = (*BASICS, *RESULTS)
    asked = [resolved(key, [*columns, *known], "keys") for key in keys] if runs else list(keys)
    return [key for key in dict.fromkeys(asked) if key not in columns]


def _place(key: str) -> int:
    parts = ("data", "model", "train", "prune", "rewind", "seed", "source")
    first = key.partition(".")[0]
    return parts.index(first) if first in parts else len(parts)


def sort_rows(
    rows: Sequence[dict[str, Any]], by: str, known: Collection[str]
) -> list[dict[str, Any]]:
    """Rows by a key, `"-key"` for the largest first; those without a value come last.

    Raises:
        UsageError: there is no such key.
    """
    if not isinstance(by, str):
        raise UsageError(f"sort: got {by!r:.40}, wanted a column, such as 'dense' or '-dense'")
    key = resolved(by.removeprefix("-"), known, "sort")
    have = [row for row in rows if row.get(key) is not None]
    order = {"reverse": by.startswith("-")}
    have.sort(key=lambda row: (not _is_number(row[key]), _comparable(row[key])), **order)
    return have + [row for row in rows if row.get(key) is None]


def _comparable(value: Any) -> Any:
    return value if _is_number(value) or isinstance(value, tuple) else str(value)
