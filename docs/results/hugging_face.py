"""The measured parts of docs/hugging-face.md, from the JSON files beside this one.

python benchmarks/bench_transformers.py --text input.txt --json \\
    docs/results/bench/bench_transformers.json
python examples/bert_tickets.py --text input.txt --seeds N --json \\
    docs/results/bert-tickets/bert-quarter.json
python examples/bert_tickets.py --text input.txt --seeds N --model gpt2 --task words --json \\
    docs/results/bert-tickets/gpt2-words.json
python docs/results/hugging_face.py            # write the page
python docs/results/hugging_face.py --check    # exit 1 if it says anything else
"""

import json
import re
import statistics
from pathlib import Path
from typing import Any

from pages import is_written, markdown_table

HERE = Path(__file__).parent
PAGE = HERE.parent / "hugging-face.md"
RIGHT = {
    "weights": "weights zero",
    "moments": "Adam's moments zero",
    "clipping": "clipping sees masked gradients",
    "checkpoint": "mask in checkpoints",
}
ORDER = ("dense, never pre-trained", "ticket", "random", "shuffled", "reinit")


def bench(found: dict[str, Any]) -> str:
    """What each way costs, and what is right about it."""
    header = ["way", "lines", *RIGHT.values(), "CPU time per step (ms)", "× no mask"]
    rows = [
        [
            row["way"],
            str(row["lines"]) if row["way"] != "no mask" else "–",
            *(("yes" if row[key] else "no") if row["way"] != "no mask" else "–" for key in RIGHT),
            f"{row['ms_per_step']:.1f}",
            f"{row['ratio']:.3f} ({row['least']:.3f} to {row['most']:.3f})",
        ]
        for row in found["rows"]
    ]
    about = found["about"]
    where = (
        f"`python benchmarks/bench_transformers.py`: a BERT of {about['num_parameters']:,} "
        f"parameters, {about['num_prunable']:,} of them prunable, at {100 * about['sparsity']:.0f} "
        f"% sparsity, AdamW with clipping, batch 32. Medians of {about['rounds']} rounds of "
        f"{about['steps']} steps in turns, each ratio within a round; {about['machine']}, torch "
        f"{about['torch']}, transformers {about['transformers']}. By hand is a callback that "
        "multiplies weights by masks in `on_optimizer_step`."
    )
    return f"{markdown_table(header, *rows)}\n\n{where}\n"


def tickets(found: list[dict[str, Any]]) -> str:
    """A row for each arm and level, of one model and task."""
    places = sorted(
        {(row["arm"], row["level"]) for row in found},
        key=lambda place: (ORDER.index(place[0]), place[1]),
    )
    first, task = found[0], found[0]["task"]
    values = {p: [r for r in found if (r["arm"], r["level"]) == p] for p in places}
    unit = "accuracy (%)" if task == "quarter" else "loss (nats)"
    rows = [
        [_name(*place), f"{100 * rows[0]['density']:.1f} %", _spread(rows, task)]
        for place, rows in values.items()
    ]
    title = (
        f"{'BERT' if first['model'] == 'bert' else 'GPT-2'}, task `{task}`, "
        f"{first['num_prunable']:,} prunable weights, n = {len({row['seed'] for row in found})}:"
    )
    return f"{title}\n\n{markdown_table(['arm', 'density', unit], *rows)}\n"


def _name(arm: str, level: int) -> str:
    if arm == "ticket":
        return "dense, pre-trained" if level == 0 else f"ticket, level {level}"
    return arm


def _spread(rows: list[dict[str, Any]], task: str) -> str:
    factor = 100 if task == "quarter" else 1
    values = [factor * row["metric"] for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def rendered(text: str) -> str:
    """The page with its measured parts made anew."""
    read = {path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("bert-tickets/*"))}
    parts = {
        "bench": bench(json.loads((HERE / "bench" / "bench_transformers.json").read_text())),
        "tickets": "\n".join(tickets(found) for found in read.values()),
    }
    for name, body in parts.items():
        start, end = f"<!-- measured: {name} -->\n", f"<!-- /measured: {name} -->"
        pattern = re.escape(start) + ".*?" + re.escape(end)
        text = re.sub(pattern, lambda _, w=f"{start}\n{body}\n{end}": w, text, flags=re.S)
    return text


def main() -> None:
    """Write the page, or check it."""
    is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8")), "hugging_face.py")


if __name__ == "__main__":
    main()
