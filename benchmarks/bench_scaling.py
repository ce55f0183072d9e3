"""What an experiment costs as it grows, in one direction at a time.

    python benchmarks/bench_scaling.py

A small experiment on the digits (level 0 to 4, ticket and reinit, two replicates) with one thing
changed. Seconds are of whole runs into an empty store, with worker processes unless jobs is 1;
`per training` divides by the trainings made.
"""

import tempfile
from typing import Any

from measure import Rows, arguments, in_turns, report, spread

from lottery_ticket.api import run

BASE = {
    "name": "scaling",
    "data": {"name": "digits"},
    "model": {"name": "MLP", "hidden": [100, 50]},
    "train": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch_size": 64, "duration": "8ep"},
    "prune": {"rate": 0.3, "levels": 4},
    "arms": ["ticket", "reinit"],
    "replicates": 2,
}
CHANGES: dict[str, list[Any]] = {
    "width": [[25, 12], [100, 50], [400, 200], [1600, 800]],
    "depth": [[100], [100] * 2, [100] * 4, [100] * 8],
    "replicates": [1, 2, 4, 8],
    "levels": [2, 4, 8, 16],
    "jobs": [1, 2],
}
PLACES = {"width": ("model", "hidden"), "depth": ("model", "hidden"), "levels": ("prune", "levels")}


def experiment(direction: str, value: Any) -> tuple[dict[str, Any], int | None]:
    """The spec, and the number of jobs."""
    if direction == "jobs":
        return BASE, value
    if direction == "replicates":
        return {**BASE, "replicates": value}, None
    section, key = PLACES[direction]
    return {**BASE, section: {**BASE[section], key: value}}, None


def main() -> None:
    options = arguments(__doc__)
    rows: Rows = []
    for direction, values in CHANGES.items():
        num_trainings: dict[str, int] = {}

        def once(direction: str, value: Any, counts: dict[str, int]) -> None:
            spec, jobs = experiment(direction, value)
            with tempfile.TemporaryDirectory() as store:
                result = run(spec, store=store, jobs=jobs, threads=1, progress=False)
                counts[str(value)] = len(result.rows)

        things = {
            str(value): lambda d=direction, v=value, c=num_trainings: once(d, v, c)
            for value in values
        }
        seconds = in_turns(things, options.repeats)
        for name, taken in seconds.items():
            measured = spread(taken)
            rows.append(
                {
                    "direction": direction, "value": name, "trainings": num_trainings[name],
                    **measured, "per training": measured["median"] / num_trainings[name],
                }
            )  # fmt: skip
    report("bench_scaling", rows, options.out)


if __name__ == "__main__":
    main()
