"""The measured part of docs/speed.md, made from the benchmarks' JSON files beside this one.

python docs/results/speed.py            # write it
python docs/results/speed.py --check    # exit 1 if the page says anything else
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "speed.md"
MARKS = ("<!-- measured -->\n", "<!-- /measured -->")


def read(name: str) -> dict[str, Any]:
    """A benchmark's JSON."""
    return json.loads((HERE / "bench" / f"{name}.json").read_text())


def table(heads: list[str], rows: list[list[Any]]) -> str:
    """Markdown."""
    lines = [heads, ["---:"] * len(heads), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def about(found: dict[str, Any], command: str) -> str:
    """Where and how it was measured."""
    where, counts = found["machine"], {row["n"] for row in found["rows"]}
    return (
        f"`python benchmarks/{command}`: {where['cpu']}, {where['cores']} cores"
        f" {'with' if where['has_amx_bf16'] else 'without'} AMX, torch {where['torch']}, Python "
        f"{where['python']}; medians of {'/'.join(map(str, sorted(counts)))}, measured in turns "
        "on a shared machine: ratios are of the same turn."
    )


def section(title: str, intro: str, *rest: str) -> str:
    """A heading and its paragraphs."""
    return "\n\n".join([f"### {title}", intro, *rest])


def sparsity() -> str:
    """Epochs against density."""
    found = read("bench_sparsity")
    ours = [row for row in found["rows"] if row["loop"] == "ours"]
    masked = [row for row in found["rows"] if row["loop"] == "masked autograd"]
    lines = [
        [f"{100 * one['density']:.2f} %", one["median"], one["ratio to dense"],
         other["ratio to dense"]]
        for one, other in zip(ours, masked, strict=True)
    ]  # fmt: skip
    heads = ["density", "epoch (s)", "ratio to our dense epoch", "masked autograd, the same ratio"]
    return section(
        "An epoch against density",
        "LeNet-300-100 on 60,000 MNIST images at the ticket's masks of a full `lenet-mnist` run,\n"
        "batch 64, one thread, fp32.",
        table(heads, lines),
        about(found, "bench_sparsity.py"),
        "Two steps of batch 128 of nets with convolutions, at masks of their initial weights by\n"
        "magnitude, ratio to the dense net:",
        _conv_table(),
    )


def _conv_table() -> str:
    rows = read("bench_sparsity_conv")["rows"]
    ratios = {(row["net"].split(",")[0], row["density"]): row["ratio to dense"] for row in rows}
    nets, densities = (list(dict.fromkeys(part)) for part in zip(*ratios, strict=True))
    lines = [[net, *(ratios[net, density] for density in densities)] for net in nets]
    return table(["net", *(f"{100 * density:.2f} %" for density in densities)], lines)


def epochs() -> str:
    """Loops side by side."""
    found = read("bench_epoch")
    keys = ("batch", "processes", "threads", "loop", "median", "ratio")
    heads = ["batch", "processes", "threads each", "loop", "epoch (s)", "ratio to the bound"]
    return section(
        "A dense epoch",
        "`bound` is the epoch's matrix products alone. For two processes at once the time is\n"
        "that of both epochs, halved.",
        table(heads, [[row[key] for key in keys] for row in found["rows"]]),
        about(found, "bench_epoch.py"),
    )


def experiments() -> str:
    """A whole experiment, on two machines."""
    keys = ("batch", "loop", "median", "times as fast")
    parts = []
    for name in ("bench_imp", "bench_imp_tensors"):
        found = read(name)
        rows = [[row[key] for key in keys] for row in found["rows"]]
        parts.append(table(["batch", "loop", "seconds", keys[-1]], rows))
        parts.append(about(found, "bench_imp.py"))
    intro = (
        "`lenet-mnist`, 21 levels, ticket and reinit, one epoch per training, at the masks of a\n"
        "full run; pruning, evaluation and the store included. `TensorDataset` is the\n"
        "conventional loop over images that were transformed once."
    )
    return section("A whole experiment", intro, *parts)


def selection() -> str:
    """Exact selection."""
    found = read("bench_select")
    keys = ("way", "median", "times ours", "extra bytes per weight")
    heads = ["weights", "way", "seconds", "times ours", "extra bytes per weight at the peak"]
    lines = [[f"{row['weights']:,}", *(row[key] for key in keys)] for row in found["rows"]]
    return section(
        "Selecting what to keep",
        "80 % of n weights over eight layers, from weights to masks; the scores (4 bytes) and the\n"
        "masks (1) are among the extra bytes.",
        table(heads, lines),
        about(found, "bench_select.py"),
    )


def rules() -> str:
    """Where CSR begins to pay."""
    found = read("bench_rules")
    densities = [key for key in found["rows"][0] if key.endswith("%")]
    lines = [
        [f"{row['inputs']} → {row['outputs']}", row["batch"], *(row[key] for key in densities)]
        for row in found["rows"]
    ]
    return section(
        "From which density CSR pays",
        "One layer, forward and both gradients, CSR against dense, at random masks, one thread:\n"
        "below 1 CSR is quicker.",
        table(["layer", "batch", *densities], lines),
        about(found, "bench_rules.py"),
    )


def moving() -> str:
    """What it costs that a mask moves."""
    found = read("bench_moving")
    ratios = {(row["density"], row["loop"]): row["ratio"] for row in found["rows"]}
    densities = dict.fromkeys(density for density, _ in ratios)
    lines = [[f"{100 * d:g} %", ratios[d, "set"], ratios[d, "rigl"]] for d in densities]
    return section(
        "What it costs that a mask moves",
        f"LeNet-300-100, {found['steps']:,} steps of {found['batch_size']} images, the mask moved "
        "every 100 steps in three\nquarters of them: CPU time of a training in units of one whose "
        "mask stays, both executed on\nkept weights alone where that pays.",
        table(["kept", "SET", "RigL"], lines),
        about(found, "bench_moving.py"),
    )


def halves() -> str:
    """From how many weights bf16 pays in a linear layer."""
    found = read("bench_bf16")
    keys = ("batch 64", "batch 128")
    return section(
        "From how many weights bf16 pays",
        "One dense linear layer, forward and both gradients, in bf16 against float32, in CPU time\n"
        "of one thread: below 1 bf16 is quicker.",
        table(
            ["layer", "weights", *keys],
            [
                [f"{row['inputs']} → {row['outputs']}", f"{row['weights']:,}"]
                + [row[key] for key in keys]
                for row in found["rows"]
            ],
        ),
        about(found, "bench_bf16.py"),
    )


def nets() -> str:
    """Nets with convolutions: compiled, in bf16."""
    found = read("bench_nets")
    lines = []
    for net in dict.fromkeys(row["net"] for row in found["rows"]):
        steps = {row["step"]: row for row in found["rows"] if row["net"] == net}
        fp32, bf16 = steps["fp32"], steps["bf16"]
        compiled = [steps[f"compiled, {precision}"] for precision in ("fp32", "bf16")]
        lines.append(
            [net, 1000 * fp32["median"], _products(fp32), _products(bf16), bf16["ratio"],
             *(row["ratio"] for row in compiled), compiled[0]["compile seconds"]]
        )  # fmt: skip
    heads = ["net", "step (ms)", "in products", "in products, bf16", "bf16, ratio",
             "compiled, ratio", "compiled bf16, ratio", "compiling (s)"]  # fmt: skip
    return section(
        "Nets with convolutions",
        "A step as a cell makes it, and the same step in bf16, by `torch.compile`, and both, in\n"
        "CPU time of one thread: above 1 slower. *In products*: the share of a step that\n"
        "convolutions and linear products take; the rest are passes over memory.",
        table(heads, lines),
        about(found, "bench_nets.py"),
    )


def _products(row: dict[str, Any]) -> str:
    return f"{100 * (row['convolutions'] + row['linear']):.0f} %"


def scaling() -> str:
    """What a whole experiment costs as it grows."""
    found = read("bench_scaling")
    keys = ("direction", "value", "trainings", "median", "per training")
    return section(
        "As an experiment grows",
        "Digits, ticket and reinit; whole runs into an empty store, one thing changed at a time.\n"
        "A process per core, but for `jobs` 1: starting two, each of which imports torch, is most\n"
        "of the time of runs as small as these. What a store costs as it grows: `bench_store`.",
        table(
            ["what", "value", "trainings", "seconds", "seconds per training"],
            [[row[key] for key in keys] for row in found["rows"]],
        ),
        about(found, "bench_scaling.py"),
    )


def batches() -> str:
    """Models as one batch."""
    found = read("bench_batched")
    keys = ("replicates", "median", "time of one", "throughput per replicate")
    heads = ["replicates as one batch", "seconds", *keys[2:]]
    return section(
        "Models as one batch",
        f"LeNet-300-100 at 20 % density, {found['steps']} steps of batch 64, on "
        f"{found['device']} with {found['threads']} thread:\n"
        "batches of models are for GPUs, where they were not measured yet.",
        table(heads, [[row[key] for key in keys] for row in found["rows"]]),
        about(found, "bench_batched.py"),
    )


def gpu() -> str:
    """What `make gpu` found, where it has run on a GPU."""
    path = HERE / "bench" / "gpu.json"
    if not path.exists():
        return section(
            "On a GPU",
            "Not measured yet: no GPU was at hand. `make gpu` measures all of it in ten minutes\n"
            "and writes `docs/results/bench/gpu.json`, which this page shows; without a GPU it is\n"
            "a dry run.",
        )
    return on_a_gpu(json.loads(path.read_text()))


def on_a_gpu(found: dict[str, Any]) -> str:
    """The section of one `gpu.json`; raises `ValueError` for a dry run, which measured nothing."""
    if found["is_dry_run"]:
        raise ValueError("a dry run of benchmarks/gpu.py measured nothing: it is not for the docs")
    where, parts = found["machine"], found["parts"]
    outcomes = [[name, part["outcome"], f"{part['seconds']:.0f}"] for name, part in parts.items()]
    tables = [
        f"{words}\n\n{table(list(rows[0]), [list(row.values()) for row in rows])}"
        for name, words in _GPU_PARTS.items()
        if (rows := parts.get(name, {}).get("rows"))
    ]
    return section(
        "On a GPU",
        f"`make gpu` on {where['gpu']}, CUDA {where['cuda']}, torch {where['torch']}, "
        f"Python {where['python']}.",
        table(["part", "outcome", "seconds"], outcomes),
        _tests_passed(parts),
        *tables,
    )


_GPU_PARTS = {
    "selection": "Exact selection on the card, in seconds, and in times the CPU's speed:",
    "groups": "`quickstart` of four levels, its trainings one by one, and as batches of models:",
    "bf16": "A step of a net with convolutions, seconds of 20 in float32, and bf16 beside it:",
    "batched": "LeNet-300-100 at 20 % density, trainings as one batch:",
    "two_four": "Linear layers dense and 2:4, `ratio` above 1 where 2:4 is quicker:",
}


def _tests_passed(parts: dict[str, Any]) -> str:
    outcomes = [row["outcome"] for row in parts.get("tests", {}).get("rows", ())]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in dict.fromkeys(outcomes))
    return f"Tests there: {counts or 'none ran'}."


def main() -> None:
    """Write the page's measured part, or check it."""
    before = PAGE.read_text(encoding="utf-8")
    sections = (
        sparsity, experiments, epochs, rules, moving, halves, nets, selection, scaling, batches,
        gpu,
    )  # fmt: skip
    parts = "\n\n".join(make() for make in sections)
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    after = re.sub(pattern, lambda _: f"{MARKS[0]}{parts}\n{MARKS[1]}", before, flags=re.S)
    if "--check" in sys.argv:
        if before != after:
            raise SystemExit("docs/speed.md is not what docs/results says: run speed.py")
        return
    PAGE.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
