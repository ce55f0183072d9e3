"""The parts of `gpu.py`: functions of a device that add rows; on the CPU with small sizes.

    python benchmarks/gpu_parts.py selection --device cuda --out rows.json

A part fails by raising; rows that it found before are kept.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from measure import Rows, in_turns, spread

import lottery_ticket
from lottery_ticket.data import Split
from lottery_ticket.experiment.executors.device import configured
from lottery_ticket.masks import Budget, PruningMask, select
from lottery_ticket.models import build
from lottery_ticket.train import AutogradStep, Batches, make_optimizer

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"

# what is skipped without a GPU, and what a device may change
GPU_TESTS = ("gpu", "export/test_two_four.py", "data/test_pad_crop_flip.py")
CPU_TESTS = ("masks/test_select.py", "masks/test_attach.py", "train/test_batched.py")

_REPEATS = 5


def tests(device: str, rows: Rows) -> None:
    """The laws on the device, and the tests of what the device may change."""
    if importlib.util.find_spec("pytest") is None:
        raise SkippedError("pytest is not installed here: pip install -e '.[dev]'")
    chosen = GPU_TESTS if device == "cpu" else (*GPU_TESTS, *CPU_TESTS)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-o", "addopts=", "-q"),
            *("-m", "not slow", f"--junitxml={report}", f"--device={device}"),
            *(str(TESTS / name) for name in chosen),
        ]
        done = subprocess.run(command, cwd=HERE.parent, check=False)
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            rows.append({
                "test": f"{case.get('classname')}::{case.get('name')}",
                "outcome": "".join(kinds) or "passed",
                "seconds": float(case.get("time") or 0),
            })  # fmt: skip
    if done.returncode:
        raise AssertionError(f"pytest ended with {done.returncode}")


def selection(device: str, rows: Rows) -> None:
    """Exact selection on the card beside the CPU: the same mask, ties included."""
    for size in (10**5,) if device == "cpu" else (10**6, 10**7, 10**8):
        # 16 bits: many ties
        scores = {"w": torch.randn(size, generator=torch.Generator().manual_seed(0)).half().float()}
        on_device = {name: value.to(device) for name, value in scores.items()}
        kept = {"cpu": _kept_whole(scores), device: _kept_whole(on_device)}
        budget, found = Budget(round(0.8 * size)), {}

        def on_cpu(scores=scores, kept=kept, budget=budget, found=found) -> None:
            found["cpu"] = select(scores, kept["cpu"], budget)

        def on_card(scores=on_device, kept=kept, budget=budget, found=found) -> None:
            found["card"] = select(scores, kept[device], budget)
            synchronize(device)

        seconds = in_turns({"cpu": on_cpu, "card": on_card}, _REPEATS)
        is_equal = bool(torch.equal(found["cpu"]["w"], found["card"]["w"].cpu()))
        pairs = zip(seconds["cpu"], seconds["card"], strict=True)
        ratio = median(cpu / card for cpu, card in pairs)
        rows.append(
            {"weights": size, **spread(seconds["card"]), "times the CPU's speed": ratio,
             "is_equal": is_equal}
        )  # fmt: skip
        if not is_equal:
            raise AssertionError(f"{size:,} weights: the card selects other ones than the CPU")


def _kept_whole(scores: dict[str, torch.Tensor]) -> PruningMask:
    return PruningMask.from_tensors(
        {n: torch.ones_like(s, dtype=torch.bool) for n, s in scores.items()}
    )


def groups(device: str, rows: Rows) -> None:
    """A whole experiment with trainings one by one, and as batches of models."""
    replicates, sizes = (2, (1, 2)) if device == "cpu" else (16, (1, 16, None))
    tables = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            overrides = [
                f"replicates={replicates}", "prune={rate: 0.5, levels: 3}", "arms=[ticket, reinit]"
            ]  # fmt: skip
            how: dict[str, Any] = {"device": device, "jobs": 1, "group": size, "progress": False}
            if size == 1:
                how["kernels"] = "autograd"
            taken = {}

            def whole(overrides=overrides, folder=folder, how=how, taken=taken) -> None:
                taken["run"] = lottery_ticket.run(
                    "quickstart", overrides=overrides, store=folder, **how
                )

            seconds = in_turns({"run": whole}, 1, warm_up=False)["run"]
            place = ["arm", "level", "replicate"]
            tables[size] = taken["run"].table.set_index(place)["test_accuracy"]
            apart = (tables[size] - tables[1]).abs()
            name = "auto" if size is None else size
            rows.append(
                {"group": name, "trainings": len(apart), **spread(seconds),
                 "largest difference (points)": 100 * float(apart.max()),
                 "mean difference (points)": 100 * float((tables[size] - tables[1]).mean())}
            )  # fmt: skip
    # single trainings may part by chaos; their mean may not
    if any(abs(row["mean difference (points)"]) > 1 for row in rows):
        raise AssertionError("groups train to other accuracies than single trainings")


def bf16(device: str, rows: Rows) -> None:
    """A step of nets with convolutions in bfloat16 and in float32."""
    nets = {"Conv4": 8} if device == "cpu" else {"Conv4": 128, "ResNet20": 128, "ResNet18": 128}
    with configured(device, torch.get_num_threads()):
        for name, batch in nets.items():
            things = {p: _steps(name, batch, device, p) for p in ("fp32", "bf16")}
            seconds = in_turns(things, _REPEATS)
            pairs = zip(seconds["bf16"], seconds["fp32"], strict=True)
            ratio = median(half / full for half, full in pairs)
            rows.append(
                {"net": name, "batch": batch, **spread(seconds["fp32"]), "bf16 / fp32": ratio}
            )


def _steps(name: str, batch_size: int, device: str, precision: str) -> Callable[[], None]:
    """Some steps as a cell makes them."""
    stream, num_steps = torch.Generator().manual_seed(0), 1 if device == "cpu" else 20
    model = build(name, seed=0).to(device)
    split = Split(
        torch.randn(batch_size, 3, 32, 32, generator=stream),
        torch.randint(10, (batch_size,), generator=stream),
    ).to(device)
    batches = Batches(split, batch_size, order_seed=0)
    optimizer = make_optimizer("sgd", model.parameters(), lr=0.01, momentum=0.9)
    step = AutogradStep(model, optimizer, None, batches, loss=F.cross_entropy, precision=precision)
    (batch,) = batches.order(0)

    def steps() -> None:
        for _ in range(num_steps):
            step(batch, 0.01)
        synchronize(device)

    return steps


def batched(device: str, rows: Rows) -> None:
    """`bench_batched`: trainings as one batch of models, against one as a cell."""
    more = ["--repeats", "1", "--examples", "128"] if device == "cpu" else []
    rows += _benchmark("bench_batched", "--device", device, *more)


def two_four(device: str, rows: Rows) -> None:
    """`bench_two_four`: 2:4 against dense linear layers over shapes."""
    if device == "cpu":
        raise SkippedError("2:4 is executed by GPUs alone")
    rows += _benchmark("bench_two_four")


def _benchmark(name: str, *arguments: str) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--out", folder]
        subprocess.run(command, check=True)
        return json.loads((Path(folder) / f"{name}.json").read_text())["rows"]


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class SkippedError(Exception):
    """There is nothing to do here, and why."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: Rows = []
    found: dict[str, Any] = {"rows": rows}
    try:
        PARTS[options.part](options.device, rows)
    except SkippedError as reason:
        found |= {"outcome": "skipped", "reason": str(reason)}
    finally:
        options.out.write_text(json.dumps(found))


PARTS: dict[str, Callable[[str, Rows], None]] = {
    part.__name__: part for part in (tests, selection, groups, bf16, batched, two_four)
}

if __name__ == "__main__":
    main()
