"""The measured part of docs/ship.md, made from the JSON files in `ship/` beside this one.

lottery run docs/results/ship/lenet5.yaml                              # or a preset
lottery bench-export last --level 5 --json > docs/results/ship/lenet5.json
python docs/results/ship.py            # write it
python docs/results/ship.py --check    # exit 1 if the page says anything else
"""

import json
import re
from pathlib import Path
from typing import Any

from pages import is_written, markdown_table

from lottery_ticket.export import Measured
from lottery_ticket.plots import forms_figure

HERE = Path(__file__).parent
PAGE = HERE.parent / "ship.md"
START, END = "<!-- measured -->\n", "<!-- /measured -->"
HEADER = ["form", "bytes", "gzip", "parameters", "non-zeros", "FLOPs", "effective", "memory (MB)",
          "batch 1, p50 (ms)", "p99 (ms)", "batch 64 (/s)", "batch 256 (/s)", "accuracy (%)",
          "difference"]  # fmt: skip
GOALS = {"size": ("file_bytes", "smaller"), "latency": ("latency_p50_ms", "faster"),
         "throughput": ("throughput_256", "faster")}  # fmt: skip
DENSE = ("dense eager", "dense onnx")
SUMMARY = """\
The best forms, and by how much they are smaller and faster than the net before pruning: in eager
PyTorch, then in ONNX Runtime. Latency is of one example, throughput at batch 256, on one thread.
"""


def summary(found: list[dict[str, Any]]) -> str:
    """A row per net: its best forms, each beside the dense net."""
    header = ["net", "kept", "accuracy, dense → kept", *(f"best for {goal}" for goal in GOALS)]
    return f"{SUMMARY}\n{markdown_table(header, *(_best(net) for net in found))}\n"


def _best(found: dict[str, Any]) -> list[str]:
    rows = {row["form"]: row for row in found["rows"]}
    accuracies = (_accuracy(rows[form]) for form in ("dense eager", "state_dict"))
    return [
        _name(found),
        f"{100 * found['about']['density']:.2f} %",
        " → ".join(accuracies),
        *(_beside_dense(rows, found["best"][goal], *GOALS[goal]) for goal in GOALS),
    ]


def _beside_dense(rows: dict[str, Any], form: str, column: str, what: str) -> str:
    ratios = [rows[base][column] / rows[form][column] for base in DENSE]
    if column == "throughput_256":
        ratios = [1 / ratio for ratio in ratios]
    if column == "file_bytes":  # the same weights, whatever executes them
        return f"`{form}`: {ratios[0]:.1f} × {what}"
    return f"`{form}`: {ratios[0]:.1f} × {what}, {ratios[1]:.1f} ×"


def _name(found: dict[str, Any]) -> str:
    """`lenet-mnist at level 15`: without the fingerprint."""
    run = found["about"]["run"].rpartition("-")[0]
    return f"{run}, level {found['about']['level']}"


def section(name: str, found: dict[str, Any]) -> str:
    """The whole table of a net, what it says and where it was measured, folded."""
    about = found["about"]
    versions = about["versions"]
    where = (
        f"{about['machine']}, {about['threads']} thread(s), torch {versions['torch']}, ONNX "
        f"Runtime {versions['onnxruntime']}; {about['seconds_each']:g} s for each form and batch "
        f"size, in turns; dense is {about['dense_is']}."
    )
    notes = "\n".join(f"- {note}" for note in Measured.from_dict(found).notes)
    table = markdown_table(HEADER, *(_line(row) for row in found["rows"]))
    parts = [
        f"<details>\n<summary>{found['title']}</summary>",
        table,
        f"![accuracy against latency and size of each form](results/ship/{name}.png)",
        notes,
        where,
        "</details>\n",
    ]
    return "\n\n".join(parts)


def _accuracy(row: dict[str, Any]) -> str:
    return "–" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f}"


def _line(row: dict[str, Any]) -> list[str]:
    memory = row["peak_memory_bytes"]
    return [
        row["form"],
        f"{row['file_bytes']:,}",
        f"{row['gzip_bytes']:,}",
        f"{row['num_parameters']:,}",
        f"{row['num_nonzero']:,}",
        f"{row['flops']:,}",
        f"{row['effective_flops']:,}",
        "–" if memory is None else f"{memory / 1e6:.1f}",
        f"{row['latency_p50_ms']:.3f}",
        f"{row['latency_p99_ms']:.3f}",
        f"{row['throughput_64']:,.0f}",
        f"{row['throughput_256']:,.0f}",
        _accuracy(row),
        f"{row['max_difference']:.2g}",
    ]


def rendered(text: str, found: dict[str, dict[str, Any]]) -> str:
    """The page with its measured part made anew."""
    body = "\n".join([summary(list(found.values())), *(section(*net) for net in found.items())])
    pattern = re.escape(START) + ".*?" + re.escape(END)
    return re.sub(pattern, lambda _: f"{START}{body}{END}", text, flags=re.S)


def _order(found: dict[str, Any]) -> tuple[int, float]:
    return found["rows"][0]["num_parameters"], -found["about"]["density"]


def main() -> None:
    """Write the page and its figures, or check the page."""
    files = sorted((HERE / "ship").glob("*.json"))
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}
    # small nets first, of one net the densest
    found = dict(sorted(read.items(), key=lambda net: _order(net[1])))
    if is_written(PAGE, rendered(PAGE.read_text(encoding="utf-8"), found), "ship.py"):
        for path in files:
            measured = found[path.stem]
            figure = forms_figure(
                Measured.from_dict(measured), title=_name(measured), run=measured["about"]["run"]
            )
            figure.savefig(path.with_suffix(".png"), dpi=100)


if __name__ == "__main__":
    main()
