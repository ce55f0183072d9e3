"""What was run: where, with what, how long, and the command that runs it again."""

import json
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lottery_ticket.analysis import run_command
from lottery_ticket.store import RunRecord, Store, versions_text

__all__ = ["RunFacts", "run_facts"]


@dataclass(frozen=True)
class RunFacts:
    """What one has to know to judge or repeat a run.

    Args:
        rows: what → its value, to be listed.
        spec: the spec as YAML.
        command: that runs it again.
        duration: of one training; None of a loop of the user's own.
    """

    rows: Mapping[str, str]
    spec: str
    command: str
    duration: str | None = None


def run_facts(store: Store, run: RunRecord) -> RunFacts:
    """Read them from the run's record and from how its cells were executed.

    Args:
        store: where the run is.
        run: the run.
    """
    trainings = {row.cell for row in run.rows}
    executions = [cell.execution for cell in store.cells(trainings).values()]
    replicates = len({row.replicate for row in run.rows})
    labels = store.labels_of(run.id)
    rows = {
        "run": run.id,
        "name": labels.name,
        "tags": ", ".join(labels.tags),
        "notes": " ".join(labels.notes.split()),
        "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(run.created)),
        "data": run.data_name if run.searches else _options(run.spec["data"]),
        "model": f"{run.model or run.spec['model']['name']}, {run.num_prunable:,} prunable "
        f"weights in {len(run.layers)} layers",
        "recipe": _recipe(run.spec),
        "replicates": f"{replicates}, {_seeds(run)}",
        "trainings": f"{len(executions)} of {len(trainings)} finished",
        "time": _time(executions),
        "machine": _distinct(executions, _machine),
        "versions": _distinct(executions, lambda execution: versions_text(execution) or ""),
    }
    return RunFacts(
        {name: value for name, value in rows.items() if value},
        _yaml(run.told),
        _SEARCHED if run.searches else _command(run.told),
        run.spec.get("train", {}).get("duration"),
    )


_SEARCHED = """\
# only the search that found it can make it again, with its own training loop:
# LotteryTicketFinder(…).find_winning_ticket(…, resume=STORE)"""


def _seeds(run: RunRecord) -> str:
    if run.searches:
        return "each a search under a seed of its own"
    return f"their seeds derived from seed {run.spec.get('seed', 0)}"


def _recipe(spec: Mapping[str, Any]) -> str:
    """How a net is trained, pruned and rewound, in a line each."""
    train = ", ".join(f"{name} {_value(value)}" for name, value in spec.get("train", {}).items())
    train = train or "a loop of the user's own"
    prune = ", ".join(f"{name} {_value(value)}" for name, value in spec["prune"].items())
    return f"train: {train}; prune: {prune}; rewind: {spec.get('rewind', '0it')}"


def _value(value: Any) -> str:
    return str(value).replace("'", "")


def _time(executions: Iterable[Mapping[str, Any]]) -> str:
    known = [e["train_seconds"] for e in executions if e.get("train_seconds") is not None]
    if not known:
        return ""
    shortest, longest = (f"{s:.2g}" if s < 10 else f"{s:,.0f}" for s in (min(known), max(known)))
    return f"{sum(known):,.0f} s of training, from {shortest} s to {longest} s for one"


def _machine(execution: Mapping[str, Any]) -> str:
    threads = execution.get("threads")
    count = f", {threads} thread{'' if threads == 1 else 's'} per training" if threads else ""
    device, kind = str(execution.get("device", "")), execution.get("cpu", "")
    return f"{device} ({kind}){count}" if device == "cpu" and kind else f"{device}{count}"


def _distinct(executions: Iterable[Mapping[str, Any]], said: Any) -> str:
    return "; ".join(sorted({said(execution) for execution in executions} - {""}))


def _options(values: Mapping[str, Any]) -> str:
    more = ", ".join(f"{key} {value}" for key, value in values.items() if key != "name")
    return f"{values['name']} ({more})" if more else str(values["name"])


def _yaml(spec: Mapping[str, Any]) -> str:
    """A key to a line; JSON is YAML too."""
    told = {key: value for key, value in spec.items() if value is not None}
    return "".join(f"{json.dumps(key)[1:-1]}: {json.dumps(told[key])}\n" for key in told)


def _command(spec: Mapping[str, Any]) -> str:
    """One command; the spec comes with it where it is no preset's."""
    command = run_command(spec)
    file = f"{spec['name']}.yaml"
    if file not in shlex.split(command):
        return command
    return f"cat > {shlex.quote(file)} <<'END'\n{_yaml(spec)}END\n{command}"
