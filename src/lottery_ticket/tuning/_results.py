"""What the trainings of a sweep come to: the ticket's best points, and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lottery_ticket.api import Prepared, RunResult
from lottery_ticket.arms import ARMS, TICKET
from lottery_ticket.store import RunRecord, RunRow, table_rows
from lottery_ticket.tuning._asked import Asked

if TYPE_CHECKING:
    import pandas as pd

    from lottery_ticket.analysis import Verdict
    from lottery_ticket.experiment import Part

__all__ = ["best_tickets", "chosen_run", "judged", "trainings_of"]


def best_tickets(asked: Asked) -> dict[int, int]:
    """Level → the point at which the ticket is best on validation, of what is in the store; levels
    without a point at which all of it is finished are left out."""
    from lottery_ticket.analysis import chosen_points, point_means, validation_metric
    from lottery_ticket.errors import UsageError

    table = trainings_of(asked, asked.own, {})
    table = table.loc[(table["arm"] == TICKET) & (table["level"] > 0)]
    try:
        metric = validation_metric(table)
    except UsageError:  # nothing is finished
        return {}
    chosen = chosen_points(point_means(table, metric), metric)
    return dict(zip(chosen["level"].tolist(), chosen["point"].tolist(), strict=True))


def trainings_of(
    asked: Asked, parts: "Sequence[Part]", tickets: Mapping[int, int]
) -> "pd.DataFrame":
    """A row per planned training of each point; values of finished ones alone.

    Args:
        parts: of each point one; then, if there are controls, of each another.
        tickets: level → the point whose ticket lent its mask to these.
    """
    import pandas as pd

    from lottery_ticket.analysis import as_table

    frames = []
    for number, part in enumerate(parts):
        point = number % len(asked.points)
        frame = as_table(_rows(asked.prepared[point], part))
        lent = [_lender(arm, level, tickets) for arm, level in _places(frame)]
        frames.append(frame.assign(point=point, masks_from=pd.array(lent, dtype="Int64")))
    table = pd.concat(frames, ignore_index=True)
    first = ["point", "masks_from"]
    return table.loc[:, [*first, *(name for name in table if name not in first)]]


def _rows(prepared: Prepared, part: "Part") -> list[dict[str, Any]]:
    """Of the finished ones as the table of a run has them, of others the place alone."""
    from lottery_ticket.experiment import recorded

    plan, store = prepared.plan, prepared.store
    record = replace(recorded(plan, store, store.earlier_run(plan.id)), rows=part.rows)
    finished = {_place(row): row for row in table_rows(store, record)}
    size = record.num_prunable
    planned = [{**vars(row), "density": row.num_kept / size} for row in part.rows]
    for row in planned:
        del row["mask"]
    return [finished.get(_place(row), row) for row in planned]


def _lender(arm: str, level: int, tickets: Mapping[int, int]) -> int | None:
    return tickets.get(level) if level and ARMS[arm].branches else None


def _places(frame: "pd.DataFrame") -> list[tuple[str, int]]:
    return list(zip(frame["arm"].tolist(), frame["level"].tolist(), strict=True))


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("arm", "level", "replicate", "draw"))


def judged(
    asked: Asked,
    trainings: "pd.DataFrame",
    parts: "Sequence[Part]",
    tickets: Mapping[int, int],
) -> "Verdict":
    """The verdict on test, of each arm at its point: that of a run of these trainings."""
    record = chosen_run(asked, trainings, parts, tickets)
    found = RunResult(asked.store, record).verdict(asked.margin)
    return found if len(asked.points) == 1 else _told(asked, found, trainings, tickets)


def chosen_run(
    asked: Asked,
    trainings: "pd.DataFrame",
    parts: "Sequence[Part]",
    tickets: Mapping[int, int],
) -> RunRecord:
    """A run of the chosen trainings, which is in no store; it claims what all its points claim."""
    from lottery_ticket.experiment import run_id

    records = [asked.store.read_run(each.plan.id) for each in asked.prepared]
    claims = [record.claim for record in records if record.claim is not None]
    sparsest = tickets[max(tickets)]
    rows = _chosen_rows(trainings, parts, len(asked.points))
    name, ordered = run_id(asked.prepared[sparsest].plan.spec, rows)
    return replace(
        records[sparsest],
        id=name,
        rows=tuple(ordered),
        # that which most was known of when it was stated
        claim=max(claims, key=lambda claim: claim.num_trained, default=None),
    )


def _chosen_rows(
    trainings: "pd.DataFrame", parts: "Sequence[Part]", num_points: int
) -> list[RunRow]:
    """Those of each arm and level at its point; of level 0, of all arms, at that of dense."""
    from lottery_ticket.analysis import chosen_points, point_means, validation_metric

    metric = validation_metric(trainings)
    chosen = chosen_points(point_means(trainings, metric), metric)
    places = zip(chosen["arm"], chosen["level"], chosen["point"], strict=True)
    at = {(arm if level else "", level): point for arm, level, point in places}
    return [
        row
        for number, part in enumerate(parts)
        for row in part.rows
        if at.get((row.arm if row.level else "", row.level)) == number % num_points
    ]


def _told(
    asked: Asked, found: "Verdict", trainings: "pd.DataFrame", tickets: Mapping[int, int]
) -> "Verdict":
    """The same with what is told of the ticket's points: they may differ between levels."""
    from lottery_ticket.analysis import cost_of

    specs = [asked.points[point].spec for point in tickets.values()]
    said = {
        "criterion": [spec.prune.criterion for spec in specs],
        "scope": [spec.prune.scope for spec in specs],
        "rewind": [spec.rewind for spec in specs],
    }
    varied = {n: ", ".join(dict.fromkeys(v)) for n, v in said.items() if len({*v}) > 1}
    cost = found.cost
    if cost is not None:
        own = trainings.loc[trainings["point"] == tickets[cost.level]]
        cost = cost_of(own, cost.level, is_once=specs[0].prune.once)
    return replace(found, about={**found.about, **varied}, cost=cost)
