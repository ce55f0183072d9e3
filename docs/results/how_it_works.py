"""The tables of docs/how-it-works.md: measured on scikit-learn's digits, and rendered.

python docs/results/how_it_works.py            # measure (minutes), and write what is below
python docs/results/how_it_works.py controls   # the second table alone
python docs/results/how_it_works.py --render   # write page and figure from the committed rows
python docs/results/how_it_works.py --check    # exit 1 if the page says anything else
"""

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))
from pages import is_written

HERE = Path(__file__).parent
PAGE = HERE.parent / "how-it-works.md"
ROWS, ABOUT, FIGURE = (HERE / f"how-it-works.{kind}" for kind in ("csv", "json", "png"))
CONTROL_ROWS, CONTROL_ABOUT = (HERE / f"how-it-works-controls.{kind}" for kind in ("csv", "json"))
MNIST = "lenet-mnist-controls"

REPLICATES, EPOCHS = 10, 30
# level i has density 10^(−i/10): each prunes 20.6 % of what remains, and 10, 13 and 20 are these
DENSITIES = [round(10 ** (-level / 10), 4) for level in range(1, 21)]
DENSITIES[12] = 0.05
SHOWN = {10: "90 %", 13: "95 %", 20: "99 %"}
ARMS = {
    "global": ["ticket", "reinit", "shuffled", "random", "oneshot"],
    "layerwise": ["ticket", "oneshot"],
}
# quickstart with the controls that share more with the ticket, and with longer trainings
AT = 10  # 2.8 % of the weights, there and in MNIST
LONGER = 3
CONTROLS = {
    "as long": ["ticket", "reinit", "reinit_scaled", "values_permuted", "sign_reinit",
                "signed_constant"],
    "longer": [f"{{{arm}: {{stretch: {LONGER}}}}}" for arm in ("ticket", "reinit")],
}  # fmt: skip
CONTROL_COLUMNS = ["length", "arm", "level", "replicate", "num_kept", "num_prunable",
                   "test_accuracy"]  # fmt: skip
COLUMNS = ["scope", "arm", "level", "replicate", "num_kept", "num_prunable", "test_accuracy"]

ROW_OF = {
    "dense": ("global", "ticket"),  # at level 0
    "iterative, global": ("global", "ticket"),
    "iterative, layerwise": ("layerwise", "ticket"),
    "one-shot, global": ("global", "oneshot"),
    "one-shot, layerwise": ("layerwise", "oneshot"),
    "`reinit` of iterative, global": ("global", "reinit"),
    "`shuffled` of iterative, global": ("global", "shuffled"),
    "`random`": ("global", "random"),
}
PAIRS = [
    ("iterative, global", "dense"),
    ("iterative, global", "`reinit` of iterative, global"),
    ("iterative, global", "one-shot, global"),
    ("iterative, global", "iterative, layerwise"),
    ("one-shot, global", "one-shot, layerwise"),
    ("`reinit` of iterative, global", "one-shot, global"),
    ("`reinit` of iterative, global", "`shuffled` of iterative, global"),
    ("`shuffled` of iterative, global", "`random`"),
]


def measured(scope: str, store: Path) -> pd.DataFrame:
    """A row per arm, level and replicate of one scope."""
    import lottery_ticket

    overrides = [
        f"prune.densities={DENSITIES}",
        "prune.rate=null",
        "prune.levels=null",
        f"prune.scope={scope}",
        f"arms=[{', '.join(ARMS[scope])}]",
        f"replicates={REPLICATES}",
        f"train.duration={EPOCHS}ep",
    ]
    # one thread: two that wait for each other are slow on a machine that others use too
    result = lottery_ticket.run("quickstart", overrides=overrides, store=store, threads=1)
    return result.table.assign(scope=scope)


def measure() -> None:
    """Train everything; write the rows, and what they were made with."""
    started = time.monotonic()
    with TemporaryDirectory() as store:
        rows = pd.concat([measured(scope, Path(store)) for scope in ARMS])
    rows[COLUMNS].to_csv(ROWS, index=False, float_format="%.6g")
    about = {
        "replicates": REPLICATES,
        "epochs": EPOCHS,
        "trainings": int(rows["cell"].nunique()),
        "seconds": round(time.monotonic() - started),
        **made_with(),
    }
    ABOUT.write_text(json.dumps(about, indent=1) + "\n")


def made_with() -> dict[str, str]:
    """Versions and machine."""
    from torch.backends.cpu import get_cpu_capability

    from lottery_ticket.tickets import versions

    return {**versions(), "cpu": f"{os.cpu_count()} cores, {get_cpu_capability()}"}


def where(about: dict[str, str]) -> str:
    """The same in words."""
    return (
        f"{about['platform']} machine ({about['cpu']}); lottery_ticket {about['lottery_ticket']}, "
        f"Python {about['python']}, torch {about['torch']}, NumPy {about['numpy']}"
    )


def measure_controls() -> None:
    """Train the controls, and write their rows."""
    import lottery_ticket

    with TemporaryDirectory() as folder:
        store = os.environ.get("LOTTERY_STORE", folder)  # what is there already is found
        tables = [
            lottery_ticket.run(
                "quickstart", overrides=[f"arms=[{', '.join(arms)}]"], store=store, threads=1
            ).table.assign(length=length)
            for length, arms in CONTROLS.items()
        ]
    pd.concat(tables)[CONTROL_COLUMNS].to_csv(CONTROL_ROWS, index=False, float_format="%.6g")
    CONTROL_ABOUT.write_text(json.dumps(made_with(), indent=1) + "\n")


def percent(values: pd.Series) -> str:
    """Mean ± sd of fractions."""
    return f"{100 * values.mean():.2f} ± {100 * values.std():.2f}"


def points(values: pd.Series) -> str:
    """Mean ± sd of differences, and in how many replicates they are above zero."""
    text = f"{100 * values.mean():+.2f} ± {100 * values.std():.2f}".replace("-", "−")
    return f"{text} ({int((values > 0).sum())} of {len(values)})"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A GitHub table."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def section() -> str:
    """What stands between the page's markers."""
    rows, about = pd.read_csv(ROWS), json.loads(ABOUT.read_text())
    groups = dict(iter(rows.groupby(["scope", "arm", "level"])))

    def accuracies(name: str, level: int) -> pd.Series:
        group = groups[(*ROW_OF[name], 0 if name == "dense" else level)]
        return group.set_index("replicate")["test_accuracy"]

    kept, n = rows.groupby("level")["num_kept"].first(), about["replicates"]
    levels = [f"{text} ({kept[level]:,} kept)" for level, text in SHOWN.items()]
    means = [[name, *(percent(accuracies(name, level)) for level in SHOWN)] for name in ROW_OF]
    differences = [
        [
            f"{one} − {other}",
            *(points(accuracies(one, level) - accuracies(other, level)) for level in SHOWN),
        ]
        for one, other in PAIRS
    ]
    how = (
        f"{kept[0]:,} prunable weights. Command: `python docs/results/how_it_works.py`. "
        f"{about['trainings']:,} trainings of {about['epochs']} epochs in {about['seconds']:,} s, "
        f"one thread each, on a shared {where(about)}. Rows: "
        "[how-it-works.csv](results/how-it-works.csv).\n"
    )
    tables = (
        markdown([f"test accuracy in %, mean ± sd (n = {n})", *levels], means),
        markdown(
            [f"paired difference in points, mean ± sd (above zero in … of {n})", *SHOWN.values()],
            differences,
        ),
    )
    return "\n".join([*tables, how])


def fairer() -> str:
    """The table of controls that share more with the ticket."""
    digits, mnist = pd.read_csv(CONTROL_ROWS), pd.read_csv(HERE / f"{MNIST}.csv")
    of = {
        "digits": digits.query("length == 'as long'"),
        f"digits, {LONGER} times as long": digits.query("length == 'longer'"),
        "MNIST": mnist,
    }
    header, lines = ["test accuracy in %, and the ticket's lead in points"], []
    for name, rows in of.items():
        n = rows["replicate"].nunique()
        header.append(f"{name} (n = {n})")
    for arm in CONTROLS["as long"]:
        cells = [_with_lead(rows.query("level == @AT"), arm) for rows in of.values()]
        lines.append([f"`{arm}`" if arm != "ticket" else arm, *cells])
    kept = {name: rows.query("level == @AT")["num_kept"].iloc[0] for name, rows in of.items()}
    how = (
        f"At 2.8 % of the weights: {kept['digits']:,} and {kept['MNIST']:,}. Commands: `python "
        f"docs/results/how_it_works.py controls` (quickstart's recipe; on a shared "
        f"{where(json.loads(CONTROL_ABOUT.read_text()))}), `lottery run {MNIST}`. "
        f"Rows: [{CONTROL_ROWS.name}](results/{CONTROL_ROWS.name}), "
        f"[{MNIST}.csv](results/{MNIST}.csv).\n"
    )
    return "\n".join([markdown(header, lines), how])


def _with_lead(rows: pd.DataFrame, arm: str) -> str:
    """An arm's mean ± sd, and by how much the ticket is better."""
    means = rows.groupby(["arm", "replicate"])["test_accuracy"].mean()
    if arm not in means.index.get_level_values("arm"):
        return "–"
    text = percent(means[arm])
    return (
        text if arm == "ticket" else f"{text} ({_lead(means['ticket'].mean() - means[arm].mean())})"
    )


def _lead(value: float) -> str:
    return f"{100 * value:+.2f}".replace("-", "−")


def rendered(text: str) -> str:
    """The page with its sections made anew."""
    for name, made in (("measured", section), ("controls", fairer)):
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, found, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise SystemExit(f"{PAGE.name}: wanted the markers {start.strip()} and {end.strip()}")
        text = f"{before}{start}{made()}{end}{after}"
    return text


def draw() -> None:
    """The figure: all arms of the global scope."""
    from lottery_ticket.analysis import as_table
    from lottery_ticket.plots import draw_summary_figure

    rows = pd.read_csv(ROWS).query("scope == 'global'")
    rows = rows.assign(density=rows["num_kept"] / rows["num_prunable"])
    draw_summary_figure(
        as_table(rows.astype(object).to_dict("records")), FIGURE, title="digits, global scope"
    )


def main() -> None:
    """Measure and write, or check."""
    if not {"--render", "--check"} & set(sys.argv):
        if sys.argv[1:] != ["controls"]:
            measure()
        measure_controls()
    if is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), __file__):
        draw()


if __name__ == "__main__":
    main()
