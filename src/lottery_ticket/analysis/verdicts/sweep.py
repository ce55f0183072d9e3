"""What a sweep over a grid of recipes found: each arm at the point that is best on validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lottery_ticket.analysis.statistics.choices import (
    DENSE_ARM,
    chosen_points,
    point_means,
    validation_metric,
)
from lottery_ticket.analysis.statistics.tables import Metric, metric_of, plain
from lottery_ticket.analysis.verdicts.verdict import Verdict
from lottery_ticket.notebook_html import notebook_html

__all__ = ["Sweep", "sweep_of"]


@dataclass(frozen=True)
class Sweep:
    """A sweep: what was trained at each point of a grid, which points were chosen, the verdict.

    Each arm's point is chosen on validation, level by level, by the mean over replicates; dense
    likewise. Arms under the ticket's masks (`reinit`, `shuffled`, …) are trained at each point
    under the masks of the ticket's own best one. The verdict is made on test.

    Args:
        grid: dotted key of the spec → its values.
        labels: of each point, in the order of the grid: `"lr=0.01, rewind=500it"`.
        metric: of validation, by which points are chosen.
        table: a row per training: a column for each key of the grid, `point` (its place in the
            grid), `masks_from` (the point whose ticket lent its mask; null of masks of its own),
            `is_chosen`, then the columns of the result table. Of an arm under the ticket's masks it
            has those trainings alone.
        points: a row per arm, level and point, see `point_means`; level 0 is arm `dense`.
        choice: a row per arm and level: the point that was chosen, its mean on validation, among
            how many different ones (`num_points`), then mean, low and high on `test`.
        verdict: on the chosen nets, by test.
        runs: of each point, the id of the run that has its trainings.
        failed: point → what failed there; it is not chosen where a training is missing.

    Source: controls that are tuned too, Liu et al. 2019, "Rethinking the Value of Network Pruning".
    """

    grid: Mapping[str, Sequence[Any]]
    labels: Sequence[str]
    metric: Metric
    table: pd.DataFrame
    points: pd.DataFrame
    choice: pd.DataFrame
    verdict: Verdict
    runs: Sequence[str]
    failed: Mapping[int, Sequence[str]]

    _repr_html_ = notebook_html

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """The verdict in words, and at which points."""
        return f"{self.verdict.sentence} {self.fairness}"

    @property
    def fairness(self) -> str:
        """Where each arm was held, in a sentence."""
        if len(self.labels) == 1:
            return f"All arms were trained at one point: {self.labels[0]}."
        level = self.verdict.shown.level
        at = self.choice.loc[self.choice["level"].isin([0, level])]
        said = "; ".join(f"{row['arm']} {self.labels[row['point']]}" for row in _rows(at))
        return (
            f"Each arm stands at its own best of {len(self.labels)} points, chosen on validation; "
            f"at level {level}: {said}."
        )

    @property
    def edges(self) -> str:
        """Which arms stand at an end of the grid, where it may be too narrow; else nothing."""
        found = [
            f"{row['arm']} at level {row['level']} ({key}={row[key]})"
            for key, values in self.grid.items()
            for ends in [_ends(values)]
            for row in _rows(self.choice)
            if row[key] in ends
        ]
        if not found:
            return ""
        more = f" and {len(found) - 3} more" if len(found) > 4 else ""
        shown = ", ".join(found[:3] if more else found)
        return f"At an end of the grid, beyond which a better point may lie: {shown}{more}."

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; what is not known is None."""
        values = {
            "grid": {key: list(values) for key, values in self.grid.items()},
            "points": [
                {"point": i, "label": label, "run": run, "failed": list(self.failed.get(i, ()))}
                for i, (label, run) in enumerate(zip(self.labels, self.runs, strict=True))
            ],
            "metric": self.metric.label,
            "choice": _rows(self.choice),
            "means": _rows(self.points),
            "trainings": _rows(self.table),
            "verdict": self.verdict.to_dict(),
            "sentence": self.sentence,
        }
        return plain(values)


def sweep_of(
    grid: Mapping[str, Sequence[Any]],
    labels: Sequence[str],
    trainings: pd.DataFrame,
    verdict: Verdict,
    runs: Sequence[str],
    failed: Mapping[int, Sequence[str]],
) -> Sweep:
    """A sweep of its trainings.

    Args:
        grid, labels, verdict, runs, failed: as of `Sweep`.
        trainings: a row per planned training: point, masks_from, and the columns of the result
            table, null where it is not finished.
    """
    metric = validation_metric(trainings)
    means = point_means(trainings, metric)
    choice = chosen_points(means, metric)
    trainings = trainings.assign(is_chosen=_is_chosen(trainings, choice))
    choice = choice.merge(_on_test(trainings), on=["arm", "level"], how="left")
    finished = trainings.loc[trainings["run"].notna()].reset_index(drop=True)
    table, points, chosen = (_keyed(frame, grid) for frame in (finished, means, choice))
    return Sweep(
        grid, tuple(labels), metric, table, points, chosen, verdict, tuple(runs), dict(failed)
    )


def _ends(values: Sequence[Any]) -> tuple[Any, ...]:
    """The ends of a key of numbers; none of others."""
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return (min(values), max(values)) if is_number and len(values) > 1 else ()


def _is_chosen(trainings: pd.DataFrame, choice: pd.DataFrame) -> pd.Series:
    """Of level 0 those of the dense nets' point, whatever the arm."""
    at = {(row["arm"], row["level"]): row["point"] for row in _rows(choice)}
    arms = trainings["arm"].where(trainings["level"] > 0, DENSE_ARM)
    places = zip(arms, trainings["level"], trainings["point"], strict=True)
    return pd.Series([at.get((arm, level)) == point for arm, level, point in places])


def _on_test(trainings: pd.DataFrame) -> pd.DataFrame:
    """Per arm and level: mean, low and high on test of what was chosen."""
    chosen = trainings.loc[trainings["is_chosen"]]
    column = metric_of(chosen).column
    metric = Metric(column, "", True, 1.0, "")
    found = point_means(chosen, metric)
    names = {"mean": "test", "low": "test_low", "high": "test_high"}
    return found.rename(columns=names).loc[:, ["arm", "level", *names.values()]]


def _keyed(frame: pd.DataFrame, grid: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """The same with a column for each key of the grid."""
    sizes = [len(values) for values in grid.values()]
    places = _places(frame["point"].tolist(), sizes)
    for i, (key, values) in enumerate(grid.items()):
        frame.insert(i, key, [values[place[i]] for place in places])
    return frame


def _places(points: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Of each point its place along each key; the last varies fastest."""
    found = []
    for point in points:
        place, left = [], point
        for size in reversed(sizes):
            left, at = divmod(left, size)
            place.append(at)
        found.append(tuple(reversed(place)))
    return found


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict("records")
