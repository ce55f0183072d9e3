"""The measured part of docs/lightning.md, made from the benchmark's JSON file beside this one.

python docs/results/lightning.py            # write it
python docs/results/lightning.py --check    # exit 1 if the page says anything else
"""

import json
import re
from pathlib import Path
from typing import Any

from pages import is_written

HERE = Path(__file__).parent
PAGE = HERE.parent / "lightning.md"
MARKS = ("<!-- measured -->\n", "<!-- /measured -->")
ROWS = {
    "lines, beside module, data and Trainer": "lines",
    "weights kept, level by level": "kept",
    "the counts of exact rounding": "kept as the law says",
    "pruned weights zero after every step": "pruned weights not zero after a step",
    "their momentum zero after every step": "momentum not zero where pruned",
    "weights rewound to the first ones, levels 1, 2, 3": "weights rewound",
    "biases too": "biases rewound",
    "optimiser fresh at each level": "optimizer fresh",
    "kept ten steps after a checkpoint of level 3": "kept ten steps after a checkpoint",
}
INTRO = """LeNet-300-100 on 60,000 MNIST images, four trainings of one epoch (SGD, momentum 0.9,
weight decay, batch 60), 20 % of the remaining weights pruned after each of the first three. One
callback looks at all three ways, after every step."""
WHY = """`ModelPruning` rewinds a parameter to the memory of its copy, which then trains with it:
from the second time on it rewinds to what was trained. It prunes within one fit, so that optimiser
and learning rates go on. Its checkpoints have neither mask nor first weights."""
RATIO = "median of turns' ratios"
ARE_COUNTS = {"pruned weights not zero after a step", "momentum not zero where pruned"}


def cell(look: dict[str, Any], key: str) -> str:
    """What was seen, in a word."""
    value = look[key]
    if key in ARE_COUNTS:
        return "no" if value else "yes"
    if isinstance(value, list) and isinstance(value[0], bool):
        said = ["yes" if each else "no" for each in value]
        return said[0] if len(set(said)) == 1 else ", ".join(said)
    if isinstance(value, list):
        return " → ".join(f"{each:,}" for each in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}"


def measured() -> str:
    """Both tables and how they came about."""
    found = json.loads((HERE / "bench" / "bench_lightning.json").read_text())
    looks, where = found["looks"], found["machine"]
    ratios = {row["way"]: row for row in found["rows"]}
    heads = ["", *(f"`{look['way']}`" if look["way"] != "by hand" else "by hand" for look in looks)]
    lines = [heads, ["---"] * len(heads)]
    lines += [[name, *(cell(look, key) for look in looks)] for name, key in ROWS.items()]
    shares = [f"{ratios[look['way']][RATIO]:.3f}" for look in looks]
    lines.append(["processor time of a step, ratio to no mask", *shares])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    thread = "one thread, on cores shared with other work"
    return f"""{INTRO}

{table}

{WHY}

Time: LeNet with 1,087,000 weights (layers of 1,000 and 300), batch 128, 80 % pruned; medians of
{ratios["no mask"]["n"]} turns of 150 steps, of which each way had its own, {thread}. What the
callback takes is [a pass over the gradients](your-own-model.md#what-it-costs), as any mask does.
`python benchmarks/bench_lightning.py`: {where["cpu"]}, lightning {found["lightning"]}, torch
{where["torch"]}, Python {where["python"]}.
"""


def main() -> None:
    """Write the page's measured part, or check it."""
    before = PAGE.read_text(encoding="utf-8")
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    after = re.sub(pattern, lambda _: f"{MARKS[0]}{measured()}{MARKS[1]}", before, flags=re.S)
    is_written(PAGE, after, "lightning.py")


if __name__ == "__main__":
    main()
