"""A tracker that writes lines of JSON into a file, and reads them again when a run goes on.

As a module of a user's (`--import line_tracker.py`) it registers itself.
"""

import json
from collections import defaultdict
from pathlib import Path

from lottery_ticket import register_tracker
from lottery_ticket.tracking import TRACKERS


class LineTracker:
    """Writes to `where`."""

    def __init__(self, where: str = "lines.jsonl") -> None:
        self.path = Path(where)

    def start(self, run):
        there = {(line["name"], line["step"]) for line in logged(self.path, run.id)}
        self._write(method="start", run=run.id, name=run.name, params=dict(run.params))
        return there

    def log(self, run, values, step):
        for name, value in values.items():
            self._write(method="log", run=run.id, name=name, value=value, step=step)

    def artifact(self, run, name, path):
        self._write(method="artifact", run=run.id, name=name, size=len(path.read_bytes()))

    def finish(self, run, is_complete):
        self._write(method="finish", run=run.id, is_complete=is_complete)

    def _write(self, **line):
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def lines(path: Path) -> list[dict]:
    """All that was written; of a process that was killed the last line may be cut."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def logged(path: Path, run: str) -> list[dict]:
    """The values of a tracked run."""
    return [line for line in lines(path) if line["run"] == run and line["method"] == "log"]


def by_run(found: list[dict]) -> dict[str, list[dict]]:
    """The calls of each tracked run, in order; reports and tickets hold the time they were made."""
    calls = defaultdict(list)
    for line in found:
        calls[line["run"]].append({key: value for key, value in line.items() if key != "size"})
    return dict(calls)


if "lines" not in TRACKERS:
    register_tracker("lines")(LineTracker)
