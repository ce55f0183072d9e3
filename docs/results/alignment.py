"""The measured part of docs/stability.md about alignment, made from the tables beside this script.

python docs/results/alignment.py                   # write it
python docs/results/alignment.py --check           # exit 1 if the page says anything else
python docs/results/alignment.py --measure STORE   # make the tables from the last run of a store
"""

import re
import sys
from pathlib import Path

import pandas as pd
from pages import is_written, markdown_table
from scipy.stats import t

from lottery_ticket.analysis import between

HERE = Path(__file__).parent
PAGE = HERE.parent / "stability.md"
MARKS = ("<!-- alignment -->\n", "<!-- /alignment -->")
LINES, TABLE = HERE / "alignment-lenet-mnist.csv", HERE / "lenet-mnist-permuted.csv"
ARMS = ("ticket", "permuted", "borrowed", "reinit", "shuffled")
PAIRS = (
    *(("ticket", "permuted"), ("permuted", "borrowed"), ("borrowed", "reinit")),
    ("borrowed", "shuffled"),
)


def measure(store: str) -> None:
    """Lines between the dense nets of `ticket` and `reinit`, and the table of the run."""
    import torch

    import lottery_ticket
    from lottery_ticket.connectivity import BY, align, along
    from lottery_ticket.data import load_dataset

    data, run = load_dataset("mnist"), lottery_ticket.load_run("last", store=store)
    test, seen = data.test, data.train.x[:2000]

    @torch.no_grad()
    def error(model: torch.nn.Module) -> float:
        return float((model(test.x).argmax(1) != test.y).double().mean())

    rows = []
    for replicate in range(run.record.spec["replicates"]):
        one, other = (
            run.pruned_model(0, arm=arm, replicate=replicate).model for arm in ("ticket", "reinit")
        )
        for by in ("nothing", *BY):
            end = other.state_dict()
            if by in BY:
                end = align(other, to=one, by=by, batches=[seen]).apply(end)
            line = along(one, one.state_dict(), end, error, points=30)
            rows.append((replicate, by, line.barrier, line.values[0], line.values[-1]))
    columns = ["replicate", "by", "barrier", "error_of_one", "error_of_other"]
    pd.DataFrame(rows, columns=columns).to_csv(LINES, index=False)
    run.table.to_csv(TABLE, index=False)


def points(mean: float, low: float, high: float, sign: str = "") -> str:
    """Fractions in points."""
    texts = (f"{round(100 * value, 2) + 0.0:{sign}.2f}" for value in (mean, low, high))
    return "{} ({} to {})".format(*texts).replace("-", "−")


def barrier(values: pd.Series) -> str:
    """Mean and 95 % t interval."""
    half = t.ppf(0.975, len(values) - 1) * values.std() / len(values) ** 0.5
    return points(values.mean(), values.mean() - half, values.mean() + half)


def differences(table: pd.DataFrame, one: str, other: str) -> list[str]:
    """Of two arms at each level below dense, as `lottery verdict --between` has them."""
    rows = between(table, one, other).table
    found = rows[rows["level"] > 0][["difference", "low", "high"]].itertuples(index=False)
    return [points(*row, sign="+") for row in found]


def measured() -> str:
    """Both tables."""
    lines, table = pd.read_csv(LINES), pd.read_csv(TABLE)
    order = ("nothing", "weights", "activations")
    barriers = [[by, barrier(lines.loc[lines["by"] == by, "barrier"])] for by in order]
    levels = table[table["level"] > 0]
    densities = levels.groupby("level")["density"].first()
    rows = []
    for arm in ARMS:
        of = levels[levels["arm"] == arm].groupby("level")["test_accuracy"]
        both = zip(100 * of.mean(), 100 * of.std(), strict=True)
        rows.append([f"`{arm}`", *(f"{mean:.2f} ± {sd:.2f}" for mean, sd in both)])
    rows += [[f"`{one}` − `{other}`", *differences(table, one, other)] for one, other in PAIRS]
    head = ["", *(f"{100 * density:.0f} %" for density in densities)]
    n = lines["replicate"].nunique()
    return f"""Dense nets of other initial weights, n = {n} pairs; mean and 95 % interval in points:

{markdown_table(["aligned by", "error barrier"], *barriers)}

Test accuracy in percent, mean ± sd over the same {n} replicates; differences in points:

{markdown_table(head, *rows)}
"""


def main() -> None:
    """Write the page's measured part, or check it."""
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2])
    before = PAGE.read_text(encoding="utf-8")
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    after = re.sub(pattern, lambda _: f"{MARKS[0]}{measured()}{MARKS[1]}", before, flags=re.S)
    is_written(PAGE, after, "alignment.py")


if __name__ == "__main__":
    main()
