"""`lottery bench-export`."""

import json as json_module
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery_ticket.cli._options import (
    Arm,
    BatchSize,
    DataDir,
    DataOptions,
    Draw,
    Imports,
    Json,
    Level,
    Rederive,
    Replicate,
    RunReference,
    StorePath,
    data_options,
    import_code,
)
from lottery_ticket.cli._print import console, print_json, print_table, size_text, step_shown
from lottery_ticket.files import check_folder, check_replaceable, make_folder, write_file

if TYPE_CHECKING:
    from lottery_ticket.export import Measured

__all__ = ["bench_export"]

_FORMS = "forms.json"
_HEADER = ["form", "file", "gzip", "parameters", "non-zeros", "FLOPs", "effective", "memory",
           "p50 (ms)", "p99 (ms)", "64 (/s)", "256 (/s)", "accuracy", "difference"]  # fmt: skip


def bench_export(
    run: RunReference,
    level: Level,
    format: Annotated[
        list[str] | None,
        typer.Option(help="A format of `lottery export`. Repeatable.", show_default="all"),
    ] = None,
    arm: Arm = "ticket",
    replicate: Replicate = 0,
    draw: Draw = 0,
    threads: Annotated[int, typer.Option(help="CPU threads of everything.")] = 1,
    seconds: Annotated[
        float, typer.Option(help="How long each form is timed for each batch size.")
    ] = 1.0,
    compiled: Annotated[
        bool, typer.Option(help="Whether the dense net is tried with torch.compile.")
    ] = True,
    memory: Annotated[
        bool, typer.Option(help="Whether peak memory is measured, each in a fresh process.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for forms.json and the figure.", show_default=False),
    ] = None,
    batch_size: BatchSize = None,
    rederive: Rederive = False,
    store: StorePath = None,
    data_dir: DataDir = None,
    data: DataOptions = None,
    imports: Imports = None,
    json: Json = False,
) -> None:
    """Measure every form of a trained level beside the dense net, on this machine."""
    from lottery_ticket.api import load_run

    if out is not None:
        check_folder(out)  # before it measures for minutes
        check_replaceable(out / _FORMS)
    import_code(imports)
    with step_shown() as on_step:
        result = load_run(run, store=store)
        measured = result.bench_export(
            level,
            forms=format,
            threads=threads,
            seconds=seconds,
            compiled=compiled,
            memory=memory,
            batch_size=batch_size,
            on_step=on_step,
            arm=arm,
            replicate=replicate,
            draw=draw,
            rederive=rederive,
            data_dir=data_dir,
            data=data_options(data),
        )
    title = f"{result.record.heading(result.name)}, {arm} at level {level}"
    paths = [] if out is None else _write(measured, out, title=title, run=result.id)
    if json:
        print_json(measured.to_dict())
        return
    print_table([_HEADER, *(_line(row) for row in measured.rows)], title=measured.title)
    about = measured.about
    console.print(
        f"\n{about['threads']} thread(s), {about['machine']} ({about['cpu_capability']}); dense is "
        f"{about['dense_is']}; forms were timed in turns, {about['seconds_each']:g} s each",
        soft_wrap=True,
    )
    for note in measured.notes:
        console.print(f"- {note}", soft_wrap=True)
    for path in paths:
        console.print(str(path), soft_wrap=True)


def _write(measured: "Measured", out: Path, *, title: str, run: str) -> list[Path]:
    from lottery_ticket.errors import LotteryError
    from lottery_ticket.plots import draw_forms

    path = out / _FORMS
    try:
        make_folder(out)
        write_file(path, (json_module.dumps(measured.to_dict(), indent=1) + "\n").encode())
        return [path, *draw_forms(measured, out, title=title, run=run)]
    except OSError as error:
        raise LotteryError(f"{out}: cannot be written ({error.strerror or error})") from error


def _line(row: Mapping[str, Any]) -> list[str]:
    memory, accuracy = row["peak_memory_bytes"], row["accuracy"]
    return [
        row["form"],
        size_text(row["file_bytes"]),
        size_text(row["gzip_bytes"]),
        f"{row['num_parameters']:,}",
        f"{row['num_nonzero']:,}",
        f"{row['flops']:,}",
        f"{row['effective_flops']:,}",
        "–" if memory is None else size_text(memory),
        f"{row['latency_p50_ms']:.3f}",
        f"{row['latency_p99_ms']:.3f}",
        f"{row['throughput_64']:,.0f}",
        f"{row['throughput_256']:,.0f}",
        "–" if accuracy is None else f"{100 * accuracy:.2f} %",
        f"{row['max_difference']:.2g}",
    ]
