"""docs/reproductions.md: our tables beside the published ones.

python docs/results/reproductions.py --collect STORE  # the last run of each preset, to CSV and JSON
python docs/results/reproductions.py                  # write the page from the committed tables
python docs/results/reproductions.py --check          # exit 1 if the page says anything else
"""

import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from pages import is_written, markdown_table  # noqa: E402
from render import how, read_table  # noqa: E402

from lottery_ticket.analysis import (  # noqa: E402
    format_percent,
    learning_speed,
    level_statistics,
    metric_of,
    number_text,
    size_by_level,
    sort_arms,
    verdict,
)
from lottery_ticket.plots import early_stop_figure  # noqa: E402

PAGE = HERE.parent / "reproductions.md"
WORDS = HERE / "reproductions.toml"

Cells = list[list[str]]


@dataclass(frozen=True)
class Reproduction:
    """A section of the page.

    Args:
        name: the committed table; the spec's name.
        table: result table, what was published → header and rows.
        published: arm → level → the published value, in the printed unit.
        levels: which levels are shown; all if empty.
        has_verdict: whether the arms allow one.
        figure: what is drawn of it, beside the table: (table, title) → figure, and its caption.
        also: other committed tables that are part of the section.
    """

    name: str
    table: Callable[["Reproduction", pd.DataFrame], Cells]
    published: Mapping[str, Mapping[int, float]]
    levels: tuple[int, ...] = ()
    has_verdict: bool = True
    figure: tuple[Callable[[pd.DataFrame, str], Figure], str] | None = None
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All committed tables of the section."""
        return (self.name, *self.also)


def by_level(of: Reproduction, table: pd.DataFrame) -> Cells:
    """The metric of each arm, with the published one beside it."""
    metric = metric_of(table)
    stats = level_statistics(table, metric.column).set_index(["arm", "level"])
    unit = f" ({metric.unit})" if metric.unit else ""
    arms = sort_arms(table["arm"])
    header = ["level", "density", "kept"]
    for arm in arms:
        header += [arm + unit] + ([f"{arm} there"] if of.published.get(arm) else [])
    return [header, *_level_rows(of, size_by_level(table), stats, metric, arms)]


def _level_rows(
    of: Reproduction, sizes: Any, stats: Any, metric: Any, arms: list[str]
) -> Iterator[list[str]]:
    for level in of.levels or sizes.index:
        cells = [str(level), format_percent(sizes.density[level]), f"{sizes.num_kept[level]:,}"]
        for arm in arms:
            known = (arm, level) in stats.index
            cells.append(_mean(stats.loc[(arm, level)], metric) if known else "")
            if there := of.published.get(arm):
                cells.append(f"{there[level]:.2f}" if level in there else "")
        yield cells


def _mean(row: Any, metric: Any) -> str:
    mean, sd = (number_text(row[part], row["mean"], metric) for part in ("mean", "sd"))
    return f"{mean} ± {sd} ({row['n']:.0f})"


def with_losses(of: Reproduction, table: pd.DataFrame) -> Cells:
    """Loss and accuracy of what is rewound and what is trained on, beside one public run."""
    arms = ("ticket", "finetune", "reinit")
    losses, accuracies = ([f"{arm}{what}" for arm in arms] for what in (", loss", " (%)"))
    header = ["level", "non-zeros", "loss there", *losses[:2], "accuracy there", *accuracies]
    header += ["seconds there", "seconds"]
    stats = {
        column: level_statistics(table, f"test_{column}").set_index(["arm", "level"])
        for column in ("loss", "accuracy")
    }
    sizes, rows = size_by_level(table), []
    for level in sizes.index:
        own = table.loc[(table["level"] == level) & (table["arm"] == "ticket")]
        there = {name: of.published[name].get(level) for name in ("loss", "ticket", "seconds")}
        loss, accuracy, seconds = there.values()
        rows.append([
            str(level), f"{sizes.num_kept[level]:,}", "" if loss is None else f"{loss:.4f}",
            *(f"{stats['loss'].loc[(arm, level), 'mean']:.4f}" for arm in arms[:2]),
            f"{accuracy:.2f}",
            *(
                f"{100 * stats['accuracy'].loc[(arm, level), 'mean']:.2f} ± "
                f"{100 * stats['accuracy'].loc[(arm, level), 'sd']:.2f}"
                for arm in arms
            ),
            "" if seconds is None else f"{seconds:.0f}", f"{own['train_seconds'].mean():.1f}",
        ])  # fmt: skip
    return [header, *rows]


def early_stops(of: Reproduction, table: pd.DataFrame) -> Cells:
    """When early stopping would have stopped, and how accurate the net was there."""
    speed = learning_speed(table).set_index(["arm", "level"])
    dense = speed.loc[("ticket", 0)]
    sizes = size_by_level(table)
    header = ["level", "density", "ticket stops", "of dense", "reinit stops", "of ticket",
              "ticket − dense there (points)", "ticket − reinit there (points)"]  # fmt: skip
    rows = []
    for level in of.levels:
        ticket, reinit = speed.loc[("ticket", level)], speed.loc[("reinit", level)]
        gains = [
            100 * (ticket["accuracy_at_stop"] - other["accuracy_at_stop"])
            for other in (dense, reinit)
        ]
        rows.append([
            str(level), format_percent(sizes["density"][level]),
            *(f"{step:,.0f}" if i == 0 else step for i, step in enumerate((
                ticket["step"], _times(ticket, "dense")))),
            f"{reinit['step']:,.0f}", _times(reinit, "ticket"),
            *(f"{gain:+.2f}".replace("-", "−") for gain in gains),
        ])  # fmt: skip
    return [header, *rows]


def early_stop(table: pd.DataFrame, title: str) -> Figure:
    """When each arm would have stopped."""
    return early_stop_figure(learning_speed(table), table, title=title)


def structures(of: Reproduction, table: pd.DataFrame) -> Cells:
    """Half of the weights by several patterns: each ticket beside dense and its controls."""
    controls = ("dense", "reinit", "shuffled")
    arms = ("dense", "ticket", "reinit", "shuffled")
    header = ["run", "kept", *(f"{arm} (%)" for arm in arms)]
    header += [f"ticket − {control} (points)" for control in controls]
    return [header, *(_structure(name, controls) for name in of.names)]


def _structure(name: str, controls: tuple[str, ...]) -> list[str]:
    table = read_table(name)
    metric, judged = metric_of(table), verdict(table)
    stats = level_statistics(table, metric.column).set_index(["arm", "level"])
    places = [("ticket", 0), ("ticket", 1), ("reinit", 1), ("shuffled", 1)]
    return [
        name,
        format_percent(size_by_level(table).density[1]),
        *(_mean(stats.loc[place], metric) if place in stats.index else "" for place in places),
        *(_interval(judged.contrast(1, control)) for control in controls),
    ]


def _interval(row: Mapping[str, Any]) -> str:
    """A mean difference and its 95 % interval, in points."""
    if not row:
        return ""
    mean, low, high = (f"{100 * row[key]:+.2f}" for key in ("difference", "low", "high"))
    return f"{mean} [{low}, {high}]".replace("-", "−")


def _times(row: Any, other: str) -> str:
    return f"{row[f'times_{other}_bound']} {row[f'times_{other}']:.2f} ×".strip()


def by_arm(of: Reproduction, table: pd.DataFrame) -> Cells:
    """Arms as rows, since there are many of them: the metric at some levels."""
    metric, sizes = metric_of(table), size_by_level(table)
    stats = level_statistics(table, metric.column).set_index(["arm", "level"])
    header = [f"arm ({metric.unit})", *(format_percent(sizes.density[n]) for n in of.levels)]
    rows = [
        [f"`{arm}`", *(_mean(stats.loc[(arm, level)], metric) for level in of.levels)]
        for arm in sort_arms(table["arm"])
    ]
    dense = _mean(stats.loc[("ticket", 0)], metric)
    return [header, ["dense", dense, *[""] * (len(of.levels) - 1)], *rows]


def arm_map(table: pd.DataFrame, title: str) -> Figure:
    """Each arm minus dense, as a map of arms and densities."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import TwoSlopeNorm

    sizes = size_by_level(table)
    means = table.groupby(["arm", "level"])["test_accuracy"].mean().mul(100).unstack()
    dense = means.loc[["ticket", "reinit"], 0].mean()
    lost = means.drop(columns=0) - dense
    lost = lost.loc[lost.iloc[:, -4:].mean(axis=1).sort_values(ascending=False).index]
    figure = Figure(figsize=(9.6, 0.36 * len(lost) + 1.6), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    ax.imshow(lost, cmap="RdBu", norm=TwoSlopeNorm(0, -3, 1), aspect="auto")
    for row, values in enumerate(lost.to_numpy(float)):
        for column, value in enumerate(values):
            text = (f"{value:+.2f}" if abs(value) < 10 else f"{value:+.0f}").replace("-", "−")
            is_dark = value < -1.8 or value > 0.7
            ax.text(column, row, text, ha="center", va="center", fontsize=8,
                    color="white" if is_dark else "black")  # fmt: skip
    ax.set_yticks(range(len(lost)), list(lost.index))
    densities = [format_percent(sizes.density[n]).removesuffix(" %") for n in lost.columns]
    ax.set_xticks(range(lost.shape[1]), densities)
    ax.set_xlabel("weights kept (%)")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    n = table["replicate"].nunique()
    ax.set_title(f"{title}: test accuracy minus dense ({dense:.2f} %), points, mean of n = {n}",
                 fontsize=10, loc="left")  # fmt: skip
    return figure


LENET = {
    "ticket": {0: 98.43, 10: 98.30, 15: 98.22, 20: 97.87},
    "reinit": {0: 98.38, 10: 98.09, 15: 97.76, 20: 96.52},
}
ADAM = {
    "ticket": dict(enumerate([97.39, 97.94, 98.01, 98.20, 98.34, 98.31])),
    "loss": {0: 0.0861, 5: 0.1406},
    "seconds": {0: 132.0, 5: 147.0},
}
REPRODUCTIONS = (
    Reproduction("lenet-mnist", by_level, LENET, (0, 5, 10, 13, 15, 18, 20)),
    Reproduction("lenet-mnist-layerwise-adam", by_level, {}, (0, 3, 7, 9, 15, 20)),
    Reproduction("lenet-mnist-adam-5ep", with_losses, ADAM),
    Reproduction("lenet-mnist-levels", by_level, {"ticket": {0: 97.48, 5: 98.29, 6: 97.94}}),
    Reproduction("lenet-mnist-oneshot", by_level, {}, (0, 5, 10, 13, 17, 20), has_verdict=False),
    Reproduction("lenet-mnist-late-resetting", by_level, {}, (0, 5, 10, 13, 15, 18, 20)),
    Reproduction("lenet-mnist-to-fashion", by_level, {}, (0, 5, 10, 13, 15, 18, 20)),
    Reproduction(
        "lenet-mnist-controls",
        by_arm,
        {},
        (3, 6, 8, 10, 12, 13),
        figure=(arm_map, "each arm minus dense at each density"),
    ),
    Reproduction("lenet-mnist-moving", by_arm, {}, (1, 2, 3, 4, 5)),
    Reproduction("lenet-mnist-moving-5x", by_arm, {}, (1, 2, 3, 4, 5), has_verdict=False),
    Reproduction("sin-regression", by_level, {}),
    Reproduction(
        "paper-lenet-mnist",
        early_stops,
        {},
        (3, 7, 9, 15, 20),
        figure=(early_stop, "early-stop step against density"),
    ),
    Reproduction(
        "conv4-cifar10-2-4",
        structures,
        {},
        also=("conv4-cifar10-half", "conv4-cifar10-channels"),
    ),
)


def section(of: Reproduction, words: Mapping[str, Any]) -> str:
    """What was published, ours beside it, what the verdict says, and whether they agree."""
    table = read_table(of.name)
    parts = [f"## {words['title']}", words["there"].strip(), markdown_table(*of.table(of, table))]
    if of.figure:
        parts.append(f"![{of.figure[1]}](results/{of.name}.png)")
    if of.has_verdict and of.also:
        said = [f"- `{name}`: {verdict(read_table(name)).sentence}" for name in of.names]
        parts.append("\n".join(["**Verdicts.**\n", *said]))
    elif of.has_verdict:
        parts.append(f"**Verdict.** {verdict(table).sentence}")
    parts += [f"**Agreement.** {words['agreement'].strip()}", *(how(name) for name in of.names)]
    return "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    words = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    sections = [section(of, words[of.name]) for of in REPRODUCTIONS if of.name in words]
    parts = [words["head"].strip(), *sections, words["tail"].strip()]
    return "\n\n".join(parts) + "\n"


def collect(store: str) -> None:
    """Write table and facts of the last finished run of each preset in the store."""
    from lottery_ticket.api import load_run
    from lottery_ticket.report import run_facts
    from lottery_ticket.store import Store

    names = {name for of in REPRODUCTIONS for name in of.names}
    for record in Store(store).runs():
        run = load_run(record.id, store=store)
        if record.spec["name"] not in names or len(run.rows) < len(record.rows):
            continue
        run.table.to_csv(HERE / f"{record.spec['name']}.csv", index=False)
        facts = run_facts(run.store, record)
        about = {"command": facts.command, **facts.rows}
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        (HERE / f"{record.spec['name']}.json").write_text(text, encoding="utf-8")
        print(record.id)


def main() -> None:
    """Collect, write, or check."""
    if "--collect" in sys.argv:
        collect(sys.argv[sys.argv.index("--collect") + 1])
        return
    if is_written(PAGE, page(), "docs/results/reproductions.py"):
        for of in REPRODUCTIONS:
            if of.figure and (HERE / f"{of.name}.csv").exists():
                drawn = of.figure[0](read_table(of.name), of.name)
                drawn.savefig(HERE / f"{of.name}.png", dpi=200)


if __name__ == "__main__":
    main()
