"""What is about to run: specs, plans and forecasts."""

from collections import Counter
from collections.abc import Collection

from markupsafe import Markup

from lottery_ticket.analysis import format_percent
from lottery_ticket.api import Prepared
from lottery_ticket.display._blocks import Cell, card, facts, paragraph, table
from lottery_ticket.display._records import value_text
from lottery_ticket.experiment import Forecast, Plan, finished_cells
from lottery_ticket.models import model_label
from lottery_ticket.progress import time_text
from lottery_ticket.spec import Spec, canonical

__all__ = ["forecasts_html", "plan_html", "prepared_html", "spec_html"]


def prepared_html(prepared: Prepared) -> Markup:
    """A plan, how much of it is in the store, and where the rest will be made."""
    done = finished_cells(prepared.plan, prepared.store)
    context = prepared.context
    where = {
        "store": prepared.store.location,
        "device": context.device,
        "at a time": prepared.jobs,
        "threads each": context.threads,
    }
    return card(_title(prepared.plan, done), _levels(prepared.plan, done), facts(where))


def plan_html(plan: Plan) -> Markup:
    """A row per level: how much is kept, and how many nets are trained with it."""
    return card(_title(plan, ()), _levels(plan, None))


def _title(plan: Plan, done: Collection[str]) -> str:
    label = model_label(plan.spec.model.name, plan.spec.model.options)
    found = f", {len(done):,} of them in the store" if done else ""
    return f"{plan.id}, {label}: {len(plan.cells):,} cells, {plan.num_steps:,} steps{found}"


def _levels(plan: Plan, done: Collection[str] | None) -> Markup:
    total = sum(plan.inputs.sizes.values())
    trainings = [cell for cell in plan.cells.values() if cell.num_steps]
    counts = Counter(cell.label.level for cell in trainings)
    finished = Counter(cell.label.level for cell in trainings if cell.name in (done or ()))
    columns = ["level", "density", "kept", "trainings", *([] if done is None else ["in the store"])]
    rows = []
    for level, budget in enumerate(plan.budgets):
        density = budget.total / total
        row = [str(level), Cell(format_percent(density), density), f"{budget.total:,}"]
        rows.append([*row, str(counts[level]), *([] if done is None else [str(finished[level])])])
    arms = ", ".join(arm.name for arm in plan.spec.arms)
    n = plan.spec.replicates
    about = f"{arms}; {n} replicate{'s' * (n != 1)}"
    claim = "" if plan.claim is None else f"; claimed before the first training: level {plan.claim}"
    return paragraph(about + claim, is_small=True) + table(columns, rows)


def forecasts_html(found: Collection[Forecast]) -> Markup:
    """A row per number of workers."""
    columns = ["workers", "takes", "busy", "requests/s", "taken over", "bound by"]
    rows = [
        [
            f"{one.num_workers:,}",
            time_text(one.makespan_seconds),
            Cell(f"{100 * one.utilisation:.0f} %", one.utilisation),
            f"{one.requests_per_second:,.1f}",
            f"{one.num_repeated:,}",
            one.bound,
        ]
        for one in found
    ]
    first = next(iter(found), None)
    longest = (
        ""
        if first is None
        else (
            f"One after the other: {time_text(first.work_seconds)}. The longest chain: "
            f"{time_text(first.critical_seconds)}, {first.critical_path}."
        )
    )
    return card(
        "Workers that share a store, simulated", table(columns, rows, left=(5,)), paragraph(longest)
    )


def spec_html(spec: Spec) -> Markup:
    """The experiment, a line per record; options that are off are left out."""
    told = canonical(spec) | ({} if spec.margin is None else {"margin": spec.margin})
    told["arms"] = [_arm_text(arm) for arm in told.get("arms", ())]
    rows = {name: value_text(value) for name, value in told.items() if name != "name"}
    return card(spec.name, facts(rows), about="Spec")


def _arm_text(arm: dict[str, object]) -> str:
    more = {name: value for name, value in arm.items() if name != "name"}
    return f"{arm['name']} ({value_text(more)})" if more else str(arm["name"])
