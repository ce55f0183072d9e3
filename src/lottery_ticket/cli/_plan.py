"""`lottery plan`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lottery_ticket.cli._execution import CLUSTER, LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._forecast import (
    Bandwidth,
    Latency,
    Losses,
    Price,
    Workers,
    assumptions_of,
    print_forecasts,
    worker_counts,
)
from lottery_ticket.cli._options import (
    Json,
    Set,
    SpecSource,
    UntilDecided,
)
from lottery_ticket.cli._print import console, print_json, print_table
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from lottery_ticket.api import Prepared
    from lottery_ticket.experiment import Assumptions, Plan

__all__ = ["plan", "print_plan"]


@executed("claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
def plan(
    spec: SpecSource,
    override: Set = None,
    until_decided: UntilDecided = False,
    workers: Workers = None,
    price: Price = None,
    losses: Losses = None,
    latency: Latency = None,
    bandwidth: Bandwidth = None,
    json: Json = False,
    how: Execution = PLAIN,
) -> None:
    """Print what a run would do: its cells, which are in the store already, how long it takes.

    The time is that of a run with the same --device, --jobs and --threads; the cells are the same.
    With --workers it is simulated for many machines too.
    """
    from lottery_ticket.api import prepare

    given = {"price": price, "losses": losses, "latency": latency, "bandwidth": bandwidth}
    alone = [f"--{name}" for name, value in given.items() if value is not None]
    if workers is None and alone:
        raise UsageError(f"{', '.join(alone)}: goes with --workers, such as --workers 1,8,64")
    counts = () if workers is None else worker_counts(workers)
    assumed = assumptions_of(**given)
    staged = {"until_decided": until_decided}
    prepared = prepare(spec, overrides=override or [], **staged, **how.arguments())
    print_plan(prepared, json=json, workers=counts, assumed=assumed)


def print_plan(
    prepared: "Prepared",
    *,
    json: bool,
    workers: Sequence[int] = (),
    assumed: "Assumptions | None" = None,
) -> None:
    """Print what running it would do, here and on so many workers."""
    from lottery_ticket.experiment import finished_cells, least_seconds, training_seconds
    from lottery_ticket.models import model_label
    from lottery_ticket.progress import time_text

    planned, done = prepared.plan, finished_cells(prepared.plan, prepared.store)
    todo = [cell for cell in planned.cells.values() if cell.name not in done]
    total = sum(planned.inputs.sizes.values())
    trainings = training_seconds(planned, done, prepared.context)
    seconds = least_seconds(planned, trainings, prepared.jobs)
    forecasts = prepared.forecast(workers, assumed, seconds=trainings)
    if json:
        print_json(
            {
                "run": planned.id,
                "num_cells": len(planned.cells),
                "num_finished": len(done),
                "steps_to_train": sum(cell.num_steps for cell in todo),
                "estimated_seconds": seconds,
                "num_prunable": total,
                "claim": planned.claim,
                **_staged_values(planned),
                "levels": [
                    {"level": level, "num_kept": budget.total, "density": budget.total / total}
                    for level, budget in enumerate(planned.budgets)
                ],
                "cells": [
                    {
                        "cell": c.name,
                        "kind": c.kind,
                        **vars(c.label),
                        "finished": c.name in done,
                    }
                    for c in planned.cells.values()
                ],
                **(
                    {"assumed": asdict(assumed), "forecasts": list(map(asdict, forecasts))}
                    if forecasts and assumed
                    else {}
                ),
            }
        )
        return
    trainings = Counter(c.label.level for c in planned.cells.values() if c.num_steps)
    left = Counter(c.label.level for c in todo if c.num_steps)
    rows = [["level", "density", "sparsity", "kept", "trainings", "in the store"]]
    for level, budget in enumerate(planned.budgets):
        density = budget.total / total
        rows.append(
            [
                str(level),
                f"{100 * density:.2f} %",
                f"{100 - 100 * density:.2f} %",
                f"{budget.total:,}",
                str(trainings[level]),
                str(trainings[level] - left[level]),
            ]
        )
    label = model_label(planned.spec.model.name, planned.spec.model.options)
    print_table(rows, title=f"{planned.id}, {label}")
    arms = ", ".join(arm.name for arm in planned.spec.arms)
    console.print(
        f"\n{len(planned.cells)} cells ({arms}; {planned.spec.replicates} replicates), "
        f"{len(done)} in the store; {sum(c.num_steps for c in todo):,} of "
        f"{planned.num_steps:,} steps to train"
    )
    if planned.claim is not None:
        kept = planned.budgets[planned.claim].total
        console.print(f"claim: level {planned.claim}, {100 * kept / total:.2f} % of the weights")
    for text in _staged_texts(prepared):
        console.print(text, soft_wrap=True)
    for note in planned.inputs.notes:
        console.print(note, soft_wrap=True)
    if todo:
        at_a_time = f", {prepared.jobs} at a time" if prepared.jobs > 1 else ""
        console.print(f"about {time_text(seconds)} on this machine{at_a_time}")
    if forecasts and assumed:
        console.print()
        print_forecasts(prepared, forecasts, assumed)


def _staged_values(planned: "Plan") -> dict[str, Any]:
    """Of a staged run: its rule, the look that this plan leads to, and the most it can come to."""
    rule = planned.spec.until_decided
    if rule is None:
        return {}
    from lottery_ticket.staging import most_of

    most = most_of(planned)
    return {
        "until_decided": {
            "looks": list(rule.looks),
            "alphas": list(rule.alphas),
            "next_look": planned.spec.replicates,
            "most_cells": len(most.cells),
            "most_steps": most.num_steps,
        }
    }


def _staged_texts(prepared: "Prepared") -> Iterator[str]:
    from lottery_ticket.experiment import finished_cells
    from lottery_ticket.staging import looks_text, most_of

    planned = prepared.plan
    if planned.spec.until_decided is None:
        return
    yield looks_text(planned)
    most = most_of(planned)
    done = finished_cells(most, prepared.store)
    steps = sum(cell.num_steps for cell in most.cells.values() if cell.name not in done)
    yield (
        f"at most {most.spec.replicates} replicates, if no look before decides: {len(most.cells)} "
        f"cells, {steps:,} of {most.num_steps:,} steps to train"
    )
