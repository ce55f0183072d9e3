"""The measured part of docs/stability.md, made from the tables beside this script.

python docs/results/stability.py --collect CIFAR.json   # what lottery stability --json printed
python docs/results/stability.py            # write it
python docs/results/stability.py --check    # exit 1 if the page says anything else
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd
from pages import is_written, markdown_table

HERE = Path(__file__).parent
PAGE = HERE.parent / "stability.md"
MARKS = ("<!-- measured -->\n", "<!-- /measured -->")
CIFAR = ("<!-- cifar -->\n", "<!-- /cifar -->")
NARROW = HERE / "stability-resnet20-cifar10-narrow.csv"
ARMS = ("ticket", "reinit", "random")


def points(value: float) -> str:
    """A fraction in points."""
    return f"{round(100 * value, 2) + 0.0:.2f}".replace(
        "-", "−"
    )  # nothing is below zero by nothing


def cell(rows: pd.DataFrame, arm: str) -> str:
    """A barrier with its interval, and what it says where that is not stable."""
    found = rows[rows["arm"] == arm].to_dict("records")
    if not found:
        return "–"
    (row,) = found
    state = "" if row["state"] == "stable" else f", {row['state']}"
    return f"{points(row['barrier'])} ({points(row['low'])} to {points(row['high'])}{state})"


def measured() -> str:
    """Both tables."""
    stability = pd.read_csv(HERE / "stability-lenet-mnist.csv")
    lines = []
    for level, rows in stability.groupby("level"):
        density = rows["density"].iloc[0]
        ticket = rows[rows["arm"] == "ticket"].iloc[0]
        lines.append(
            [
                str(level), f"{100 * density:.2f} %", *(cell(rows, arm) for arm in ARMS),
                f"{ticket['angle']:.1f}°", f"{100 * ticket['disagreement']:.2f} %",
            ]
        )  # fmt: skip
    head = ["level", "density", *ARMS, "angle", "disagreement"]
    table = markdown_table(head, *lines)
    levels = pd.read_csv(HERE / "connectivity-lenet-mnist.csv", keep_default_na=False)
    highest = levels["barrier"].astype(float).max()
    matching = [int(n) for n in levels.loc[levels["matches"] == "matches", "level"]]
    worse = [int(n) for n in levels.loc[levels["matches"] == "worse", "level"]]
    connected = (levels["state"] == "connected").sum()
    n, pairs = stability["n"].iloc[0], len(levels)
    last, first, most = max(matching), min(worse), points(highest)
    return f"""![error barriers of LeNet-300-100](results/stability-lenet-mnist.png)

Error barriers in points, mean and 95 % interval over n = {n} replicates; angle and disagreement
are the ticket's. All but one are stable at θ₀.

{table}

Of successive levels of the ticket {connected} of {pairs} pairs are connected, with barriers of at
most {most} points: those up to level {last}, which match dense, and those from level {first} on,
which do not. On this net, connected levels do not tell which of them match.
"""


def collect(path: Path) -> None:
    """Keep what was measured of the narrow ResNet-20."""
    found = json.loads(path.read_text(encoding="utf-8"))
    pd.DataFrame(found["levels"]).to_csv(NARROW, index=False)


def narrow() -> str:
    """The narrow ResNet-20: a row for each net and step."""
    rows = [
        [
            f"{row.step}",
            "dense" if row.level == 0 else f"{row.arm}, {100 * row.density:.0f} %",
            f"{points(row.barrier)} ({points(row.low)} to {points(row.high)})",
            row.state,
            points(row.interpolated_barrier),
            f"{100 * (1 - row.end):.1f}",
            f"{100 * row.disagreement:.0f} %",
        ]
        for row in pd.read_csv(NARROW).itertuples()
    ]
    head = ["k", "net", "barrier", "", "statistics interpolated", "accuracy", "disagreement"]
    return markdown_table(head, *rows) + "\n"


def main() -> None:
    """Write the page's measured parts, or check them."""
    if sys.argv[1:2] == ["--collect"]:
        collect(Path(sys.argv[2]))
    after = before = PAGE.read_text(encoding="utf-8")
    for (start, end), made in ((MARKS, measured()), (CIFAR, narrow())):
        pattern = re.escape(start) + ".*?" + re.escape(end)
        after = re.sub(pattern, lambda _, m=made, a=start, b=end: a + m + b, after, flags=re.S)
    if before != after or "--check" in sys.argv:
        is_written(PAGE, after, "stability.py")


if __name__ == "__main__":
    main()
