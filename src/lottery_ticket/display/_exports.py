"""What leaves: forms that were measured, files that were written, nets that became smaller."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lottery_ticket.display._blocks import Cell, card, cut, details, facts, paragraph, table
from lottery_ticket.export import Compacted, Exported, Measured, Sparse

__all__ = ["compacted_html", "exported_html", "measured_html", "sparse_html"]

_COLUMNS = {
    "file_bytes": ("file (kB)", lambda value: f"{value / 1000:,.1f}"),
    "latency_p50_ms": ("latency at batch 1 (ms)", lambda value: f"{value:,.3f}"),
    "throughput_256": ("examples/s at batch 256", lambda value: f"{value:,.0f}"),
    "accuracy": ("accuracy (%)", lambda value: f"{100 * value:.2f}"),
    "max_difference": ("largest difference", lambda value: f"{value:.2g}"),
}


def measured_html(measured: Measured) -> Markup:
    """A row per form, the best one to ship for each purpose in bold, and what that means."""
    known = [name for name in _COLUMNS if any(row.get(name) is not None for row in measured.rows)]
    best = {column: measured.best.get(goal) for goal, column in _GOALS.items()}
    most = {
        n: max((row.get(n) or 0.0 for row in measured.rows), default=0.0) for n in _GOALS.values()
    }
    rows = [
        [
            Cell(f"{row['form']}{' (dense)' * bool(row['is_dense'])}"),
            *(_measure(row, name, most.get(name), best.get(name)) for name in known),
        ]
        for row in measured.rows
    ]
    columns = ["form", *(_COLUMNS[name][0] for name in known)]
    about = measured.about
    machine = ", ".join(str(about[n]) for n in ("machine", "device") if about.get(n))
    notes = [paragraph(note) for note in measured.notes[:12]]
    told = [details("what to ship, and what is slower", *notes)] if notes else []
    return card(measured.title, table(columns, rows), *told, about=machine)


_GOALS = {"size": "file_bytes", "latency": "latency_p50_ms", "throughput": "throughput_256"}


def _measure(row: Mapping[str, Any], name: str, most: float | None, best: str | None) -> Cell:
    value = row.get(name)
    if value is None:
        return Cell("–")
    share = value / most if most else None
    return Cell(_COLUMNS[name][1](value), share, is_bold=row["form"] == best)


def exported_html(exported: Exported) -> Markup:
    """A row per file: its size, and how far its outputs are from the model's."""
    rows = [
        [
            file.format,
            file.file,
            f"{file.num_bytes:,}",
            f"{file.max_difference:.2g}",
            f"{file.tolerance:.2g}",
        ]
        for file in exported.files
    ]
    columns = ["format", "file", "bytes", "largest difference", "allowed"]
    return card(f"Written to {exported.path}", table(columns, rows, left=(0, 1)), about="Exported")


def compacted_html(found: Compacted) -> Markup:
    """A row per layer that became smaller, and what was left alone."""
    total = sum(parameter.numel() for parameter in found.model.parameters())
    rows = [
        [
            cut(name, 80),
            f"{widths.inputs[0]} → {widths.inputs[1]}",
            f"{widths.outputs[0]} → {widths.outputs[1]}",
        ]
        for name, widths in found.removed.items()
    ]
    alone = [facts(dict(list(found.left_alone.items())[:12]))] if found.left_alone else []
    return card(
        f"Compacted to {total:,} parameters",
        table(["layer", "inputs", "outputs"], rows),
        *([details(f"{len(found.left_alone)} left alone", *alone)] if alone else []),
        about=f"largest difference of the outputs {found.max_difference:.2g}",
    )


def sparse_html(found: Sparse) -> Markup:
    """A row per linear layer, and what the choice brought."""
    times = {name: f"{1000 * seconds:.3f} ms" for name, seconds in found.seconds.items()}
    ways = [[cut(name, 80), way] for name, way in found.layers.items()]
    return card(
        f"Executed on kept weights where that is faster, for batches of {found.batch_size}",
        table(["layer", "way"], ways, left=(0, 1)),
        *([facts(times)] if times else []),
        about=f"largest difference of the outputs {found.max_difference:.2g}",
    )
