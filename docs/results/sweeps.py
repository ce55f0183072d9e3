"""The measured part of docs/sweep.md, made from the tables beside this script.

python docs/results/sweeps.py --collect SWEEP.json    # take over what lottery sweep --json printed
python docs/results/sweeps.py                         # write the page
python docs/results/sweeps.py --check                 # exit 1 if the page says anything else
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd
from pages import is_written, markdown_table

HERE = Path(__file__).parent
PAGE = HERE.parent / "sweep.md"
MARKS = ("<!-- measured -->\n", "<!-- /measured -->")
CHOICE, SENTENCE = HERE / "sweep-lenet-mnist.csv", HERE / "sweep-lenet-mnist.txt"


def collect(path: Path) -> None:
    """Keep the choice and the verdict of a sweep."""
    found = json.loads(path.read_text(encoding="utf-8"))
    columns = ["arm", "level", "density", "train.lr", "mean", "n", "num_points"]
    columns += ["test", "test_low", "test_high"]
    pd.DataFrame(found["choice"])[columns].to_csv(CHOICE, index=False)
    SENTENCE.write_text(found["verdict"]["sentence"] + "\n", encoding="utf-8")


def measured() -> str:
    """A row per arm and level, and the verdict."""
    choice = pd.read_csv(CHOICE)
    rows = [
        [
            f"`{row.arm}`" if row.level else row.arm,
            f"{100 * row.density:.0f} %",
            f"{row.lr:g}",
            f"{100 * row.mean:.2f}",
            f"{100 * row.test:.2f} ({100 * row.test_low:.2f} to {100 * row.test_high:.2f})",
        ]
        for row in choice.rename(columns={"train.lr": "lr"}).itertuples()
    ]
    at_best = f"at each arm's best of {choice['num_points'].max()} learning rates"
    head = ["", "density", "learning rate", "validation", "test, 95 % interval"]
    return f"""![validation accuracy over learning rates](results/sweep-lenet-mnist.png)

Accuracy in percent {at_best}, mean over n = {choice["n"].max()} replicates:

{markdown_table(head, *rows)}

> {SENTENCE.read_text(encoding="utf-8").strip()}
"""


def main() -> None:
    """Write the page's measured part, or check it."""
    if sys.argv[1:2] == ["--collect"]:
        collect(Path(sys.argv[2]))
    before = PAGE.read_text(encoding="utf-8")
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    after = re.sub(pattern, lambda _: f"{MARKS[0]}{measured()}{MARKS[1]}", before, flags=re.S)
    is_written(PAGE, after, "sweeps.py")


if __name__ == "__main__":
    main()
