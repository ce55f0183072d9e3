"""All that a report says of a run, as plain values for its templates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lottery_ticket.analysis import (
    ClassDifferences,
    RunTables,
    Stability,
    Verdict,
    sort_arms,
    still_falling_note,
)
from lottery_ticket.charts import Chart, run_charts
from lottery_ticket.report._classes import ReportClasses, classes_of
from lottery_ticket.report._facts import RunFacts
from lottery_ticket.report._headline import Headline, headline, no_ticket
from lottery_ticket.report._inputs import InputMap, input_map
from lottery_ticket.report._stability import ReportStability, stability_section
from lottery_ticket.report._tables import (
    ReportTable,
    contrast_rows,
    level_rows,
    structure_rows,
    training_rows,
)

__all__ = ["ReportRun", "RunContent", "content_of"]


@dataclass(frozen=True)
class ReportRun:
    """What a report on a run is made from.

    Args:
        title: the run's name and model.
        tables: every table of the run.
        verdict: its verdict, or why there is none.
        facts: what was run.
        classes: the ticket against dense by class, or why that is not known; None of what is no
            classifier.
        stability: what was measured of it; None where nothing was.
    """

    title: str
    tables: RunTables
    verdict: Verdict | str
    facts: RunFacts
    classes: ClassDifferences | str | None = None
    stability: Stability | None = None


@dataclass(frozen=True)
class RunContent:
    """What stands in a report on a run.

    Args:
        title: the run's name and model.
        headline: the verdict first.
        main: the chart that says it all, and the differences behind the verdict.
        classes: whom pruning hurts; None of what is no classifier.
        learning: the loss, learning curves, early stops.
        structure: what the masks look like.
        inputs: what the first layer looks at; None where the inputs are no image.
        levels, contrasts, structure_table, trainings: tables; without rows where there are none.
        num_trainings: how many there are, in the table or not.
        facts: what was run.
        arms: the arms it shows.
        stability: from which step on nets are stable; None where that was not measured.
    """

    title: str
    headline: Headline
    main: Sequence[Chart]
    classes: ReportClasses | None
    learning: Sequence[Chart]
    structure: Sequence[Chart]
    inputs: InputMap | None
    levels: ReportTable
    contrasts: ReportTable
    structure_table: ReportTable
    trainings: ReportTable
    num_trainings: int
    facts: RunFacts
    arms: Sequence[str] = ()
    stability: ReportStability | None = None

    @property
    def charts(self) -> dict[str, Any]:
        """Name → what the page's script draws."""
        drawn = [*self.main, *self.learning, *self.structure]
        drawn += [self.classes.chart] if self.classes and self.classes.chart else []
        drawn += self.stability.charts if self.stability else []
        drawn += [self.inputs] if self.inputs is not None else []
        return {chart.name: chart.to_dict() for chart in drawn}


def content_of(run: ReportRun) -> RunContent:
    """The content of a report on a run."""
    tables = run.tables
    verdict = run.verdict if isinstance(run.verdict, Verdict) else None
    charts = run_charts(tables, verdict)
    stability = None if run.stability is None else stability_section(run.stability)
    metric = next((name for name in ("accuracy", "metric", "loss") if name in charts), "")

    def of(*figures: str) -> list[Chart]:  # each once: a loss that is the metric stands first
        return [chart for name in figures for chart in charts.pop(name, ())]

    return RunContent(
        run.title,
        _headline(run, verdict),
        of(metric, "difference"),
        None if run.classes is None else classes_of(run.classes),
        of("learning_curves", "early_stop", "loss"),
        of("layers", "overlap", "signs"),
        input_map(tables, verdict.level if verdict else None),
        level_rows(tables, verdict),
        ReportTable([], []) if verdict is None else contrast_rows(verdict),
        structure_rows(tables),
        training_rows(tables),
        len(tables.table),
        run.facts,
        sort_arms([*tables.table["arm"], *(stability.arms if stability else ())]),
        stability,
    )


def _headline(run: ReportRun, verdict: Verdict | None) -> Headline:
    """The verdict, and beside what it rests on whether its nets were done with learning."""
    head = no_ticket(str(run.verdict)) if verdict is None else headline(verdict)
    note = still_falling_note(run.tables.table, run.facts.duration)
    if note is None:
        return head
    return replace(head, notes=(*head.notes, f"{note[0].upper()}{note[1:]}."))
