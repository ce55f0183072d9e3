"""The tables of a run, and of several, for a paper."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from lottery_ticket.analysis import (
    LOSS,
    SHORT,
    WINNING,
    Metric,
    Verdict,
    alpha_text,
    compare,
    level_statistics,
    margin_text,
    metric_of,
    number_text,
    size_by_level,
    sort_arms,
)
from lottery_ticket.arms import TICKET
from lottery_ticket.charts import is_known, num_replicates
from lottery_ticket.errors import UsageError, nearest
from lottery_ticket.papers._cells import MISSING, bold, count, mean, number, percent, spread
from lottery_ticket.papers._escape import latex_text
from lottery_ticket.papers._latex import Column, LatexTable

__all__ = ["ERRORS", "levels_latex", "runs_latex", "trainings_latex"]

ERRORS = {
    "sd": ", mean ± standard deviation over {n}",
    "ci": ", mean and 95 % interval (Student's t, each arm and level by itself) over {n}",
    "none": ", mean over {n}",
}
"""What stands beside a mean → how a caption tells it."""


def levels_latex(
    table: pd.DataFrame,
    verdict: Verdict | None,
    *,
    name: str,
    error: str = "sd",
    arms: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
    caption: str | None = None,
    label: str | None = None,
    remarks: Sequence[str] = (),
) -> LatexTable:
    """A row per level, a column per arm; in bold the ticket where its verdict is winning.

    Args:
        table: the result table of one run.
        verdict: of the run; None where there is none.
        name: what the caption calls the run.
        error: what stands beside a mean, a name in `ERRORS`.
        arms: which arms, in this order; None for all.
        levels: which levels; None for all.
        caption: text for its start, in place of the run's name and model; what the numbers and the
            bold ones are follows it.
        label: the name for references; else `tab:` and the run's name.
        remarks: for who reads the source.

    Raises:
        UsageError: no such arm or level, or no training is finished.
    """
    if error not in ERRORS:
        raise UsageError(f"error: unknown choice {error!r}{nearest(error, ERRORS)}")
    metric = metric_of(table)
    stats = level_statistics(table, metric.column).astype({"level": "int64"})
    if stats.empty:
        raise UsageError(f"no training has a {metric.label}; there is nothing to print")
    sizes = size_by_level(table)
    shown = _chosen("arms", arms, sort_arms(stats["arm"]))
    kept = _chosen("levels", levels, [int(level) for level in sizes.index])
    stats = stats.loc[stats["arm"].isin(shown) & stats["level"].isin(kept)]
    columns = {
        Column("level"): [str(level) for level in kept],
        Column("density (%)"): [percent(sizes["density"].loc[level]) for level in kept],
        Column("sparsity (%)"): [percent(sizes["sparsity"].loc[level]) for level in kept],
        Column("kept"): [count(sizes["num_kept"].loc[level]) for level in kept],
    }
    for arm in shown:
        own = stats.loc[stats["arm"] == arm].set_index("level").to_dict("index")
        has_n = len(set(stats["n"])) > 1
        cells = _means(own, kept, metric, error, has_n=has_n)
        winning = _winning(verdict) if arm == TICKET else {}
        columns[Column(arm, group=metric.axis_label)] = [
            f"{bold(cell)}{winning[level]}" if level in winning else cell
            for level, cell in zip(kept, cells, strict=True)
        ]
    rule = _rule(verdict, kept) if TICKET in shown else ""
    return LatexTable(
        [*columns],
        [*zip(*columns.values(), strict=True)],
        f"{_head(caption, name)}{_capital(metric.label)}{_said(stats, error)}{rule}",
        label or f"tab:{_run_of(table)}",
        remarks=remarks,
    )


def _means(
    rows: Mapping[int, Any], levels: Sequence[int], metric: Metric, error: str, *, has_n: bool
) -> list[str]:
    """The cells of an arm."""
    width = max((len(spread(row, metric)) for row in rows.values()), default=0)
    found = [rows.get(level, {}) for level in levels]
    return [mean(row, metric, error, has_n=has_n, width=width) for row in found]


def _said(stats: pd.DataFrame, error: str) -> str:
    """What the numbers are, as a caption goes on."""
    known = error if bool(stats["sd"].notna().any()) else "none"  # of one replicate
    brackets = " (n in brackets)" if len(set(stats["n"])) > 1 else ""
    return f"{ERRORS[known].format(n=num_replicates(stats['n']))}{brackets}."


def _head(caption: str | None, name: str) -> str:
    """How a caption starts: a text as it is, ended before another sentence."""
    text = name if caption is None else caption.strip()
    return f"{text} " if text.endswith((".", "!", "?", ":")) or not text else f"{text}. "


def _winning(verdict: Verdict | None) -> dict[int, str]:
    """Level → the sign of one that is claimed with others, of those that are winning."""
    found = () if verdict is None else verdict.levels
    return {one.level: r"\rlap{$^*$}" * one.is_claimed for one in found if one.label == WINNING}


def _rule(verdict: Verdict | None, levels: Iterable[int]) -> str:
    """What is in bold, and what a star says."""
    if verdict is None:
        return ""
    margin = margin_text(verdict.margin_stated, verdict.metric)
    means = (
        f"not worse than the dense network by {margin} and better than reinit, each tested "
        f"one-sided at {alpha_text(verdict)}"
    )
    winning = _winning(verdict)
    if not winning.keys() & set(levels):
        return f" No level shown is winning ({means}), so none is in bold."
    text = f" Bold: the ticket is winning at that level by itself ({means})."
    if not any(winning[level] for level in winning.keys() & set(levels)):
        return text
    if verdict.claim is not None and verdict.claim.is_stated_before:
        return f"{text} *: the level that was claimed before the first training."
    return f"{text} *: claimed over all levels together, at {alpha_text(verdict)} in all."


_T = TypeVar("_T", str, int)


def _chosen(what: str, wanted: Sequence[_T] | None, known: Sequence[_T]) -> list[_T]:
    if wanted is None:
        return [*known]
    for one in wanted:
        if one not in known:
            hint = nearest(one, map(str, known))
            raise UsageError(f"{what}: got {one!r}, which the run has not trained{hint}")
    if not wanted:
        raise UsageError(f"{what}: got none, wanted at least one")
    return [*dict.fromkeys(wanted)]


def trainings_latex(
    table: pd.DataFrame, *, name: str, caption: str | None = None, label: str | None = None
) -> LatexTable:
    """A row per training, over as many pages as it takes.

    Args:
        table: the result table of one run.
        name, caption, label: as of `levels_latex`.

    Raises:
        UsageError: no training is finished.
    """
    if table.empty:
        raise UsageError("no training is finished; there is nothing to print")
    metric = metric_of(table)
    shown = [("arm", "arm"), ("level", "level"), ("replicate", "replicate")]
    if len(set(table["draw"])) > 1:
        shown.append(("draw", "draw"))
    shown += [("density", "density (%)"), ("num_kept", "kept")]
    measured = [
        one for one in dict.fromkeys((metric, LOSS)) if bool(table[one.column].notna().any())
    ]
    shown += [(one.column, one.axis_label.removeprefix("test ")) for one in measured]
    if bool(table["early_stop_step"].notna().any()):
        shown.append(("early_stop_step", "early stop"))
    of = {one.column: one for one in measured}
    rows = [
        [_cell(column, row[column], of.get(column)) for column, _ in shown]
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    ]
    columns = [Column(text, "l" if column == "arm" else "r") for column, text in shown]
    label = label or f"tab:{_run_of(table)}-trainings"
    said = f"{_head(caption, name)}All trainings, on the test set."
    if "cell" in table and bool(table["cell"].duplicated().any()):
        said += " One that arms share, such as that of the dense network, has a row in each."
    return LatexTable(columns, rows, said, label, is_long=True)


def _cell(column: str, value: object, metric: Metric | None) -> str:
    if value is None:
        return MISSING
    if metric is not None:
        return number(number_text(float(str(value)), float(str(value)), metric))
    if column == "density":
        return percent(value)
    return latex_text(str(value)) if isinstance(value, str) else count(value)


_ABOUT = ("data", "model", "criterion", "scope", "rewind")


def runs_latex(
    verdicts: Sequence[Verdict],
    *,
    names: Sequence[str] | None = None,
    differs: Sequence[str] | None = None,
    caption: str | None = None,
    label: str | None = None,
) -> LatexTable:
    """A row per run: what differs between them, and how far each was pruned; winning ones bold.

    Args:
        verdicts: of the runs, see `analysis.compare`.
        names: what each is called; one without a name, and all where this is None, by its id.
        differs: for each what tells its recipe from the others', a column.
        caption, label: as of `levels_latex`.

    Raises:
        UsageError: there is none, or they are judged by different metrics.
    """
    table, metric = compare(verdicts), verdicts[0].metric
    table["run"] = [
        name or run for name, run in zip(names or table["run"], table["run"], strict=True)
    ]
    differing = [name for name in _ABOUT if len(set(table[name])) > 1]
    if differs is not None and any(differs):
        table["recipe"] = list(differs)
        differing.insert(0, "recipe")
    same = [name for name in _ABOUT if name not in differing and table[name].iloc[0]]
    columns = [Column("run", "l"), *(Column(name, "l") for name in differing), Column("n")]
    columns += [Column(text) for text in ("margin", "dense", "winning at (%)", "kept")]
    columns += [Column(text) for text in ("ticket", "− dense", "− reinit")]
    rows = [_run(row, differing, metric) for row in table.to_dict("records")]
    alike = f" In all: {', '.join(f'{n} {table[n].iloc[0]}' for n in same)}." if same else ""
    said = (
        f"{_capital(metric.axis_label)}, each run against its own dense network and controls: the "
        "sparsest level claimed as winning (not worse than dense by the margin and better than "
        f"reinit, each tested one-sided at {_alphas(verdicts)}{_together(verdicts)}), in bold, "
        f"and the ticket's mean differences there. Runs are not tested against each other.{alike}"
    )
    return LatexTable(
        columns, rows, f"{_head(caption, 'Tickets of several runs')}{said}", label or "tab:runs"
    )


def _alphas(verdicts: Sequence[Verdict]) -> str:
    """The chances of a false claim: 5 %, and what looks of staged runs may spend."""
    return " or ".join(dict.fromkeys(alpha_text(one) for one in verdicts))


def _together(verdicts: Sequence[Verdict]) -> str:
    """How claims over several levels were tested."""
    alone = [one.claim is not None and one.claim.is_stated_before for one in verdicts]
    if all(alone):
        return ", the level being claimed before the first training"
    first = "; of a run that claimed a level before its first training, that level alone"
    return f", over all levels together{first if any(alone) else ''}"


def _run(row: dict, differing: Iterable[str], metric: Metric) -> list[str]:
    dense = row["dense"]

    def shown(name: str, sign: str = "") -> str:
        known = is_known(row[name])
        return number(number_text(row[name], dense, metric, sign=sign)) if known else MISSING

    cells = [latex_text(row["run"]), *(latex_text(str(row[n] or "–")) for n in differing)]
    cells += [str(row["n"]), shown("margin"), shown("dense")]
    if not is_known(row["density"]):
        return [*cells, latex_text(SHORT[row["verdict"]]), *[MISSING] * 4]
    cells += [bold(percent(row["density"])), count(row["num_kept"]), shown("ticket")]
    return [*cells, shown("minus_dense", "+"), shown("minus_reinit", "+")]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _run_of(table: pd.DataFrame) -> str:
    """The run's id, of which a label takes every character."""
    return next((str(run) for run in table["run"].dropna()), "run")
