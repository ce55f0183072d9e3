"""`lottery export`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

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
from lottery_ticket.cli._print import console, print_json, print_table, size_text

__all__ = ["export"]


def export(
    run: RunReference,
    level: Level,
    out: Annotated[
        Path,
        typer.Option(
            help="A new folder; or, of a single format, a new file with its suffix.",
            show_default=False,
        ),
    ],
    format: Annotated[
        list[str] | None,
        typer.Option(
            help="state_dict, packed, ticket, seed, pt2, onnx, int8, int8-dynamic, compact, "
            "compact-onnx, compact-int8, sparse or 2:4. Repeatable.",
            show_default="state_dict",
        ),
    ] = None,
    arm: Arm = "ticket",
    replicate: Replicate = 0,
    draw: Draw = 0,
    opset: Annotated[
        int | None, typer.Option(help="Of ONNX; by default 18.", show_default=False)
    ] = None,
    batch_size: BatchSize = None,
    rederive: Rederive = False,
    store: StorePath = None,
    data_dir: DataDir = None,
    data: DataOptions = None,
    imports: Imports = None,
    json: Json = False,
) -> None:
    """Write a trained level as files that a service can run, compared with the model itself."""
    from lottery_ticket.api import load_run

    import_code(imports)
    result = load_run(run, store=store)
    written = result.export(
        level,
        format=format or "state_dict",
        out=out,
        arm=arm,
        replicate=replicate,
        draw=draw,
        opset=opset,
        batch_size=batch_size,
        rederive=rederive,
        data_dir=data_dir,
        data=data_options(data),
    )
    files = [asdict(file) for file in written.files]
    if json:
        print_json({"path": str(written.path), "files": files, "card": dict(written.card)})
        return
    rows = [["format", "file", "size", "largest difference", "tolerance"]]
    for file in files:
        rows.append(
            [file["format"], file["file"], size_text(file["num_bytes"]),
             f"{file['max_difference']:.2g}", f"{file['tolerance']:.2g}"]
        )  # fmt: skip
    print_table(rows, title=written.card["title"], num_left=2)
    notes = [file["facts"].get("note") for file in files]
    for note in dict.fromkeys(filter(None, notes)):  # formats of one compacted net share theirs
        said_of = [file["format"] for file, own in zip(files, notes, strict=True) if own == note]
        console.print(f"- {', '.join(said_of)}: {note}", soft_wrap=True)
    inputs = "random" if result.record.searches else "test"  # whose data are its own
    console.print(
        f"\nwritten to {written.path}; outputs compared with the masked dense model's on {inputs} "
        "inputs, at batch 1 and 64",
        soft_wrap=True,
    )
