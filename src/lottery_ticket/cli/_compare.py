"""`lottery compare`."""

import enum
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery_ticket.cli._figure import check_figure, save_figure
from lottery_ticket.cli._listing import Tags, Where
from lottery_ticket.cli._options import (
    Caption,
    Font,
    Height,
    Imports,
    Json,
    Label,
    Margin,
    StorePath,
    Style,
    Width,
    import_code,
    open_store,
)
from lottery_ticket.cli._print import console, print_json, print_table
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from lottery_ticket.analysis import Metric, Verdict
    from lottery_ticket.store import Store

__all__ = ["compare"]
_ABOUT = ("data", "model", "criterion", "scope", "rewind")
_SPARE = ("margin", "n", "ticket", "winning levels")
_ROWS = ("arms", "replicates", "claim")  # how much was trained, not how
_TOLD = ("data.name", "model.name", "prune.criterion", "prune.scope", "rewind", "margin")


class Format(enum.StrEnum):
    """How runs are printed."""

    text = "text"
    json = "json"
    latex = "latex"


def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN RUN…]",
            help="Ids, unique prefixes of them, or names; --where and --tag add those they choose.",
            show_default=False,
        ),
    ] = None,
    where: Where = None,
    tag: Tags = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also draw them: a .png, .svg or .pdf file.", show_default=False),
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print it.")] = Format.text,
    style: Style = None,
    width: Width = None,
    height: Height = None,
    font: Font = None,
    caption: Caption = None,
    label: Label = None,
    margin: Margin = None,
    imports: Imports = None,
    store: StorePath = None,
    json: Json = False,
) -> None:
    """Put the verdicts of several runs into one table: criteria, pipelines, architectures."""
    if json and format is not Format.text:
        raise UsageError(f"--json and --format {format}: leave one of them out")
    for option, given in (("--caption", caption), ("--label", label)):
        if given is not None and format is not Format.latex:
            raise UsageError(f"{option}: has an effect with --format latex alone")
    look = {"style": style or None, "width": width, "height": height, "font": font}
    check_figure(out, look)
    from lottery_ticket.analysis import compare as compared
    from lottery_ticket.api import load_run, told_apart

    import_code(imports)
    opened = open_store(store)
    results = [load_run(run, store=opened) for run in _named(runs, where, tag, opened)]
    verdicts = [result.verdict(margin) for result in results]
    table = compared(verdicts, differs=told_apart(results, but=_TOLD))
    names = [opened.labels_of(result.id).name for result in results]
    if out is not None:
        differs = told_apart(results)
        called = [name or result.id for name, result in zip(names, results, strict=True)]
        labels = [f"{c}: {d}" if d else c for c, d in zip(called, differs, strict=True)]
        _draw(verdicts, labels, out, look)
    if any(names):
        table.insert(1, "name", names)
    if json or format is Format.json:
        print_json(table.astype(object).where(table.notna(), None).to_dict("records"))
        return
    if format is Format.latex:
        from lottery_ticket.papers import runs_latex

        said = {"caption": caption, "label": label, "names": names}
        print(
            runs_latex(verdicts, differs=told_apart(results, but=(*_TOLD, *_ROWS)), **said), end=""
        )
        return
    _print(table, verdicts[0].metric)


def _named(
    runs: list[str] | None, where: list[str] | None, tags: list[str] | None, store: "Store"
) -> list[str]:
    """The runs that were named, and those that were chosen, each once."""
    from lottery_ticket.runs import Choice, run_rows

    named = [*(runs or ())]
    if where or tags:
        found, _ = run_rows([store], Choice(where or (), tags or ()))
        known = {store.run(run).id for run in named}
        named += [row["id"] for row in found if row["id"] not in known]
        if not named:
            raise UsageError("none of the runs is such a one; `lottery runs` has all")
    if not named:
        raise UsageError("name runs, or choose them with --where or --tag; `lottery runs` has all")
    return named


def _draw(
    verdicts: "Sequence[Verdict]", labels: "Sequence[str]", out: Path, look: dict[str, Any]
) -> None:
    from lottery_ticket.plots import compare_figure

    save_figure(compare_figure(verdicts, labels=labels, **look), out)


def _print(table: "pd.DataFrame", metric: "Metric") -> None:
    from lottery_ticket.analysis import SHORT, format_percent, number_text

    def shown(value: float, dense: float, sign: str = "") -> str:
        text = "–" if math.isnan(value) else number_text(value, dense, metric, sign=sign)
        return text.replace("-", "−")

    # what all runs have in common is said once
    shared = [name for name in _ABOUT if len(set(table[name])) == 1]
    differing = [name for name in _ABOUT if name not in shared]
    texts = [name for name in ("name", "differs") if name in table and any(table[name])]
    head = [
        "n",
        "margin",
        "dense",
        "verdict",
        "winning levels",
        "at",
        "ticket",
        "− dense",
        "− reinit",
    ]
    rows = [["run", *texts, *differing, *head]]
    for row in table.to_dict("records"):
        # what is not claimed is told of the sparsest level
        at = "" if not math.isnan(row["density"]) else "sparsest_"
        dense, ticket = row["dense"], row["ticket" if not at else "sparsest"]
        cells = [row["run"], *(row[name] for name in texts)]
        cells += [*(str(row[name] or "–") for name in differing), str(row["n"])]
        cells += [shown(row[name], dense) for name in ("margin", "dense")]
        cells += [SHORT[row["verdict"]], _numbers(row["winning_levels"])]
        cells += [format_percent(row[f"{at}density"]), shown(ticket, dense)]
        cells += [shown(row[f"{at}{name}"], dense, "+") for name in ("minus_dense", "minus_reinit")]
        rows.append(cells)
    print_table(
        rows, title=metric.axis_label, num_left=1 + len(texts) + len(differing), spare=_SPARE
    )
    if shared:
        same = ", ".join(f"{name} {table[name].iloc[0]}" for name in shared)
        console.print(f"in all: {same}", soft_wrap=True)
    console.print(
        "winning levels: each by itself; at: the sparsest level that the run claims as "
        "winning, else the sparsest that it trained",
    )
    console.print("each against its own dense nets and controls; see `lottery verdict RUN`")


def _numbers(levels: "Sequence[int]") -> str:
    from lottery_ticket.analysis import levels_text

    return levels_text(levels).partition(" ")[2] if levels else "–"
