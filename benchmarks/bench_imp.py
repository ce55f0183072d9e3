"""The whole `lenet-mnist` experiment, one epoch per cell, against the conventional loop.

    lottery run lenet-mnist --set replicates=1
    python benchmarks/bench_imp.py --data-dir DATA --store lottery_runs

21 levels, ticket and re-initialised control, at the ticket's masks of the stored run; pruning,
evaluation and the store included. The conventional loop does the same trainings and evaluations
in one process with all cores; so does that over a `TensorDataset`, whose images are transformed
once.
"""

import os
import tempfile
from pathlib import Path

import torch
from bench_sparsity import masks_of_run
from conventional import Images, imp, tensors
from measure import Rows, arguments, in_turns, report, spread

from lottery_ticket.api import run
from lottery_ticket.data import DataSet, Split, load_dataset

HERE = Path(__file__).parent


def ours(data_dir: str | None, batch_size: int, precision: str) -> None:
    """A run into an empty store, with its worker processes."""
    overrides = [
        "train.duration=1ep", f"train.batch_size={batch_size}", "replicates=1",
        f"train.precision={precision}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as store:
        result = run(
            "lenet-mnist", overrides=overrides, store=store, data_dir=data_dir, progress=False,
            imports=[str(HERE / "stored_masks.py")],
        )  # fmt: skip
        assert len(result.rows) == 42


def conventional(data: DataSet, batch_size: int, *, as_tensors: bool = False) -> None:
    """The same by the loop that people write."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    splits = [_images(split) for split in (data.train, data.test)]
    train, test = [tensors(images) for images in splits] if as_tensors else splits
    imp(train, test, batch_size, levels=20, rate=0.2, epochs=1)


def _images(split: Split) -> Images:
    pixels = ((split.x[:, 0] * 0.3081 + 0.1307) * 255).round().to(torch.uint8)
    return Images(pixels.numpy(), split.y.numpy())


def main() -> None:
    options = arguments(
        __doc__, data_dir=None, store="lottery_runs", run="last", batch_sizes="64 128",
        precisions="fp32 bf16",
    )  # fmt: skip
    data = load_dataset("mnist", data_dir=options.data_dir)
    masks = masks_of_run(Path(options.store), options.run)
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STORED_MASKS"] = f"{folder}/masks.pt"
        torch.save({level: dict(mask) for level, mask in masks.items()}, f"{folder}/masks.pt")
        for batch_size in map(int, options.batch_sizes.split()):
            things = {
                f"ours, {precision}": lambda b=batch_size, p=precision: ours(options.data_dir, b, p)
                for precision in options.precisions.split()
            }
            things["TensorDataset"] = lambda b=batch_size: conventional(data, b, as_tensors=True)
            things["conventional"] = lambda b=batch_size: conventional(data, b)
            seconds = in_turns(things, options.repeats, warm_up=False)
            slowest = seconds["conventional"]
            for name, values in seconds.items():
                ratios = sorted(c / v for c, v in zip(slowest, values, strict=True))
                rows.append(
                    {
                        "batch": batch_size, "loop": name, **spread(values),
                        "times as fast": ratios[len(ratios) // 2],
                    }
                )  # fmt: skip
    report("bench_imp", rows, options.out, run=options.run)


if __name__ == "__main__":
    main()
