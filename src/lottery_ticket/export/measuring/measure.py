"""`measure`: every form of a pruned model against the dense net, in one run on this machine."""

import contextlib
import gzip
import math
import os
import platform
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lottery_ticket.data import Split
from lottery_ticket.errors import LotteryError, UsageError
from lottery_ticket.export._export import write_checked
from lottery_ticket.export._format import Format, Run, made_once
from lottery_ticket.export._formats import FORMATS, format_named
from lottery_ticket.export._others import quiet
from lottery_ticket.export._pruned_model import PrunedModel
from lottery_ticket.export.measuring.flops import count_flops
from lottery_ticket.export.measuring.measured import DENSE, MASKED, Measured
from lottery_ticket.export.measuring.memory import peak_memory
from lottery_ticket.export.measuring.timing import in_turns
from lottery_ticket.extras import check_extra
from lottery_ticket.process import as_it_was, on_threads
from lottery_ticket.tickets import versions

__all__ = ["measure"]

BATCHES = (1, 64, 256)


@as_it_was()
def measure(
    pruned: PrunedModel,
    *,
    forms: Sequence[str] | None = None,
    threads: int = 1,
    seconds: float = 1.0,
    compiled: bool = True,
    memory: bool = True,
    batch_size: int | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> Measured:
    """Size, speed, memory and accuracy of each form, beside the dense net's.

    The dense net runs in eager PyTorch, by `torch.compile` and by ONNX Runtime. All are timed in
    turns, so that what else the machine does meets them all alike.

    Args:
        pruned: the model; with `test` its accuracies are measured, with `dense` the dense rows are
            of the net before pruning, else of the masked one.
        forms: names in `FORMATS`; by default all that this model has.
        threads: CPU threads of everything.
        seconds: how long each form is timed for each batch size.
        compiled: whether `torch.compile` is tried, which takes its time.
        memory: whether peak memory is measured, which takes a fresh process for each form.
        batch_size: for which the format `sparse` is decided; by default 256.
        on_step: is told what is done next, in a few words: large nets take minutes.

    Raises:
        UsageError: an unknown form, a missing extra, or what `export` raises of a form that was
            asked for; others that a model cannot have are skipped, and the notes say so.
        LotteryError: the outputs of a form differ from the model's.

    >>> measured = measure(PrunedModel.of(layer, x), forms=["packed"])  # doctest: +SKIP
    >>> measured.table[["form", "file_bytes", "latency_p50_ms"]]  # doctest: +SKIP
    """
    if not isinstance(pruned, PrunedModel):
        raise UsageError(f"got {type(pruned).__name__}, wanted PrunedModel.of(model, example)")
    options = {} if batch_size is None else {"batch_size": batch_size}
    _check_more_than_0(threads=threads, seconds=seconds, **options)
    forms = [forms] if isinstance(forms, str) else forms
    chosen = _chosen(pruned, forms, compiled)
    if options and not any("batch_size" in row.options for row, _ in chosen.values()):
        raise UsageError("batch_size: it has an effect on sparse alone, which is not measured")
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, on_threads(threads):
        ready: dict[str, _Form] = {}
        with made_once():
            for name, (row, model) in chosen.items():
                on_step(f"writing {name}")
                try:
                    ready[name] = _made(name, row, model, options, Path(folder), threads)
                except Exception as error:
                    is_asked_for = forms is not None and name in forms
                    if name == DENSE["eager"] or is_asked_for or not _may_be_skipped(name, error):
                        raise
                    skipped[name] = _in_a_line(error)
        rows = _rows(ready, threads, seconds, on_step)
        if memory:
            for row in rows:
                form = ready[row["form"]]
                if form.row is not _COMPILED:  # it would be its compiler's
                    on_step(f"memory of {row['form']}")
                    try:
                        found = peak_memory(form.row, form.path, form.pruned, threads, BATCHES[-1])
                        row["peak_memory_bytes"] = found
                    except (LotteryError, BrokenExecutor) as error:  # the rest is not lost
                        skipped[f"memory of {row['form']}"] = _in_a_line(error)
    return Measured(
        pruned.facts.get("title", type(pruned.model).__name__),
        tuple(rows),
        _about(pruned, threads, seconds),
        skipped,
    )


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _check_more_than_0(**numbers: float) -> None:
    for name, value in numbers.items():
        is_number = isinstance(value, int) or (name == "seconds" and isinstance(value, float))
        if not (is_number and 0 < value < math.inf):
            raise UsageError(f"{name}: wanted a number more than 0, got {value!r}")


def _may_be_skipped(name: str, error: Exception) -> bool:
    """A model that cannot be followed lacks forms; the compiler may fail as it likes."""
    return name == DENSE["compiled"] or isinstance(error, LotteryError)


@dataclass(frozen=True)
class _Form:
    """A form that is written and loaded."""

    row: Format
    pruned: PrunedModel
    test: Split | None
    path: Path
    run: Run
    max_difference: float
    skips: Collection[str]


def _load_compiled(path: Path, pruned: PrunedModel, threads: int | None = None) -> Run:
    with quiet():
        return torch.compile(pruned.model)


_COMPILED = replace(FORMATS["state_dict"], load=_load_compiled, tolerance=1e-4, rounding=1e-6)


def _chosen(
    pruned: PrunedModel, names: Sequence[str] | None, compiled: bool
) -> dict[str, tuple[Format, PrunedModel]]:
    """The dense rows first, then each form."""
    if names is None:
        names = [name for name, row in FORMATS.items() if row.fits(pruned)]
    rows = {name: format_named(name) for name in names}
    check_extra("onnx", "measuring beside ONNX Runtime")
    dense = pruned if pruned.dense is None else _dense(pruned)
    base = {DENSE["eager"]: FORMATS["state_dict"], DENSE["onnx"]: FORMATS["onnx"]}
    if compiled:
        base[DENSE["compiled"]] = _COMPILED
    return {name: (row, dense) for name, row in base.items()} | {
        name: (row, pruned) for name, row in rows.items()
    }


def _dense(pruned: PrunedModel) -> PrunedModel:
    assert pruned.dense is not None
    return PrunedModel.of(pruned.dense, pruned.inputs, test=pruned.test)


def _made(
    name: str,
    row: Format,
    pruned: PrunedModel,
    options: Mapping[str, Any],
    folder: Path,
    threads: int,
) -> _Form:
    path = folder / re.sub(r"\W", "-", name) / row.file_name  # 2:4 names no folder on Windows
    path.parent.mkdir()
    with quiet():
        prepared = row.prepare(pruned)
        written = write_checked(name, row, pruned, prepared, path, options)
        run = row.load(path, prepared, threads)
        with torch.inference_mode():
            for batch in BATCHES:  # what is compiled is compiled here
                run(pruned.trial(batch))
    skips = row.skips(written.facts)
    return _Form(row, prepared, pruned.test, path, run, written.max_difference, skips)


def _rows(
    forms: Mapping[str, _Form], threads: int, seconds: float, on_step: Callable[[str], None]
) -> list[dict[str, Any]]:
    runs = {name: form.run for name, form in forms.items()}
    inputs = next(iter(forms.values())).pruned
    times = {}
    for batch in BATCHES:
        on_step(f"timing {len(forms)} forms at batch {batch}")
        times[batch] = in_turns(runs, inputs.trial(batch), seconds)
    accuracies = _accuracies(forms, on_step)
    return [
        {
            "form": name,
            "is_dense": name in DENSE.values(),
            **_size(form),
            **_speed({batch: found[name] for batch, found in times.items()}),
            "accuracy": accuracies[name],
            "max_difference": form.max_difference,
            "peak_memory_bytes": None,
        }
        for name, form in forms.items()
    ]


def _size(form: _Form) -> dict[str, Any]:
    data = form.path.read_bytes()
    model, mask = form.pruned.model, form.pruned.mask
    example = form.pruned.trial(1)
    skipped = {name: mask[name] for name in form.skips if name in mask}
    _, flops = count_flops(model, example, skipped)
    _, effective = count_flops(model, example, mask)
    parameters = list(model.parameters())
    return {
        "file_bytes": len(data),
        "gzip_bytes": len(gzip.compress(data, mtime=0)),
        "num_parameters": sum(value.numel() for value in parameters),
        "num_nonzero": sum(int(value.count_nonzero()) for value in parameters),
        "flops": flops,
        "effective_flops": effective,
    }


def _speed(times: Mapping[int, list[float]]) -> dict[str, Any]:
    """Latency of single examples, and examples per second in batches."""
    alone = 1000 * np.array(times[1])
    speed: dict[str, Any] = {
        "latency_p50_ms": float(np.percentile(alone, 50)),
        "latency_p99_ms": float(np.percentile(alone, 99)),
    }
    for batch in BATCHES[1:]:
        speed[f"throughput_{batch}"] = batch / float(np.median(times[batch]))
    return speed | {f"num_calls_{batch}": len(found) for batch, found in times.items()}


def _accuracies(
    forms: Mapping[str, _Form], on_step: Callable[[str], None]
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name, form in forms.items():
        # the same weights to the bit, executed alike: one of these is enough
        alike = [
            other
            for other in found
            if form.row.tolerance == forms[other].row.tolerance == 0
            and form.pruned.model is forms[other].pruned.model
        ]
        if not alike:
            on_step(f"accuracy of {name}")
        found[name] = found[alike[0]] if alike else _accuracy(form)
    return found


def _accuracy(form: _Form) -> float | None:
    """On the whole test set; None without one, or where there are no logits of classes."""
    test = form.test
    if test is None or test.y.is_floating_point():
        return None
    size, right = BATCHES[-1], 0
    with torch.inference_mode():
        for x, y in zip(test.tensor.split(size), test.y.split(size), strict=True):
            # always batches of one size: another one would be compiled anew
            filled = x[torch.arange(size) % len(x)]
            outputs = form.run(filled)[: len(y)]
            if outputs.ndim != 2 or outputs.shape[1] < 2:
                return None  # no logit for each class
            right += int((outputs.argmax(1) == y).sum())
    return right / len(test)


def _processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    return platform.processor() or platform.machine()


def _about(pruned: PrunedModel, threads: int, seconds: float) -> dict[str, Any]:
    """Where and how it was measured."""
    import onnxruntime

    return {
        "machine": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": threads,
        "seconds_each": seconds,
        "batches": list(BATCHES),
        "versions": {**versions(), "onnxruntime": onnxruntime.__version__},
        "dense_is": "the net before pruning" if pruned.dense is not None else MASKED,
        "density": pruned.mask.density,
        "num_test": None if pruned.test is None else len(pruned.test),
        "run": pruned.facts.get("run", {}).get("id"),
        "level": pruned.facts.get("run", {}).get("level"),
    }
