"""`lottery probe` and `lottery evaluate`."""

from enum import StrEnum
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery_ticket.cli._execution import CLUSTER, LABELS, PLAIN, Execution, executed
from lottery_ticket.cli._options import (
    RunReference,
)
from lottery_ticket.cli._print import console, print_table
from lottery_ticket.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evaluate", "probe"]


class Format(StrEnum):
    """How the rows are printed."""

    text = "text"
    json = "json"
    csv = "csv"


Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the probe. Repeatable."),
]
DataSetOptions = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the data set. Repeatable."),
]
Data = Annotated[
    str | None,
    typer.Option(help="Another data set than the run's own.", show_default=False),
]
Arms = Annotated[
    list[str] | None,
    typer.Option("--arm", help="Of this arm alone. Repeatable.", show_default=False),
]
Printed = Annotated[
    Format, typer.Option(help="text: means over replicates; json and csv: every row.")
]


@executed("claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
def probe(
    run: RunReference,
    name: Annotated[
        str, typer.Argument(metavar="PROBE", help="evaluate, travel, or one of your own.")
    ],
    option: Options = None,
    data: Data = None,
    arm: Arms = None,
    format: Printed = Format.text,
    how: Execution = PLAIN,
) -> None:
    """Measure something on every finished training of a run; nothing is trained."""
    _measured(run, name, _options(option), data, tuple(arm or ()), format, how)


@executed("claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
def evaluate(
    run: RunReference = "last",
    data: Data = None,
    option: DataSetOptions = None,
    split: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    arm: Arms = None,
    format: Printed = Format.text,
    how: Execution = PLAIN,
) -> None:
    """Loss and accuracy of every finished training on other data, or on another split."""
    given = _options(option)
    if given and data is None:
        raise UsageError("--set: say of which data set, with --data NAME")
    options = {} if split == "test" else {"split": split}
    named = None if data is None else {"name": data, **given}
    _measured(run, "evaluate", options, named, tuple(arm or ()), format, how)


def _options(given: list[str] | None) -> dict[str, Any]:
    from lottery_ticket.spec import parse_overrides

    return {".".join(key): value for key, value in parse_overrides(given or ()).items()}


def _measured(
    run: str,
    name: str,
    options: dict[str, Any],
    data: str | dict[str, Any] | None,
    arms: tuple[str, ...],
    format: Format,
    how: Execution,
) -> None:
    from lottery_ticket.api import load_run

    result = load_run(run, store=how.store)
    is_text = format is Format.text
    left_out = ("store", "claims", "kernels", "group", "keep", *CLUSTER, *LABELS, "track")
    arguments = how.arguments(*left_out)
    rows = result.probe(name, options=options, data=data, arms=arms, progress=is_text, **arguments)
    if format is Format.json:
        print(rows.to_json(orient="records", indent=1))
    elif format is Format.csv:
        print(rows.to_csv(index=False), end="")
    else:
        _print_means(rows, f"{result.record.title}: {name}")


def _print_means(rows: "pd.DataFrame", title: str) -> None:
    """A line per arm, level and what the probe tells apart: mean ± sd (n)."""
    if rows.empty:
        console.print("the probe measured nothing")
        return
    others = ("run", "probe", "replicate", "draw", "value", "cell", "density")
    said = [str(column) for column in rows.columns if column not in others]
    found: dict[tuple[str, ...], dict[int, list[float]]] = {}
    for row in rows.to_dict("records"):
        of_replicate = found.setdefault(tuple(str(row[name]) for name in said), {})
        of_replicate.setdefault(row["replicate"], []).append(row["value"])
    lines = [[*place, _mean_text([mean(v) for v in of.values()])] for place, of in found.items()]
    print_table([[*said, "value"], *lines], title=title)


def _mean_text(values: list[float]) -> str:
    """Over replicates, whose draws are averaged first."""
    spread = f" ± {stdev(values):.4g}" if len(values) > 1 else ""
    return f"{mean(values):.4g}{spread} ({len(values)})"
