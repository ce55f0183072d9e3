"""What tracking costs a run: `python benchmarks/bench_track.py [PAIRS]`.

The same run of a net of a million weights, tracked and not, in turns, in one process. What is
compared is CPU time of this process, all its threads and what it has started: from the end of the
dense training, when trackers have begun, until they have all there is; per step of the trainings in
between. Beside that, what threads other than the one that trains, and other processes, take of it,
as a share of what that one takes: this is what trackers do, without the noise of the machine.
Beginning them, and the report and figures that they get at the end, is a cost of its own. Trackers
that are not installed are left out.

    LOTTERY_DATA=… python benchmarks/bench_track.py 9
"""

import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from lottery_ticket.api import prepare
from lottery_ticket.errors import LotteryError
from lottery_ticket.experiment import Observer, run_plan
from lottery_ticket.streams import StandardError
from lottery_ticket.tracking import Listeners

SPEC = {
    "name": "million",
    "data": {"name": "mnist", "limit": 6000},
    "model": {"name": "LeNet300", "hidden": [1000, 300]},
    "train": {"optimizer": "sgd", "lr": 0.05, "batch_size": 60, "duration": "10ep"},
    "prune": {"rate": 0.2, "levels": 2},
    "arms": ["ticket"],
    "replicates": 1,
}
MODULES = {
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "trackio": "trackio",
}
_TICKS = os.sysconf("SC_CLK_TCK")


class Notes(Observer):
    """Says what goes wrong, since a tracker that failed costs nothing."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        StandardError().write(f"{message}\n")
        self.said.append(message)


def cpu_seconds() -> float:
    """Of this process, its threads, and the processes that it has started."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


@dataclass(frozen=True)
class Cost:
    """CPU seconds after the dense training: of all, and of the thread that trains; and steps."""

    total: float
    own: float
    steps: int

    @property
    def per_step(self) -> float:
        """Milliseconds of all."""
        return 1000 * self.total / self.steps

    @property
    def share_of_others(self) -> float:
        """What others take, in parts of what the thread that trains takes."""
        return self.total / self.own - 1


def now() -> tuple[float, float]:
    """CPU seconds of all, and of this thread."""
    return cpu_seconds(), time.thread_time()


def measured(folder: Path, track: str | None) -> Cost:
    """The cost of a run."""
    marks: list[tuple[float, float]] = []
    # a name of its own: a tracker sends nothing again of a run that it has
    spec = {**SPEC, "name": f"million-{folder.name}"}
    prepared = prepare(spec, store=folder / "store", jobs=1, threads=1)
    listeners = Listeners.checked(track, on_level=lambda record: marks.append(now()))
    notes = Notes()
    with listeners.told(notes) as told:
        run_plan(prepared.plan, prepared.store, prepared.context, observer=told)
    total, own = (b - a for a, b in zip(marks[0], now(), strict=True))
    if notes.said:
        raise LotteryError(f"{track}: {notes.said[0]}")
    steps = [cell.num_steps for cell in prepared.plan.cells.values() if cell.num_steps]
    return Cost(total, own, sum(steps[1:]))


def place_of(name: str, folder: Path) -> str:
    """Where a tracker writes."""
    places = {
        "tensorboard": f"tensorboard={folder}/events",
        "mlflow": f"mlflow=sqlite:///{folder}/mlflow.db",
    }
    return places.get(name, name)


def compared(name: str, num_pairs: int, root: Path) -> list[tuple[Cost, Cost]]:
    """Pairs of a run without and a run with a tracker."""
    pairs = []
    for number in range(num_pairs + 1):
        found = {}
        order: list[str | None] = [None, place_of(name, root)]
        for track in order if number % 2 else reversed(order):
            with tempfile.TemporaryDirectory(dir=root) as folder:
                found[track is None] = measured(Path(folder), track)
        pairs.append((found[True], found[False]))
    return pairs[1:]  # in the first, things are imported and made that are made once


def row(name: str, pairs: list[tuple[Cost, Cost]]) -> str:
    """A line of the table."""
    sides = zip(*pairs, strict=True)
    plain, tracked = (statistics.median(each.per_step for each in side) for side in sides)
    ratios = sorted(b.per_step / a.per_step for a, b in pairs)
    share = statistics.median(b.share_of_others - a.share_of_others for a, b in pairs)
    spread = f"{ratios[0]:.3f}–{ratios[-1]:.3f}"
    times = f"{plain:.3f} | {tracked:.3f} | {statistics.median(ratios):.3f} ({spread})"
    return f"| {name} | {times} | {100 * share:.2f} % |"


def main() -> None:
    """Print a line for each tracker."""
    num_pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    root = Path(tempfile.mkdtemp())
    os.environ.update(WANDB_MODE="offline", WANDB_DIR=str(root), TRACKIO_DIR=str(root / "trackio"))
    print(f"torch {torch.__version__}, 1 thread, {num_pairs} pairs; CPU time, medians")
    print("| tracker | ms/step | tracked | ratio (range) | others' share |")
    print("|---|---|---|---|---|")
    for name in [name for name, module in MODULES.items() if find_spec(module) is not None]:
        package = "mlflow-skinny" if name == "mlflow" else name
        pairs = compared(name, num_pairs, root)
        print(row(f"{name} {version(package)}", pairs), flush=True)


if __name__ == "__main__":
    main()
